#include "net/clients/plan_charges.hpp"

namespace penstock {

plan_charges::plan_charges(const penstock::plan& rules)
    : id_(plan_id(rules.name)), counts_bytes_(penstock::counts_bytes(rules)),
      selective_(is_selective(rules)) {
  if (selective_) rules_ = rules;
}

limit_mask plan_charges::limits(std::string_view method, std::string_view path) {
  if (!selective_) return all_limits;
  if (const auto found = known_.find(target_view{method, path}); found != known_.end())
    return found->second;
  const limit_mask mask = limits_that_apply(rules_, method, path);
  if (known_.size() < max_paths)
    known_.emplace(target{std::string{method}, std::string{path}}, mask);
  return mask;
}

} // namespace penstock
