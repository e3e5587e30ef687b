#include "net/loop/event_loop.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <system_error>

namespace penstock {

namespace {

// The loop whose turn this thread is running: mail from a hosted actor to a neighbour needs no
// wake-up.
thread_local event_loop* current_loop = nullptr;

[[noreturn]] void throw_errno(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

} // namespace

std::int64_t event_loop::steady_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

event_loop::event_loop(caf::actor_system& sys, std::string name, clock now)
    : caf::execution_unit(&sys), name_(std::move(name)), clock_(std::move(now)) {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) throw_errno("epoll_create1");
  event_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd_ < 0) throw_errno("eventfd");
  add(event_fd_, EPOLLIN | EPOLLET, nullptr);
  refresh_now();
}

event_loop::~event_loop() {
  caf::resumable* job = nullptr;
  while (ready_.pop(job))
    intrusive_ptr_release(job);
  close(event_fd_);
  close(epoll_fd_);
}

event_loop* event_loop::current() {
  return current_loop;
}

void event_loop::add(int fd, std::uint32_t epoll_events, io_handler* handler) {
  epoll_event ev{};
  ev.events = epoll_events;
  ev.data.ptr = handler;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &ev) != 0) throw_errno("epoll_ctl");
}

void event_loop::change(int fd, std::uint32_t epoll_events, io_handler* handler) {
  epoll_event ev{};
  ev.events = epoll_events;
  ev.data.ptr = handler;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, fd, &ev) != 0) throw_errno("epoll_ctl");
}

void event_loop::remove(int fd) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

std::int64_t event_loop::refresh_now() {
  return now_ns_ = clock_();
}

void event_loop::wake() {
  std::uint64_t one = 1;
  [[maybe_unused]] auto n = write(event_fd_, &one, sizeof one);
}

void event_loop::stop() {
  stopped_.store(true);
  wake();
}

void event_loop::exec_later(caf::resumable* job) {
  if (job->subtype() != caf::resumable::io_actor) {
    system().scheduler().enqueue(job);
    return;
  }
  ready_.push(job);
  wake_if_asleep();
}

void event_loop::post(std::function<void()> what) {
  {
    const std::lock_guard hold{posting_};
    posted_.push_back(std::move(what));
  }
  has_posted_.store(true);
  wake_if_asleep();
}

// Sequentially consistent with wait_ms(): either we see it asleep, or it sees what there is to do.
void event_loop::wake_if_asleep() {
  if (current_loop != this && sleeping_.load() && sleeping_.exchange(false)) wake();
}

void event_loop::run_posted() {
  if (!has_posted_.exchange(false)) return;
  std::vector<std::function<void()>> all;
  {
    const std::lock_guard hold{posting_};
    all.swap(posted_);
  }
  for (const auto& each : all)
    each();
}

bool event_loop::run_ready_actors() {
  caf::resumable* job = nullptr;
  for (std::size_t round = 0; round < max_actor_rounds; ++round) {
    if (!ready_.pop(job)) return false;
    switch (job->resume(this, std::numeric_limits<std::size_t>::max())) {
    case caf::resumable::resume_later:
      ready_.push(job);
      break;
    case caf::resumable::shutdown_execution_unit:
      stopped_.store(true);
      [[fallthrough]];
    case caf::resumable::done:
    case caf::resumable::awaiting_message:
      intrusive_ptr_release(job);
      break;
    }
  }
  return true;
}

int event_loop::wait_ms() {
  sleeping_.store(true);
  if (!ready_.empty() || has_posted_.load() || stopped_.load()) {
    sleeping_.store(false);
    return 0;
  }
  auto left_ns = std::min(next_tick_ns_, wake_at_ns_) - now_ns_;
  return left_ns <= 0 ? 0 : static_cast<int>(left_ns / 1'000'000 + 1);
}

void event_loop::run() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  while (!stopped_.load(std::memory_order_relaxed))
    turn(wait_ms());
}

void event_loop::turn(int max_wait_ms) {
  current_loop = this;
  std::array<epoll_event, max_events_per_turn> events;
  auto n = epoll_wait(epoll_fd_, events.data(), static_cast<int>(events.size()), max_wait_ms);
  sleeping_.store(false);
  if (refresh_now() >= wake_at_ns_) wake_at_ns_ = std::numeric_limits<std::int64_t>::max();
  for (int i = 0; i < n; ++i) {
    if (auto* handler = static_cast<io_handler*>(events[i].data.ptr)) {
      handler->on_io(events[i].events);
    } else {
      std::uint64_t count;
      [[maybe_unused]] auto r = read(event_fd_, &count, sizeof count);
    }
  }
  // An actor that ends takes its client away, but no client does so while clients are called.
  for (loop_client* each : clients_)
    each->after_io();
  run_posted();
  run_ready_actors();
  if (now_ns_ >= next_tick_ns_) {
    next_tick_ns_ = now_ns_ + tick_ms * 1'000'000;
    for (loop_client* each : clients_)
      each->on_tick();
  }
  for (loop_client* each : clients_)
    each->end_turn();
  current_loop = nullptr;
}

} // namespace penstock
