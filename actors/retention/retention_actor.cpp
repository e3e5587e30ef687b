#include "actors/retention/retention_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

void retention_state::start(retention_parts parts) {
  parts_ = std::move(parts);
  space_parts space{
      parts_.segments, parts_.catalog, {}, parts_.max_bytes, parts_.segment_max_bytes};
  if (parts_.cursors)
    space.backlog = backlog_by_cursors(parts_.cursors, parts_.routes, parts_.queue);
  space_.emplace(std::move(space));
}

void retention_state::on_confirmed(const confirmed_up_to& update) {
  auto& seq = confirmed_[update.sink];
  seq = std::max(seq, update.seq);
}

std::uint64_t retention_state::confirmed() const {
  auto lowest = parts_.catalog->durable_seq();
  for (const auto& sink : parts_.sinks) {
    const auto told = confirmed_.find(sink);
    lowest = std::min(lowest, told == confirmed_.end() ? 0 : told->second);
  }
  return lowest;
}

void retention_state::note(const char* what, const result<void>& outcome) {
  auto& last = last_problem_[what];
  if (outcome) {
    last.clear();
    return;
  }
  parts_.metrics->failures.add();
  if (outcome.error().message != last)
    spdlog::error("keeper: {} failed, trying again: {}", what, outcome.error().message);
  last = outcome.error().message;
}

void retention_state::upkeep() {
  // First what frees room, then what needs some.
  const auto before = parts_.wall_ms() - parts_.retention_ms.count();
  if (const auto seq = confirmed(); seq > 0) {
    const auto retired = parts_.segments->retire(seq, before);
    if (retired) parts_.metrics->retired.add(*retired);
    note("retiring segments", retired ? result<void>{} : result<void>{retired.error()});
  }
  make_room(before);
  // Before the journal fills again: without it a full disk lets nobody acknowledge anything.
  if (parts_.cursors) parts_.cursors->restore_reserve();
  note("preparing a segment", parts_.segments->prepare());
}

void retention_state::make_room(std::int64_t before_ms) {
  const auto steady_ms = [] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  const auto written = space_->moved_bytes();
  const auto made = space_->make_room(before_ms, steady_ms);
  parts_.metrics->retired.add(made.retired);
  parts_.metrics->moved.add(made.moved);
  parts_.metrics->moved_bytes.add(space_->moved_bytes() - written);
  note("making room", made.done);
}

keeper_self::behavior_type retention_actor(keeper_self::stateful_pointer<retention_state> self,
                                           retention_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  const auto work = [self] { self->state.upkeep(); };
  // Its own tick is an atom, so that an upkeep_tick from the journal starts no second series.
  self->delayed_send(self, retention_interval, caf::tick_atom::value);
  return {
      [self](const confirmed_up_to& update) {
        self->state.on_confirmed(update);
        if (const auto& also = self->state.replicator()) self->send(also, update);
      },
      [work](const upkeep_tick&) { work(); },
      [self, work](caf::tick_atom) {
        work();
        self->delayed_send(self, retention_interval, caf::tick_atom::value);
      },
      [self](const drain&) { self->quit(); },
  };
}

} // namespace penstock
