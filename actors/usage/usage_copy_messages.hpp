// What usage actors say to each other between nodes, and what is asked of them and of readers for a
// report over the cluster. From version 10 of the wire on.
#pragma once

#include "actors/base/compat.hpp"
#include "storage/base/result.hpp"
#include "storage/stores/usage.hpp"
#include "storage/stores/usage_reader.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

// -- between nodes: these are serialised; tests/actors round-trips each ---------------------------

/// To each peer whose link comes up: whose counts this node makes. And when it is about to leave.
struct usage_greeting {
  std::string origin;
  bool leaves = false; ///< it takes no copies any more
};

/// Rows of a node's usage as they are, for the node that keeps a copy; answered with usage_copied.
/// Taking them over twice changes nothing, see usage_state. `about.known_ms` is 0 while rows are
/// still to follow.
struct usage_copy {
  usage_about about;
  std::uint64_t number = 0; ///< comes back
  std::vector<usage_state> rows;
};
struct usage_copied {
  std::uint64_t number = 0;
  bool ok = false; ///< the rows are kept; otherwise they are to come again, a while later
};

/// Whose counts does this node have? Answered with usage_sources.
struct usage_sources_question {};
struct usage_source {
  usage_about about; ///< of the node's own: known_ms is the present
  bool is_copy = false;
  std::uint64_t names = 0; ///< no less than the ids in it
};
struct usage_sources {
  std::vector<usage_source> all;
  std::uint64_t copy_names = 0; ///< no less than the ids in all copies together, which share them
};

/// To a node's usage reader: what a part of a report has of these origins, added up. Answered with
/// usage_part.
struct usage_part_question {
  usage_dimension by = usage_dimension::ip; ///< these five as in usage_query
  usage_period per = usage_period::hour;
  std::int64_t from_s = 0;
  std::int64_t to_s = 0;
  std::string id; ///< "": none
  std::vector<std::string> origins;
  std::uint32_t part = 0;
  std::uint32_t parts = 1;
};
struct usage_part {
  bool ok = false;
  bool is_invalid = false; ///< with an error: it is the query's
  std::string why;
  std::vector<usage_row> rows; ///< each id, or each bucket of the id, once
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_counts& x) {
  return f(x.requests, x.events, x.bytes, x.refused);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_state& x) {
  return f(x.period, x.by, x.start_s, x.id, x.counts);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_about& x) {
  return f(x.origin, x.node, x.address, x.known_ms, x.given_by);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_row& x) {
  return f(x.id, x.start_s, x.counts);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_greeting& x) {
  return f(x.origin, x.leaves);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_copy& x) {
  return f(x.about, x.number, x.rows);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_copied& x) {
  return f(x.number, x.ok);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_sources_question&) {
  return f();
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_source& x) {
  return f(x.about, x.is_copy, x.names);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_sources& x) {
  return f(x.all, x.copy_names);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_part_question& x) {
  return f(x.by, x.per, x.from_s, x.to_s, x.id, x.origins, x.part, x.parts);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, usage_part& x) {
  return f(x.ok, x.is_invalid, x.why, x.rows);
}

// -- within a node: never serialised --------------------------------------------------------------

/// Of a drain: all that this node counted, and keeps of nodes that are gone, goes to another one.
/// Answered with usage_handed_over when it has, or at once when no other node is linked.
struct usage_hand_over {};
struct usage_handed_over {};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_hand_over)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::usage_handed_over)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_usage_copies, caf::first_custom_type_id + 310)
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_greeting))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_copy))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_copied))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_sources_question))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_sources))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_part_question))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_part))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_hand_over))
CAF_ADD_TYPE_ID(penstock_usage_copies, (penstock::usage_handed_over))
CAF_END_TYPE_ID_BLOCK(penstock_usage_copies)
