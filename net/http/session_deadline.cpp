#include "net/http/session_deadline.hpp"

#include <algorithm>

namespace penstock {

namespace {

// A socket that takes less than this a second, beyond the timeout, is closed.
constexpr std::int64_t min_write_rate_bytes_s = 4 << 10;

} // namespace

void session_deadline::block(std::int64_t now_ns, std::int64_t timeout_ns, std::size_t sent,
                             std::size_t unsent) {
  if (!is_blocked()) {
    whose_ = owner::socket;
    blocked_since_ns_ = now_ns;
    sent_when_blocked_ = sent;
  }
  constexpr std::int64_t ns_per_ms = 1'000'000;
  const auto all = static_cast<std::int64_t>(sent_since(sent) + unsent);
  const auto latest_ns =
      blocked_since_ns_ + timeout_ns + all * 1'000 / min_write_rate_bytes_s * ns_per_ms;
  at_ns_ = std::min(now_ns + timeout_ns, latest_ns);
}

} // namespace penstock
