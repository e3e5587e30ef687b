// What is to happen in a simulated world, in the order of its time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <utility>

namespace penstock::simulation {

inline constexpr std::int64_t ms = 1'000'000;
inline constexpr std::int64_t second = 1000 * ms;

/// Everything that chance decides comes from here, so that a seed repeats a run exactly.
class chance {
 public:
  explicit chance(std::uint64_t seed) : random_(seed) {}
  /// From `least` to `most`.
  std::int64_t between(std::int64_t least, std::int64_t most) {
    // Not std::uniform_int_distribution, which another library computes otherwise.
    const auto range = static_cast<std::uint64_t>(most - least) + 1;
    return least + static_cast<std::int64_t>(random_() % range);
  }
  bool one_in(std::int64_t n) { return between(1, n) == 1; }

 private:
  std::mt19937_64 random_;
};

/// Not synchronised.
class events {
 public:
  std::int64_t now_ns() const { return now_ns_; }
  void after(std::int64_t time_ns, std::function<void()> what) {
    at(now_ns_ + time_ns, std::move(what));
  }
  void at(std::int64_t when_ns, std::function<void()> what) {
    due_.emplace(std::pair{std::max(when_ns, now_ns_), ++number_}, std::move(what));
  }
  /// Goes on to that time, and does what is due until then, in order.
  void advance_to(std::int64_t when_ns) {
    while (!due_.empty() && due_.begin()->first.first <= when_ns) {
      auto next = due_.extract(due_.begin());
      now_ns_ = std::max(now_ns_, next.key().first);
      next.mapped()();
    }
    now_ns_ = when_ns;
  }

 private:
  std::int64_t now_ns_ = 1000 * second;
  std::uint64_t number_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> due_;
};

} // namespace penstock::simulation
