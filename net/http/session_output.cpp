// What a session sends, and when it is closed: the socket's side of the answers, deadlines, drains.
#include "net/http/front_end_metrics.hpp"
#include "net/http/session.hpp"
#include "storage/base/assert.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace penstock {

namespace {

constexpr std::int64_t no_deadline_ns = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t max_linger_bytes = 4 << 20;
// A socket that takes less than this a second, beyond write_timeout, is closed.
constexpr std::int64_t min_write_rate_bytes_s = 4 << 10;
// When memory is scarce a client is slow that took or sent less than this a second…
constexpr std::int64_t min_scarce_rate_bytes_s = 16 << 10;
// …for so long.
constexpr std::int64_t scarce_patience_ns = 1'000'000'000;

} // namespace

// -- output ---------------------------------------------------------------------------------------

void session::note_answers() {
  const auto held = buffered_bytes(out_) + waiting_answer_bytes_ + expected_answer_bytes_;
  env_.memory.change(memory_part::answers, std::exchange(counted_answer_bytes_, held), held);
}

// No progress for write_timeout ends it, and so does progress that is too slow: a client that takes
// a byte now and then would hold its answers for ever.
void session::await_socket() {
  const auto now = env_.loop.now_ns();
  const auto timeout_ns = env_.settings.write_timeout_ms.count() * ns_per_ms;
  if (blocked_since_ns_ == 0) {
    blocked_since_ns_ = now;
    sent_when_blocked_ = sent_;
  }
  PENSTOCK_ASSERT(sent_when_blocked_ <= sent_ && sent_ <= out_.size());
  const auto all = static_cast<std::int64_t>(out_.size() - sent_when_blocked_);
  const auto latest =
      blocked_since_ns_ + timeout_ns + all * 1'000 / min_write_rate_bytes_s * ns_per_ms;
  deadline_ns_ = std::min(now + timeout_ns, latest);
  deadline_moved_ = true;
}

void session::flush() {
  output_noted_ = false;
  if (fd_ < 0) return;
  while (sent_ < out_.size()) {
    auto n = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return close();
      return await_socket();
    }
    sent_ += static_cast<std::size_t>(n);
    PENSTOCK_ASSERT(sent_ <= out_.size());
    env_.metrics.bytes_out.add(static_cast<std::uint64_t>(n));
  }
  after_sent();
}

void session::after_sent() {
  give_back(out_);
  note_answers();
  sent_ = unsent_answers_ = 0;
  blocked_since_ns_ = 0;
  if (close_when_sent_) return failed_ && !input_ended_ ? linger() : close();
  if (draining_ && pending() == 0 && phase_ == phase::idle && in_.empty()) return close();
  if (in_take_) return; // a 100 Continue: parsing goes on below us
  if (deadline_moved_ || phase_ == phase::idle) set_phase(phase_);
  if (!goes_on_) take_what_waits();
}

// What the full pipeline, the full socket or the other connections kept waiting.
void session::take_what_waits() {
  if (std::exchange(finishes_later_, false)) finish_request();
  if (fd_ < 0) return;
  if (!in_.empty() && !no_more_requests_) {
    auto waiting = std::move(in_);
    in_.clear();
    waiting.reserve(waiting.size() + 64);
    take(waiting.data(), waiting.size(), true);
  }
  if (fd_ >= 0 && readable_) read();
}

bool session::go_on() {
  if (!std::exchange(goes_on_, false) || fd_ < 0) return false;
  // The client was not late while it waited for us.
  const auto waited_ns = env_.loop.now_ns() - waits_since_ns_;
  if (deadline_ns_ != no_deadline_ns) deadline_ns_ += waited_ns;
  phase_since_ns_ += waited_ns;
  if (sent_ < out_.size()) return false; // after_sent() goes on
  if (phase_ == phase::lingering) return discard(), true;
  work_turn_ = env_.turn;
  work_bytes_ = 0;
  has_pass_ = true;
  take_what_waits();
  has_pass_ = false;
  return true;
}

void session::linger() {
  ::shutdown(fd_, SHUT_WR);
  set_phase(phase::lingering);
  give_back(in_);
  note_input();
  readable_ = true;
  discard();
}

void session::discard() {
  while (fd_ >= 0 && lingered_bytes_ < max_linger_bytes) {
    auto n = ::recv(fd_, env_.scratch.data(), session_environment::receive_bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) break;
    lingered_bytes_ += static_cast<std::size_t>(n);
  }
  close();
}

// -- time -----------------------------------------------------------------------------------------

void session::check_deadline(std::int64_t now_ns) {
  if (fd_ < 0 || now_ns < deadline_ns_ || goes_on_) return; // goes_on_: it waits for us
  bool unsent = sent_ < out_.size();
  if (unsent) {
    env_.metrics.count(timeout_kind::write);
    return close();
  }
  if (phase_ == phase::lingering) return close();
  if (pending() > 0) {
    deadline_ns_ = no_deadline_ns; // it is we who are late; after_sent() sets a new one
    deadline_moved_ = true;
    return;
  }
  if (phase_ == phase::idle) {
    env_.metrics.count(timeout_kind::idle);
    return close();
  }
  env_.metrics.count(phase_ == phase::body ? timeout_kind::body : timeout_kind::header);
  reject(408, "The request did not arrive in time.");
}

std::size_t session::bytes_kept_by_slowness(std::int64_t now_ns) const {
  if (fd_ < 0) return 0;
  const bool unsent = sent_ < out_.size();
  // A request that is behind one of ours that takes long is not its client's fault.
  const bool arriving =
      (phase_ == phase::header || phase_ == phase::body) && pending() == 0 && !no_more_requests_ &&
      !goes_on_;
  if (!unsent && !arriving) return 0;
  const auto since = unsent ? blocked_since_ns_ : phase_since_ns_;
  if (since == 0 || now_ns - since < scarce_patience_ns) return 0;
  PENSTOCK_ASSERT(!unsent || sent_ >= sent_when_blocked_);
  const auto moved = unsent ? sent_ - sent_when_blocked_ : arriving_bytes();
  const auto waited_ms = (now_ns - since) / ns_per_ms;
  const bool slow =
      static_cast<std::int64_t>(moved) * 1'000 < waited_ms * min_scarce_rate_bytes_s;
  return slow ? held_bytes() : 0;
}

void session::give_up_on_client() {
  if (sent_ < out_.size()) {
    env_.metrics.count(shed_reason::slow_client);
    return close();
  }
  take_no_more();
  give_back(in_);
  note_input();
  env_.handler.on_overload(*this, shed_reason::slow_client);
}

void session::drain() {
  draining_ = true;
  if (fd_ >= 0 && pending() == 0 && phase_ == phase::idle && sent_ == out_.size() && in_.empty())
    close();
}

} // namespace penstock
