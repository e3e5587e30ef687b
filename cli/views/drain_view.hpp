// How far a node's drain is, as people read it. Pure.
#pragma once

#include "storage/base/result.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

/// What GET /v1/admin/drain tells.
struct drain_report {
  std::string stage;
  double seconds_left = 0;  ///< 0 before and after a drain
  std::uint64_t to_do = 0;  ///< connections, shards, and events that are waited for
  std::string what_to_do;   ///< the same in words: "3 connections, 120 events for bus"
  std::uint64_t queued = 0; ///< events that consumers have not acknowledged
  std::vector<std::string> left;

  bool has_ended() const { return stage == "ended"; }
};

/// Errors: unavailable when it is something else.
result<drain_report> drain_report_of(const boost::json::object& answer);

/// "publishing: 120 events for bus, 27 s left"
std::string drain_line(const drain_report& now);
/// What was done and what was not, lines.
std::string drain_summary(const drain_report& end);

} // namespace penstock
