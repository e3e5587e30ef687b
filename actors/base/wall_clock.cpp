#include "actors/base/wall_clock.hpp"

#include <chrono>

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

std::int64_t wall_clock::operator()() {
  last_ = advance(last_, read<std::chrono::steady_clock>(), read<std::chrono::system_clock>());
  return last_.wall_ns;
}

} // namespace penstock
