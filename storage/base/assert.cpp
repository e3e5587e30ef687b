#include "storage/base/assert.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace penstock {

namespace {

constexpr int broken_invariant_exit = 70; // EX_SOFTWARE, as for an exception in an actor
std::atomic<assertion_listener> listener_of_assertions{nullptr};

} // namespace

void listen_to_assertions(assertion_listener listener) {
  listener_of_assertions.store(listener);
}

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  // Nothing here allocates: memory may be what is broken.
  char sentence[512];
  std::snprintf(sentence, sizeof sentence, "broken invariant: %s (%s:%d)", condition, file, line);
  // A listener that fails itself must not come back here.
  if (const auto listener = listener_of_assertions.exchange(nullptr))
    listener(sentence);
  else
    std::fprintf(stderr, "%s\n", sentence);
  std::_Exit(broken_invariant_exit);
}

} // namespace penstock
