#include "actors/limits/plan_set.hpp"

#include "actors/limits/limit_text.hpp"

#include <algorithm>
#include <map>

namespace penstock {

plan_set::plan_set(const std::vector<plan>& configured, const std::vector<plan_record>& stored,
                   const std::set<std::string>& missing) {
  std::map<std::string_view, plan_entry> all;
  for (const auto& rules : configured)
    all[rules.name] = {rules, plan_id(rules.name), false, true, 0, false};
  for (const auto& record : stored) {
    if (record.deleted_ms != 0) continue;
    auto limits = parse_limits(record.limits);
    if (!limits) {
      unreadable_.push_back(record.name);
      continue;
    }
    auto& entry = all[record.name];
    entry.rules = {record.name, std::move(*limits)};
    entry.id = plan_id(record.name);
    entry.stored = true;
    entry.changed_ms = record.changed_ms;
  }
  if (const auto anonymous = all.find(anonymous_plan_name); anonymous != all.end()) {
    const auto limits = anonymous->second.rules.limits;
    for (const auto& name : missing)
      all.try_emplace(name, plan_entry{{name, limits}, plan_id(name), false, false, 0, true});
  }
  entries_.reserve(all.size());
  for (auto& [name, entry] : all)
    entries_.push_back(std::move(entry));
  for (std::uint32_t i = 0; i < entries_.size(); ++i)
    by_id_.push_back(i);
  std::stable_sort(by_id_.begin(), by_id_.end(), [this](std::uint32_t a, std::uint32_t b) {
    return entries_[a].id < entries_[b].id;
  });
}

const plan_entry* plan_set::by_name(std::string_view name) const {
  const auto found = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const plan_entry& entry, std::string_view wanted) { return entry.rules.name < wanted; });
  return found != entries_.end() && found->rules.name == name ? &*found : nullptr;
}

const plan_entry* plan_set::by_id(std::uint32_t id) const {
  const auto found = std::lower_bound(
      by_id_.begin(), by_id_.end(), id,
      [this](std::uint32_t at, std::uint32_t wanted) { return entries_[at].id < wanted; });
  return found != by_id_.end() && entries_[*found].id == id ? &entries_[*found] : nullptr;
}

std::shared_ptr<const std::vector<plan>> limiters_plans(const plan_set& plans) {
  std::vector<plan> rules;
  for (const auto& entry : plans.all())
    rules.push_back(entry.rules);
  return std::make_shared<const std::vector<plan>>(std::move(rules));
}

} // namespace penstock
