#include "actors/limiter/counters_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "actors/limiter/limiter_messages.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace penstock {

bool counters_state::write(const hand_over& what) {
  const auto done = parts_.store->save(*what.rows, what.marks);
  if (done) {
    parts_.metrics->saves.add();
    parts_.metrics->rows.add(what.rows->size());
    last_problem_.clear();
    return true;
  }
  parts_.metrics->failures.add();
  if (done.error().message != last_problem_)
    spdlog::error("limits: what clients used can't be saved, trying again: {}",
                  done.error().message);
  last_problem_ = done.error().message;
  return false;
}

bool counters_state::save(hand_over what) {
  if (write(what)) return true;
  kept_.push_back(std::move(what));
  return false;
}

std::vector<counters_state::hand_over> counters_state::retry() {
  std::vector<hand_over> done;
  for (auto& each : std::exchange(kept_, {}))
    if (save(each)) done.push_back(std::move(each));
  return done;
}

void counters_state::remove_idle() {
  if (!kept_.empty()) return; // the store has trouble enough
  const auto removed = parts_.store->remove_idle(parts_.wall_ns(), idle_rows_a_look);
  if (removed) parts_.metrics->removed.add(*removed);
}

counters_self::behavior_type counters_actor(counters_self::stateful_pointer<counters_state> self,
                                            counters_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  // Its own tick is an atom.
  self->delayed_send(self, counters_interval, caf::tick_atom::value);
  return {
      [self](const counters_changed& update) {
        const auto from = sender_as<limiter_handle>(self);
        if (self->state.save({from, update.rows, update.marks})) self->send(from, counters_saved{});
      },
      [self](caf::tick_atom) {
        for (auto& each : self->state.retry())
          self->send(each.from, counters_saved{});
        self->state.remove_idle();
        self->delayed_send(self, counters_interval, caf::tick_atom::value);
      },
      [self](drain) {
        self->quit();
        return drained{};
      },
  };
}

} // namespace penstock
