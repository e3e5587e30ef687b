// Preloaded into a node by test_upgrade.py: the node's wall clock is PENSTOCK_TEST_CLOCK_OFFSET_MS
// milliseconds away from the machine's. Data that an earlier release left is then as old as on the
// day it was made, whenever the test runs. Steady clocks are left alone.
#include <cstdint>
#include <cstdlib>
#include <ctime>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/time.h>

namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;
/// A deadline before this is not one of the wall clock, but one of a clock that counts from boot.
constexpr std::int64_t min_wall_s = 1'000'000'000;

std::int64_t offset_ns() {
  static const std::int64_t offset = [] {
    const char* text = std::getenv("PENSTOCK_TEST_CLOCK_OFFSET_MS");
    return (text == nullptr ? 0 : std::strtoll(text, nullptr, 10)) * 1'000'000;
  }();
  return offset;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void shift(timespec& at, std::int64_t by_ns) {
  const std::int64_t sum_ns = at.tv_sec * ns_per_s + at.tv_nsec + by_ns;
  at = {sum_ns / ns_per_s, sum_ns % ns_per_s};
}

} // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static auto* const real = next<int(clockid_t, timespec*)>("clock_gettime");
  const int outcome = real(clock, now);
  if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    shift(*now, offset_ns());
  return outcome;
}

extern "C" int gettimeofday(timeval* now, void*) noexcept {
  timespec at{};
  if (clock_gettime(CLOCK_REALTIME, &at) != 0) return -1;
  *now = {at.tv_sec, at.tv_nsec / 1000};
  return 0;
}

extern "C" time_t time(time_t* now) noexcept {
  timespec at{};
  (void)clock_gettime(CLOCK_REALTIME, &at);
  if (now != nullptr) *now = at.tv_sec;
  return at.tv_sec;
}

// The kernel waits by the real clock.
extern "C" int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                      const timespec* until) {
  static auto* const real =
      next<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)>("pthread_cond_timedwait");
  timespec at = *until;
  if (at.tv_sec >= min_wall_s) shift(at, -offset_ns());
  return real(condition, mutex, &at);
}
