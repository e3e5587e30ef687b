// Whom a trusted proxy speaks for: X-Forwarded-For and Forwarded (RFC 7239). Pure.
#pragma once

#include "actors/base/ip_network.hpp"

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace penstock {

/// The most elements of one line of Forwarded that are looked at, from the right.
inline constexpr std::size_t max_forwarded_hops = 32;

/// Both read from the right, from the element that the peer wrote, as long as the address found is
/// that of a trusted proxy: what stands left of one that we do not trust was not written by anyone
/// we trust. An element that names no address ends the search at the last proxy that is known.

/// `list`: addresses, perhaps with ports, and commas between.
ip_address client_in_x_forwarded_for(std::string_view list, const ip_address& peer,
                                     const std::vector<ip_network>& trusted);

/// `lines`: the field's lines, joined with line feeds. Each line is read by itself, so that a quote
/// which a client leaves open in one can't swallow what a proxy wrote in the next. Empty list
/// elements are skipped. Nothing when the search comes to a line that breaks the grammar: in such a
/// line nobody can tell what the client wrote from what the proxy added, and to count the client as
/// the proxy instead would let it choose.
std::optional<ip_address> client_in_forwarded(std::string_view lines, const ip_address& peer,
                                              const std::vector<ip_network>& trusted);

} // namespace penstock
