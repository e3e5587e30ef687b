#include "net/http/session_steps.hpp"

#include "storage/base/assert.hpp"

namespace penstock {

namespace {

constexpr std::int64_t step_ns_per_ms = 1'000'000;
// After an error answer we read on for a while, so that closing does not reset the connection
// before the client has read the answer (RFC 9112, section 9.6).
constexpr std::int64_t linger_ms = 2000;

} // namespace

void session_steps::open() {
  step_ = step::idle;
  answered_before_ = false;
  restart_deadline();
}

bool session_steps::may_follow(step from, step to) {
  switch (to) {
  case step::idle:
    return from == step::header || from == step::body || from == step::whole;
  case step::header:
    return from == step::idle;
  case step::body:
    return from == step::header;
  case step::whole:
    return from == step::body;
  case step::ended:
    return from < step::ended;
  case step::refused:
    return from <= step::ended;
  case step::lingering:
    return from == step::refused;
  }
  return false;
}

void session_steps::enter(step to, bool all_sent) {
  PENSTOCK_ASSERT(may_follow(step_, to));
  step_ = to;
  if (!deadline_.is_blocked() || all_sent) restart_deadline();
}

void session_steps::restart_deadline() {
  const auto& s = env_.settings;
  const auto now_ns = env_.loop.now_ns();
  const auto start = [&](std::int64_t ms) { deadline_.start(now_ns, ms * step_ns_per_ms); };
  switch (step_) {
  case step::idle:
    // A new connection gets as long for its first byte as a request for its header.
    return start(answered_before_ ? s.idle_timeout_ms.count() : s.header_timeout_ms.count());
  case step::header:
    return start(s.header_timeout_ms.count());
  case step::body:
  case step::whole:
    return start(s.body_timeout_ms.count());
  case step::lingering:
    return start(linger_ms);
  case step::ended:
  case step::refused:
    return deadline_.start(now_ns); // an answer is to come, and it is ours
  }
}

} // namespace penstock
