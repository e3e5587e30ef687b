#include "net/served_plans.hpp"

namespace penstock {

served_plans::served_plans(plan_set_ptr plans) : plans_(std::move(plans)) {
  for (const auto& entry : plans_->all())
    by_id_.emplace(entry.id, std::make_unique<served_plan>(entry.rules));
  anonymous_ = find(plan_id(anonymous_plan_name));
}

} // namespace penstock
