#include "net/clients/served_plans.hpp"

namespace penstock {

served_plans::served_plans(plan_set_ptr plans) : plans_(std::move(plans)) {
  for (const auto& entry : plans_->all())
    by_id_.emplace(entry.id, std::make_unique<served_plan>(entry.rules));
  anonymous_ = find(plan_id(anonymous_plan_name));
}

const served_plan* served_plans::find_as(std::uint32_t plan_id, std::uint16_t digest) {
  for (auto* at = this; at; at = at->next_.get())
    if (const auto* plan = at->find(plan_id); plan && plan->digest == digest) return plan;
  return nullptr;
}

} // namespace penstock
