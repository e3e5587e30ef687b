// One thread's event loop: sockets, timers and actors take turns on it.
#pragma once

#include "actors/base/compat.hpp"

#include <boost/lockfree/queue.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

namespace penstock {

/// Gets a descriptor's readiness. It may close other handlers' descriptors, but must not destroy a
/// handler before loop_client::end_turn(): the turn may still hold events for it.
class io_handler {
 public:
  virtual void on_io(std::uint32_t epoll_events) = 0;

 protected:
  ~io_handler() = default;
};

/// Hooks into the phases of a turn; see event_loop.
class loop_client {
 public:
  virtual void after_io() = 0; ///< every ready descriptor was served: send what was collected
  virtual void end_turn() = 0; ///< every ready actor ran: write answers, destroy what was closed
  virtual void on_tick() = 0;  ///< every event_loop::tick_ms: look at deadlines

 protected:
  ~loop_client() = default;
};

/// A turn is: wait for descriptors; serve those that are ready (on_io); after_io; run the actors
/// that have mail until none has; end_turn. So all requests that arrived together leave as one
/// message, their verdicts come back within the turn when the limiter lives here too, and nothing
/// on the way takes a lock: actors hosted here run only on this thread (see hosted_actor), and
/// mail from other threads arrives through a lock-free queue and, if the loop sleeps, an eventfd.
/// In a cluster the first of a node's loops carries its links, too (see link_multiplexer).
///
/// It is epoll with edge triggering rather than an Asio io_context because that saves, for each
/// request, a receive call that finds nothing, an operation object and four uncontended locks; see
/// docs/decisions/002-own-event-loop.md for the figures.
class event_loop final : public caf::execution_unit {
 public:
  static constexpr std::size_t max_events_per_turn = 256;
  static constexpr std::size_t max_hosted_actors = 4096;
  static constexpr std::size_t max_actor_rounds = 64;
  static constexpr std::int64_t tick_ms = 50;

  /// Gives nanoseconds that never go back; called on the loop's thread.
  using clock = std::function<std::int64_t()>;
  static std::int64_t steady_clock_ns();

  /// Throws std::system_error if the kernel gives no epoll or eventfd descriptor.
  event_loop(caf::actor_system& sys, std::string name, clock now = steady_clock_ns);
  ~event_loop();
  event_loop(const event_loop&) = delete;
  event_loop& operator=(const event_loop&) = delete;

  // On the loop's thread, or before run().
  /// Clients are called in the order in which they came; each must be removed before it ends.
  void add_client(loop_client* client) { clients_.push_back(client); }
  void remove_client(loop_client* client) { std::erase(clients_, client); }
  void add(int fd, std::uint32_t epoll_events, io_handler* handler);
  void change(int fd, std::uint32_t epoll_events, io_handler* handler);
  void remove(int fd);
  /// Steady time in ns, read at the start of the turn and refreshed by refresh_now().
  std::int64_t now_ns() const { return now_ns_; }
  std::int64_t refresh_now();

  /// Sleeps no longer than until then; a turn comes that soon even if nothing happens.
  void wake_at(std::int64_t steady_ns) { wake_at_ns_ = std::min(wake_at_ns_, steady_ns); }

  /// The loop whose turn the calling thread is running, or null.
  static event_loop* current();

  /// Runs turns until stop(). One thread, once.
  void run();
  /// One turn on the calling thread, which waits for descriptors no longer than `max_wait_ms`: what
  /// run() repeats, and how a test steps through it.
  void turn(int max_wait_ms);
  /// Any thread: run() returns after its present turn.
  void stop();

  /// Any thread: runs a hosted actor in a coming turn; forwards others to CAF's scheduler.
  void exec_later(caf::resumable* job) override;
  /// Any thread: calls it in a coming turn, before actors run. For what is rare: it takes a lock.
  void post(std::function<void()> what);

 private:
  void wake();
  void wake_if_asleep();
  void run_posted();
  bool run_ready_actors();
  int wait_ms();

  std::string name_;
  clock clock_;
  int epoll_fd_ = -1;
  int event_fd_ = -1;
  std::vector<loop_client*> clients_;
  std::int64_t now_ns_ = 0;
  std::int64_t next_tick_ns_ = 0;
  std::int64_t wake_at_ns_ = std::numeric_limits<std::int64_t>::max();
  std::atomic<bool> stopped_{false};
  std::atomic<bool> sleeping_{false};
  std::mutex posting_;
  std::vector<std::function<void()>> posted_;
  std::atomic<bool> has_posted_{false};
  // Bounded by the number of hosted actors, since each is in it at most once.
  boost::lockfree::queue<caf::resumable*, boost::lockfree::capacity<max_hosted_actors>> ready_;
};

} // namespace penstock
