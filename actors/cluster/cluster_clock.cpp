#include "actors/cluster/cluster_clock.hpp"

#include <algorithm>
#include <vector>

namespace penstock {
namespace {

/// Clocks that are no further apart agree.
constexpr std::int64_t same_clock_ns = 60 * 1'000'000'000ll;

std::int64_t middle_of(std::vector<std::int64_t>& of) {
  std::ranges::sort(of);
  const auto upper = of[of.size() / 2], lower = of[(of.size() - 1) / 2];
  return lower + (upper - lower) / 2;
}

bool most_agree(const std::vector<std::int64_t>& clocks, std::int64_t on_ns) {
  const auto agreeing = std::ranges::count_if(clocks, [on_ns](std::int64_t each) {
    return each - on_ns < same_clock_ns && on_ns - each < same_clock_ns;
  });
  return 2 * static_cast<std::size_t>(agreeing) > clocks.size();
}

} // namespace

void cluster_clock::on_record(const std::string& address, const member_clocks& said,
                              std::int64_t steady_ns) {
  if (said.system_ns <= 0 || said.cluster_ns <= 0 ||
      std::max(said.system_ns, said.cluster_ns) > max_told_clock_ns)
    return;
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

bool cluster_clock::join(const std::vector<std::string>& members, std::int64_t steady_ns,
                         std::int64_t system_ns) {
  own_ns_ = system_ns - steady_ns;
  moved_ns_ = steady_ns;
  std::vector<std::int64_t> times, clocks;
  for (const auto& each : members) {
    const auto found = heard_.find(each);
    if (found == heard_.end() || !is_fresh(found->second, steady_ns)) continue;
    times.push_back(found->second.cluster_ns);
    clocks.push_back(found->second.system_ns);
  }
  if (times.empty()) return false;
  // They have one time, and one of them may be damaged.
  base_ns_ = middle_of(times);
  const auto off_ns = own_ns_ - middle_of(clocks);
  is_far_off_ = off_ns > max_clock_difference_ns || off_ns < -max_clock_difference_ns;
  return true;
}

void cluster_clock::move(const std::vector<std::string>& members, const std::string& self,
                         std::int64_t steady_ns, std::int64_t system_ns) {
  own_ns_ = system_ns - steady_ns;
  // A process that was stopped for long, or whose host slept, has nothing to make up for at once:
  // the others went on meanwhile, as slowly as always.
  const auto passed_ns = std::clamp<std::int64_t>(steady_ns - moved_ns_, 0, max_clock_age_ns);
  const auto most = passed_ns / cluster_clock_slew;
  moved_ns_ = std::max(moved_ns_, steady_ns);
  std::vector<std::int64_t> clocks;
  for (const auto& each : members) {
    if (each == self)
      clocks.push_back(own_ns_);
    else if (const auto found = heard_.find(each);
             found != heard_.end() && is_fresh(found->second, steady_ns))
      clocks.push_back(found->second.system_ns);
  }
  if (clocks.empty()) return;
  const auto target = middle_of(clocks);
  const auto difference = target - base_ns_;
  if (difference > max_clock_difference_ns && most_agree(clocks, target)) {
    base_ns_ = target;
    return;
  }
  if (difference > -ignored_clock_difference_ns && difference < ignored_clock_difference_ns) return;
  base_ns_ += std::clamp(difference, -most, most);
}

} // namespace penstock
