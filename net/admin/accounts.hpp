// Keys and plans on the admin plane.
#pragma once

#include "net/admin/admin_route.hpp"

#include <chrono>
#include <cstdint>

namespace penstock {

/// How long the accounts actor may take; it syncs a disk.
inline constexpr std::chrono::seconds accounts_answer_timeout{10};

/// Streams, origins or networks that one key can be restricted to, each.
inline constexpr std::size_t max_restrictions = 32;

/// Keys in one answer: unless ?limit= says otherwise, and at most.
inline constexpr std::uint32_t default_key_page = 1'000;
inline constexpr std::uint32_t max_key_page = 10'000;

} // namespace penstock
