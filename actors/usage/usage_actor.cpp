#include "actors/usage/usage_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

namespace penstock {

// -- writing --------------------------------------------------------------------------------------

void usage_actor_state::take(const usage_batch_ptr& batch) {
  const auto size = batch->size();
  if (pending_entries_ + size > parts_.max_pending_entries) {
    parts_.metrics->lost.add(size);
    return;
  }
  parts_.metrics->entries.add(size);
  pending_entries_ += size;
  pending_.push_back(batch);
  if (parts_.pending) parts_.pending->add(size * bytes_per_pending_usage);
}

result<void> usage_actor_state::write() {
  if (pending_.empty()) return {};
  const auto written = parts_.store->write(pending_);
  note(written);
  if (!written) return written; // all of it again with the next
  pending_.clear();
  if (parts_.pending) parts_.pending->sub(pending_entries_ * bytes_per_pending_usage);
  pending_entries_ = 0;
  return {};
}

usage_written usage_actor_state::write_now(const usage_write& more) {
  auto done = write();
  if (done && !more.batches.empty()) done = parts_.store->write(more.batches);
  if (!done) return {false, done.error()};
  return {};
}

void usage_actor_state::trim() {
  for (int i = 0; i < max_usage_trims; ++i) {
    const auto more = parts_.store->trim(parts_.keep, parts_.wall_ms(), usage_trim_rows);
    if (!more) note(more.error());
    if (!more || !*more) break;
  }
  parts_.metrics->rows.set(static_cast<std::int64_t>(parts_.store->rows()));
}

void usage_actor_state::note(const result<void>& outcome) {
  if (outcome) {
    last_problem_.clear();
    return;
  }
  parts_.metrics->failures.add();
  if (outcome.error().message != last_problem_)
    spdlog::error("usage: can't be written, trying again: {}", outcome.error().message);
  last_problem_ = outcome.error().message;
}

usage_self::behavior_type usage_actor(usage_self::stateful_pointer<usage_actor_state> self,
                                      usage_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->delayed_send(self, usage_write_interval, caf::tick_atom::value);
  return {
      [self](const usage_batch_ptr& batch) { self->state.take(batch); },
      [self](const usage_write& more) { return self->state.write_now(more); },
      [self](caf::tick_atom) {
        (void)self->state.write();
        self->state.trim();
        self->delayed_send(self, usage_write_interval, caf::tick_atom::value);
      },
      [self](const drain&) {
        (void)self->state.write();
        self->quit();
        return drained{};
      },
  };
}

// -- reading --------------------------------------------------------------------------------------

void lower_thread_priority() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) ::setpriority(PRIO_PROCESS, 0, 19);
}

namespace {

usage_answer answer_to(const usage_reader_parts& parts, const usage_query& query) {
  const auto deadline = std::chrono::steady_clock::now() + max_usage_report_time;
  auto report = parts.reader->run(query, [&] {
    return parts.stopping->load(std::memory_order_relaxed) ||
           std::chrono::steady_clock::now() >= deadline;
  });
  if (!report) return {false, report.error(), {}};
  return {true, {}, std::move(*report)};
}

} // namespace

usage_reader_handle::behavior_type
usage_reader_actor(usage_reader_handle::stateful_pointer<usage_reader_state> self,
                   usage_reader_parts parts) {
  end_process_on_exception(self);
  self->state.parts = std::move(parts);
  return {
      [self](const usage_query_ptr& query) -> usage_answer_ptr {
        auto& own = self->state.parts;
        // Here rather than above, where it might still be the thread that spawns.
        if (own.yields) lower_thread_priority();
        own.yields = false;
        return std::make_shared<const usage_answer>(answer_to(own, *query));
      },
      [self](const drain&) { self->quit(); },
  };
}

} // namespace penstock
