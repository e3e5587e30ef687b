#include "actors/accounts/plan_deletions.hpp"

#include <algorithm>

namespace penstock {

bool plan_deletions::is_going(const std::string& name) const {
  const auto reserved = reserved_.lower_bound({name, {}});
  if (reserved != reserved_.end() && reserved->first.first == name) return true;
  return std::any_of(deletions_.begin(), deletions_.end(),
                     [&](const auto& entry) { return entry.second.name == name; });
}

// -- here -----------------------------------------------------------------------------------------

std::optional<std::uint64_t> plan_deletions::begin(const std::string& name, std::uint64_t version,
                                                   std::set<std::uint16_t> peers) {
  const bool is_under_way =
      std::any_of(deletions_.begin(), deletions_.end(),
                  [&](const auto& entry) { return entry.second.name == name; });
  if (is_under_way || deletions_.size() >= max_reserved_plans) return std::nullopt;
  deletions_[++last_number_] = {name, version, peers, peers};
  return last_number_;
}

std::optional<plan_deletions::outcome> plan_deletions::end(std::uint64_t number, plan_use objection,
                                                           std::uint16_t by, std::uint64_t keys) {
  auto ended = deletions_.extract(number);
  return outcome{number, std::move(ended.mapped()), objection, by, keys};
}

std::optional<plan_deletions::outcome> plan_deletions::answered(std::uint64_t number,
                                                                std::uint16_t peer, plan_use use,
                                                                std::uint64_t keys) {
  const auto found = deletions_.find(number);
  if (found == deletions_.end() || found->second.awaited.erase(peer) == 0) return std::nullopt;
  if (use == plan_use::none && !found->second.awaited.empty()) return std::nullopt;
  return end(number, use, peer, keys);
}

std::optional<plan_deletions::outcome> plan_deletions::timed_out(std::uint64_t number) {
  const auto found = deletions_.find(number);
  if (found == deletions_.end()) return std::nullopt;
  return end(number, plan_use::unsaid, *found->second.awaited.begin(), 0);
}

std::vector<plan_deletions::outcome> plan_deletions::went(std::uint16_t peer) {
  std::vector<std::uint64_t> awaiting;
  for (const auto& [number, one] : deletions_)
    if (one.awaited.contains(peer)) awaiting.push_back(number);
  std::vector<outcome> ended;
  for (const auto number : awaiting)
    if (auto one = answered(number, peer, plan_use::none, 0)) ended.push_back(std::move(*one));
  return ended;
}

// -- for others -----------------------------------------------------------------------------------

bool plan_deletions::reserve(const std::string& name, const std::string& asker,
                             std::uint64_t number) {
  const auto found = reserved_.find({name, asker});
  if (found == reserved_.end() && reserved_.size() >= max_reserved_plans) return false;
  reserved_[{name, asker}] = number;
  return true;
}

void plan_deletions::release(const std::string& name, const std::string& asker,
                             std::uint64_t number) {
  const auto found = reserved_.find({name, asker});
  if (found != reserved_.end() && found->second == number) reserved_.erase(found);
}

void plan_deletions::release(const std::string& name) {
  std::erase_if(reserved_, [&](const auto& entry) { return entry.first.first == name; });
}

void plan_deletions::release_all_of(const std::string& asker) {
  std::erase_if(reserved_, [&](const auto& entry) { return entry.first.second == asker; });
}

} // namespace penstock
