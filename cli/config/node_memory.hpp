// A configuration's bounds from the memory that the node may use.
#pragma once

#include "cli/config/config.hpp"
#include "cli/config/memory_limit.hpp"
#include "net/http/http_settings.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Threads that serve clients, on a machine of so many cores.
std::size_t lane_count(const http_settings& http, unsigned cores);

/// What of the configuration the plan depends on; keys that were given count as set.
memory_needs memory_needs_of(const config& c, unsigned cores);

/// Makes the plan of `c.memory_bytes`, or of `here` where that is 0, and takes its bounds over into
/// what was not set. Call it once.
void settle_memory(config& c, const memory_limit& here, unsigned cores);

/// Where the plan's memory is from, in words.
std::string memory_source(const config& c, const memory_limit& here);

/// The bounds that a configuration can set, by their keys, and the derived ones that it can't.
std::vector<std::pair<std::string, std::uint64_t>> memory_bounds(const config& c);

/// "256.0 MiB of the cgroup: 35.5 MiB in flight, 870 connections, …": what the start logs.
std::string memory_text(const config& c, const memory_limit& here);

/// What an operator should know of the plan, a sentence each: that it does not fit, or promises
/// more than there is. Empty when all is well.
std::vector<std::string> memory_warnings(const config& c, const memory_limit& here, unsigned cores);

} // namespace penstock
