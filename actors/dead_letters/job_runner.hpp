// Runs the jobs of an actor: one chunk of each at its sink's publisher, at the job's rate.
#pragma once

#include "actors/dead_letters/dead_letter_messages.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// After something that may pass (a full disk, a busy publisher) a job tries again this much later.
inline constexpr std::chrono::milliseconds job_retry_interval{1000};
/// Bodies in one chunk, unless it is a single event.
inline constexpr std::uint64_t max_again_bytes = 1u << 20;

/// Some events of a job on their way.
struct job_chunk {
  std::string sink;
  sink_batch batch;                      ///< no events: the job is through
  std::uint64_t next_seq = 0;            ///< of a replay: where to go on
  std::vector<kept_dead_letter> letters; ///< of a retry: what the events are
};

/// What the jobs do, and how they are kept. Called on the actor's thread, which may block on the
/// disk.
struct job_hooks {
  /// The jobs that are kept, whatever their state.
  std::function<result<std::vector<delivery_job>>()> list;
  std::function<result<std::optional<delivery_job>>(std::uint64_t number)> find;
  /// The next events of a job, at most so many. Errors: not_found and invalid end it as failed;
  /// after others it tries again.
  std::function<result<job_chunk>(const delivery_job&, std::size_t max_events)> next;
  /// Makes durable what became of a chunk, with the job as it is after it, and then tells whether
  /// that worked.
  std::function<void(const delivery_job&, const job_chunk&, const again_done&,
                     std::function<void(result<void>)>)>
      settle;
  /// Makes a job durable that has no more to send: `done`, or failed if something is missing.
  std::function<result<void>(delivery_job&)> finish;
  /// Makes a job's state durable.
  std::function<result<void>(const delivery_job&)> save;
};

/// A part of an actor's state; used by its thread only. Order within a client is that of the
/// events, as a job has one chunk under way.
class job_runner {
 public:
  /// Goes on with the jobs that are kept as running.
  /// `self`: the actor, which takes job_step.
  template <class Self>
  void start(Self* self, job_kind kind, job_hooks hooks, std::function<std::int64_t()> wall_ms) {
    start({[self] { return self->clock().now(); },
           [self](const publisher_handle& to, const deliver_again_ptr& what,
                  const std::function<void(const again_done&)>& then) {
             self->request(to, caf::infinite, what).then(then, [then](const caf::error&) {
               again_done ended;
               ended.ok = false;
               ended.why = {errc::unavailable, "the publisher is gone"};
               then(ended);
             });
           },
           [self](std::chrono::microseconds delay, job_step due) {
             if (delay.count() == 0)
               self->send(self, due);
             else
               self->delayed_send(self, delay, due);
           }},
          kind, std::move(hooks), std::move(wall_ms));
  }

  /// Runs a job that is kept as running.
  void add(const delivery_job& job);
  void on_publishers(const publishers_known& update);
  void on_step(const job_step& due);
  /// Nothing new is sent from now on; jobs stay running on disk and go on at the next start. The
  /// promise is answered with `drained` when what is under way is settled or given back.
  void drain(caf::response_promise promise);

  /// All jobs, those that run as they stand.
  job_list_ptr list() const;
  job_answer get(std::uint64_t number) const;
  /// Ends a running job durably. A chunk that is under way still counts when it is settled. One
  /// that has ended stays as it is.
  job_answer cancel(std::uint64_t number);
  std::size_t running() const;

 private:
  struct running_job {
    delivery_job job;
    std::shared_ptr<const job_chunk> chunk; // that must be sent or is under way
    bool under_way = false;
    bool waking = false; // a job_step is on its way
    std::int64_t due_us = 0;
  };

  /// What the actor does for it; the two actors that have jobs are of different types.
  struct tools {
    std::function<caf::actor_clock::time_point()> now;
    std::function<void(const publisher_handle& to, const deliver_again_ptr& what,
                       const std::function<void(const again_done&)>& then)>
        deliver;
    std::function<void(std::chrono::microseconds delay, job_step due)> remind;
  };

  void start(tools with, job_kind kind, job_hooks hooks, std::function<std::int64_t()> wall_ms);
  std::int64_t now_us() const;
  const delivery_job* find(std::uint64_t number) const;
  void step(running_job& of);
  void send(running_job& of);
  void on_done(std::uint64_t number, const again_done& done);
  void on_settled(std::uint64_t number, const delivery_job& after, const result<void>& outcome);
  static std::string told(const running_job& of, const error& why);
  void try_again(running_job& of, const std::string& why);
  void fail(running_job& of, const std::string& why);
  void end(running_job& of);
  void wake(running_job& of, std::int64_t at_us);
  void tell_drained();

  tools with_;
  job_kind kind_ = job_kind::replay;
  job_hooks hooks_;
  std::function<std::int64_t()> wall_ms_;
  std::map<std::string, publisher_handle> publishers_;
  bool publishers_known_ = false;
  bool draining_ = false;
  std::vector<caf::response_promise> drained_;
  std::map<std::uint64_t, running_job> jobs_;
};

} // namespace penstock
