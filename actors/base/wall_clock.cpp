#include "actors/base/wall_clock.hpp"

#include <chrono>
#include <utility>

namespace penstock {
namespace {

template <class Clock>
std::int64_t read() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(Clock::now().time_since_epoch()).count();
}

} // namespace

wall_clock::wall_clock()
    : last_{read<std::chrono::steady_clock>(), read<std::chrono::system_clock>()} {}

wall_clock::wall_clock(std::shared_ptr<const cluster_time> time, std::int64_t (*steady_ns)())
    : time_(std::move(time)), steady_ns_(steady_ns), settings_(time_->settings.load()) {
  const auto now = steady_ns_();
  last_ = {now, now + time_->base_ns.load()};
}

std::int64_t wall_clock::operator()() {
  if (time_) {
    const auto now = steady_ns_();
    const auto settings = time_->settings.load(std::memory_order_acquire);
    const auto wall = now + time_->base_ns.load(std::memory_order_relaxed);
    last_ = std::exchange(settings_, settings) == settings ? advance(last_, now, wall)
                                                           : wall_time{now, wall};
    return last_.wall_ns;
  }
  last_ = advance(last_, read<std::chrono::steady_clock>(), read<std::chrono::system_clock>());
  return last_.wall_ns;
}

} // namespace penstock
