#include "tests/bench/load_worker.hpp"

#include "tests/bench/load_response.hpp"

#include <array>
#include <cerrno>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace penstock::bench {

namespace {

constexpr std::chrono::milliseconds reconnect_pause{20};
constexpr std::chrono::milliseconds longest_wait{100};
constexpr std::size_t read_bytes = 64u << 10;
constexpr std::size_t events_a_turn = 256;

} // namespace

load_worker::load_worker(const worker_options& options, request_source& requests)
    : options_(options), requests_(requests), connections_(options.connections) {
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) throw std::runtime_error("epoll_create1 failed");
}

load_worker::~load_worker() {
  for (connection& c : connections_)
    if (c.fd >= 0) ::close(c.fd);
  ::close(epoll_);
}

bool load_worker::connect_all() {
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (!open(i, true)) return false;
    idle_.push_back(i);
  }
  return true;
}

// Without `wait` the connection may still be under way, or fail, when a request is put on it: then
// the first send says so.
bool load_worker::open(std::uint32_t index, bool wait) {
  connection& c = connections_[index];
  c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
  if (c.fd < 0) return false;
  auto* address = reinterpret_cast<const sockaddr*>(&options_.address);
  if (::connect(c.fd, address, sizeof options_.address) != 0 && errno != EINPROGRESS) {
    ::close(c.fd);
    c.fd = -1;
    return false;
  }
  int on = 1;
  ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  c.busy = c.wants_write = false;
  c.in.clear();
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = index;
  return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) == 0;
}

void load_worker::run(steady::time_point start) {
  start_ = result_.last_answer = start;
  end_ = start + options_.duration;
  std::array<epoll_event, events_a_turn> events;
  for (;;) {
    auto now = steady::now();
    open_retries(now);
    begin_due(now);
    if (under_way_ == 0 && !may_begin(now)) break;
    if (now > end_ + options_.grace) break;
    auto wait = time_to_wait(now);
    timespec timeout{time_t(wait.count() / 1'000'000'000), long(wait.count() % 1'000'000'000)};
    int ready = ::epoll_pwait2(epoll_, events.data(), int(events.size()), &timeout, nullptr);
    for (int i = 0; i < ready; ++i) {
      std::uint32_t index = events[std::size_t(i)].data.u32;
      std::uint32_t what = events[std::size_t(i)].events;
      if ((what & EPOLLOUT) != 0) flush(index);
      if ((what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive(index);
    }
  }
  if (under_way_ > 0) result_.errors["unanswered"] += under_way_;
  if (options_.interval.count() == 0) return;
  auto due = std::uint64_t((options_.duration - options_.first_after) / options_.interval);
  if (options_.max_requests != 0) due = std::min(due, options_.max_requests);
  if (begun_ < due) result_.errors["unsent"] += due - begun_;
}

bool load_worker::may_begin(steady::time_point now) const {
  if (options_.max_requests != 0 && begun_ >= options_.max_requests) return false;
  if (options_.interval.count() == 0) return now < end_;
  // A late request is still sent: leaving out the late ones would flatter the latency.
  return options_.first_after + options_.interval * std::int64_t(begun_) < options_.duration &&
         now < end_ + options_.grace;
}

void load_worker::begin_due(steady::time_point now) {
  while (!idle_.empty() && may_begin(now)) {
    auto intended = now;
    if (options_.interval.count() != 0) {
      intended = start_ + options_.first_after + options_.interval * std::int64_t(begun_);
      if (intended > now) return;
    } else if (now < start_) {
      return;
    }
    std::uint32_t index = idle_.front();
    idle_.pop_front();
    begin(index, intended);
  }
}

void load_worker::begin(std::uint32_t index, steady::time_point intended) {
  connection& c = connections_[index];
  c.intended = intended;
  c.busy = true;
  ++begun_;
  ++under_way_;
  requests_.next(c.out);
  c.sent = 0;
  flush(index);
}

void load_worker::flush(std::uint32_t index) {
  connection& c = connections_[index];
  if (c.fd < 0 || !c.busy) return;
  while (c.sent < c.out.size()) {
    ssize_t n =
        ::send(c.fd, c.out.data() + c.sent, c.out.size() - c.sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return watch(index, true);
    // A server may answer and close before it has read everything: look for that answer first.
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) return receive(index);
    if (n < 0) return fail(index, errno == ECONNREFUSED ? "connect" : "send");
    c.sent += std::size_t(n);
    result_.bytes_sent += std::uint64_t(n);
  }
  watch(index, false);
}

void load_worker::watch(std::uint32_t index, bool write) {
  connection& c = connections_[index];
  if (c.wants_write == write) return;
  c.wants_write = write;
  epoll_event event{};
  event.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u32 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

void load_worker::receive(std::uint32_t index) {
  connection& c = connections_[index];
  if (c.fd < 0) return;
  static thread_local std::array<char, read_bytes> buffer;
  ssize_t n = ::recv(c.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    if (c.busy) return fail(index, n == 0 ? "closed" : "reset");
    std::erase(idle_, index);
    return reopen(index, steady::now()); // a server may close an idle connection
  }
  result_.bytes_received += std::uint64_t(n);
  c.in.append(buffer.data(), std::size_t(n));
  while (c.busy) {
    response_view response = parse_response(c.in);
    if (response.is == response_view::state::incomplete) return;
    if (response.is == response_view::state::malformed) return fail(index, "malformed");
    c.in.erase(0, response.size);
    if (response.status >= 200) finish(index, response.status, response.keep_alive);
  }
  if (c.fd >= 0 && !c.in.empty()) fail(index, "unexpected bytes");
}

void load_worker::finish(std::uint32_t index, int status, bool keep_alive) {
  connection& c = connections_[index];
  auto now = steady::now();
  result_.latency.record(std::uint64_t((now - c.intended) / std::chrono::nanoseconds(1)));
  ++result_.by_status[status];
  result_.last_answer = now;
  bool whole = c.sent == c.out.size();
  c.busy = false;
  --under_way_;
  if (!keep_alive || !whole) return reopen(index, now);
  // Straight on, if more is due, while the connection is at hand.
  idle_.push_back(index);
  begin_due(now);
}

void load_worker::fail(std::uint32_t index, const char* why) {
  connection& c = connections_[index];
  ++result_.errors[why];
  if (c.busy)
    --under_way_;
  else
    std::erase(idle_, index);
  c.busy = false;
  reopen(index, steady::now() + reconnect_pause);
}

void load_worker::reopen(std::uint32_t index, steady::time_point at) {
  connection& c = connections_[index];
  if (c.fd >= 0) ::close(c.fd);
  c.fd = -1;
  c.in.clear();
  retries_.push_back({at, index});
}

void load_worker::open_retries(steady::time_point now) {
  for (std::size_t left = retries_.size(); left > 0 && retries_.front().at <= now; --left) {
    std::uint32_t index = retries_.front().index;
    retries_.pop_front();
    if (open(index, false)) {
      idle_.push_back(index);
    } else {
      ++result_.errors["connect"];
      reopen(index, now + reconnect_pause);
    }
  }
}

std::chrono::nanoseconds load_worker::time_to_wait(steady::time_point now) const {
  auto until = now + longest_wait;
  if (!retries_.empty()) until = std::min(until, retries_.front().at);
  if (now < start_) until = std::min(until, start_);
  if (options_.interval.count() != 0 && !idle_.empty()) {
    auto due = start_ + options_.first_after + options_.interval * std::int64_t(begun_);
    until = std::min(until, due);
  }
  return std::max(std::chrono::nanoseconds(until - now), std::chrono::nanoseconds(0));
}

} // namespace penstock::bench
