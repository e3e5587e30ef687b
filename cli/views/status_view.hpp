// A node's status as people read it. Pure.
#pragma once

#include "storage/base/result.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// What counts requests and events at one moment, to tell rates from two of them.
struct status_sample {
  double taken_s = 0; ///< on any steady clock
  std::uint64_t requests = 0;
  std::uint64_t events = 0;
};

/// Errors: unavailable when it is no status.
result<status_sample> sample_of(const boost::json::object& status, double taken_s);

/// A few lines about the node, a table of queues and one of sinks, where it has any. `before`:
/// rates since then are shown too. Errors: unavailable when it is no status of a node.
result<std::string> status_text(const boost::json::object& status,
                                const std::optional<status_sample>& before = {},
                                const std::optional<status_sample>& now = {});

} // namespace penstock
