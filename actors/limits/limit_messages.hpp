// What front ends ask limiters, of their own node and of others, and what they answer.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/limits/plan.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

// -- between nodes: these are serialised; the tests round-trip each -------------------------------

/// One client's request to send `events` events.
struct admit_item {
  std::uint64_t client = 0; ///< keyed hash of the account, or of who is calling without a key
  std::uint64_t key = 0;    ///< keyed hash of the key's id; 0: none, the client stands for it
  std::uint32_t plan = 0;   ///< plan_id()
  std::uint32_t stream = 0; ///< stream_id()
  std::uint32_t events = 1;
  std::uint32_t bytes = 0;        ///< of all events; 0 when no limit of the plan counts them
  limit_mask limits = all_limits; ///< those of the plan that apply; see limits_that_apply()
};

/// A loop turn's wishes for one limiter of the front end's own node, which asks the shard's owner
/// if it has to. The reply carries the same token. `sizes` has, one item after the other, the bytes
/// of each event of those items with several events and bytes > 0.
struct admit_request {
  std::uint64_t token = 0;
  std::vector<admit_item> items;
  std::vector<std::uint32_t> sizes;
};

/// The verdicts, in the order of the items; those that another node must give are verdict::pending
/// and follow in further replies, which say by `positions` of which items they are.
struct admit_reply {
  std::uint64_t token = 0;
  std::vector<verdict> verdicts;
  std::vector<std::uint32_t> positions{}; ///< none: all items
};

/// How do the limits of a plan stand for a client? It costs nothing of them.
struct limits_query {
  std::uint64_t token = 0;
  std::uint64_t client = 0; ///< these four as in admit_item
  std::uint64_t key = 0;
  std::uint32_t plan = 0;
  std::uint32_t stream = 0; ///< the one whose limits of scope `stream` are told
  bool passed_on = false;   ///< by the limiter of another node: not to be passed on again
};

/// One limit as it stands, in its units (events or bytes).
struct limit_status {
  std::string name;
  std::uint32_t used = 0;
  std::uint32_t remaining = 0;   ///< would be admitted at once now
  std::int64_t resets_at_ms = 0; ///< wall clock, when the whole amount is back; now, if it is

  bool operator==(const limit_status&) const = default;
};

/// All limits of the plan, in its order.
struct limits_reply {
  std::uint64_t token = 0;
  bool plan_known = false; ///< false: this limiter has no such plan
  bool reached = true;     ///< false: the shard's owner can't be asked
  std::vector<limit_status> limits;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_item& x) {
  return f(x.client, x.key, x.plan, x.stream, x.events, x.bytes, x.limits);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_request& x) {
  return f(x.token, x.items, x.sizes);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, admit_reply& x) {
  return f(x.token, x.verdicts, x.positions);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, limits_query& x) {
  return f(x.token, x.client, x.key, x.plan, x.stream, x.passed_on);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, limit_status& x) {
  return f(x.name, x.used, x.remaining, x.resets_at_ms);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, limits_reply& x) {
  return f(x.token, x.plan_known, x.reached, x.limits);
}

// -- within a node: never serialised --------------------------------------------------------------

using plan_list = std::shared_ptr<const std::vector<plan>>;

/// The plans from now on, all of them.
struct plans_changed {
  plan_list plans;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plans_changed)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_limits, caf::first_custom_type_id)
CAF_ADD_TYPE_ID(penstock_limits, (penstock::verdict))
CAF_ADD_TYPE_ID(penstock_limits, (penstock::admit_item))
CAF_ADD_TYPE_ID(penstock_limits, (std::vector<penstock::verdict>))
CAF_ADD_TYPE_ID(penstock_limits, (std::vector<penstock::admit_item>))
CAF_ADD_TYPE_ID(penstock_limits, (penstock::admit_request))
CAF_ADD_TYPE_ID(penstock_limits, (penstock::admit_reply))
CAF_END_TYPE_ID_BLOCK(penstock_limits)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_limit_queries, caf::first_custom_type_id + 21)
CAF_ADD_TYPE_ID(penstock_limit_queries, (penstock::limits_query))
CAF_ADD_TYPE_ID(penstock_limit_queries, (penstock::limit_status))
CAF_ADD_TYPE_ID(penstock_limit_queries, (std::vector<penstock::limit_status>))
CAF_ADD_TYPE_ID(penstock_limit_queries, (penstock::limits_reply))
CAF_ADD_TYPE_ID(penstock_limit_queries, (penstock::plans_changed))
CAF_END_TYPE_ID_BLOCK(penstock_limit_queries)
