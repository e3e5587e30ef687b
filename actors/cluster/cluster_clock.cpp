#include "actors/cluster/cluster_clock.hpp"

#include <algorithm>
#include <optional>

namespace penstock {

void cluster_clock::on_record(const std::string& address, const member_clocks& said,
                              std::int64_t steady_ns) {
  if (said.system_ns <= 0 || said.cluster_ns <= 0) return;
  const auto known = heard_.find(address);
  if (known == heard_.end() && heard_.size() >= max_members) {
    // Who was not heard for longest is no member any more.
    const auto oldest =
        std::ranges::min_element(heard_, {}, [](const auto& each) { return each.second.at_ns; });
    heard_.erase(oldest);
  }
  const heard now{said.system_ns - steady_ns, said.cluster_ns - steady_ns, steady_ns};
  auto& of = heard_[address];
  if (of.at_ns == 0) {
    of = now;
    return;
  }
  // A record that travelled for longer tells less. But the clock may have gone back.
  const auto least_delayed = [faded = (steady_ns - of.at_ns) / cluster_clock_slew](
                                 std::int64_t before, std::int64_t latest) {
    return std::max(latest, before - std::max(faded, (before - latest) / 4));
  };
  of = {least_delayed(of.system_ns, now.system_ns), least_delayed(of.cluster_ns, now.cluster_ns),
        steady_ns};
}

bool cluster_clock::join(const std::vector<std::string>& members) {
  // They have one time; what says the latest travelled least.
  std::optional<std::int64_t> latest;
  for (const auto& each : members)
    if (const auto found = heard_.find(each); found != heard_.end())
      latest = std::max(latest.value_or(found->second.cluster_ns), found->second.cluster_ns);
  if (latest) base_ns_ = *latest;
  return latest.has_value();
}

void cluster_clock::move(const std::vector<std::string>& members, const std::string& self,
                         std::int64_t steady_ns, std::int64_t system_ns) {
  own_ns_ = system_ns - steady_ns;
  const auto most = std::max<std::int64_t>(steady_ns - moved_ns_, 0) / cluster_clock_slew;
  moved_ns_ = std::max(moved_ns_, steady_ns);
  std::vector<std::int64_t> clocks;
  for (const auto& each : members) {
    if (each == self)
      clocks.push_back(own_ns_);
    else if (const auto found = heard_.find(each); found != heard_.end())
      clocks.push_back(found->second.system_ns);
  }
  if (clocks.empty()) return;
  std::ranges::sort(clocks);
  const auto upper = clocks[clocks.size() / 2], lower = clocks[(clocks.size() - 1) / 2];
  const auto target = lower + (upper - lower) / 2;
  const auto difference = target - base_ns_;
  if (difference > -ignored_clock_difference_ns && difference < ignored_clock_difference_ns) return;
  base_ns_ += std::clamp(difference, -most, most);
}

} // namespace penstock
