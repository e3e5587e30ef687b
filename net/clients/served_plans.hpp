// The plans in force, with what a front end works out of each once instead of once a request.
#pragma once

#include "actors/limits/plan_set.hpp"
#include "net/clients/plan_charges.hpp"
#include "net/http/plan_headers.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <utility>

namespace penstock {

struct served_plan {
  explicit served_plan(const plan& from)
      : rules(from), headers(from), charges(from), digest(plan_digest(from)) {}

  const plan& rules;
  plan_headers headers;
  plan_charges charges;
  std::uint16_t digest;
};

/// One a front end and plan set. Not synchronised: `charges` remembers what it works out. Requests
/// under way keep the one alive that they began with, and all that followed it.
class served_plans {
 public:
  explicit served_plans(plan_set_ptr plans);

  /// Null when this node has no such plan (yet).
  served_plan* find(std::uint32_t plan_id) {
    const auto found = by_id_.find(plan_id);
    return found == by_id_.end() ? nullptr : found->second.get();
  }
  /// The plan of clients without a key; always there.
  served_plan& anonymous() { return *anonymous_; }

  bool serves(const plan_set_ptr& plans) const { return plans_ == plans; }
  void set_next(std::shared_ptr<served_plans> next) { next_ = std::move(next); }
  /// The plan as it was when it had that digest, here or in what followed; null: it never was.
  const served_plan* find_as(std::uint32_t plan_id, std::uint16_t digest);

 private:
  plan_set_ptr plans_;
  boost::unordered_flat_map<std::uint32_t, std::unique_ptr<served_plan>> by_id_;
  served_plan* anonymous_;
  std::shared_ptr<served_plans> next_;
};

} // namespace penstock
