#include "actors/replication/replica_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "actors/journal/journal_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>

namespace penstock {

void replica_state::start(replica_parts parts) {
  parts_ = std::move(parts);
  last_tick_ = self_->clock().now();
  for (const auto& held : parts_.store->list())
    origins_[held.tag] = {.node = held.node,
                          .heard = last_tick_,
                          .appended_seq = held.settled_seq,
                          .confirmed_seq = held.forgotten_seq};
  show();
}

// -- taking ---------------------------------------------------------------------------------------

void replica_state::on_batch(const replica_batch& batch) {
  const auto sender = sender_as<replicator_handle>(self_);
  if (!sender) return;
  const auto known = origins_.find(batch.tag);
  const bool is_new = known == origins_.end();
  if (is_new || (!known->second.is_adopted && known->second.node != batch.node))
    if (auto added = parts_.store->add_origin(batch.tag, batch.node); !added) {
      parts_.metrics->refusals.add();
      self_->send(sender, replica_held{
                              .session = batch.session, .ok = false, .why = added.error().message});
      return;
    }
  auto& from = origins_[batch.tag];
  if (is_new) from.appended_seq = parts_.store->settled_seq(batch.tag);
  from.node = batch.node;
  from.heard = self_->clock().now();
  from.confirmed_seq = std::max(from.confirmed_seq, batch.confirmed_seq);
  from.asks = sender;
  from.session = batch.session;
  if (auto taken = take(from, batch); !taken) return refuse(from, batch, taken.error());
  if (commit_sent_) return;
  commit_sent_ = true;
  self_->send(self_, commit_due{});
}

result<void> replica_state::take(origin& from, const replica_batch& batch) {
  if (from.is_adopted)
    return error{errc::unavailable, "it is publishing what it holds of this node"};
  // A session begins, or went on elsewhere: what its sinks have since then need not come.
  if (batch.after_seq > from.appended_seq || batch.rows.empty())
    if (from.confirmed_seq > from.appended_seq)
      if (auto done = forget(batch.tag, from); !done) return done;
  if (batch.after_seq > from.appended_seq)
    return error{errc::invalid, "events that come before these are missing"};
  return append(from, batch);
}

result<void> replica_state::append(origin& to, const replica_batch& batch) {
  std::uint64_t bytes = 0, events = 0;
  for (const auto& [block] : batch.rows) {
    if (!block || !is_consistent(*block)) return error{errc::corrupt, "a row contradicts itself"};
    to.is_dirty = true;
    if (auto done = parts_.store->append(batch.tag, *block); !done) return done;
    to.appended_seq = std::max(to.appended_seq, block->last_seq());
    bytes += block->bodies.size();
    events += block->size();
  }
  parts_.metrics->events.add(events);
  parts_.metrics->bytes.add(bytes);
  return {};
}

// What was taken before it in this transaction is lost with it or committed, and either way told.
void replica_state::refuse(origin& from, const replica_batch& batch, const error& why) {
  parts_.metrics->refusals.add();
  spdlog::warn("replicas: events of node {} are not kept: {}", from.node, why.message);
  if (!from.is_adopted) {
    if (from.is_dirty) (void)parts_.store->commit(batch.tag);
    from.is_dirty = false;
    from.appended_seq = parts_.store->settled_seq(batch.tag);
  }
  self_->send(from.asks, replica_held{.session = batch.session,
                                      .settled_seq = from.is_adopted ? 0 : from.appended_seq,
                                      .ok = false,
                                      .why = why.message});
  from.asks = nullptr;
}

void replica_state::commit() {
  commit_sent_ = false;
  for (auto& [tag, of] : origins_)
    if (of.asks) settle(tag, of);
}

// One answer an origin, whatever the number of its batches.
void replica_state::settle(const std::string& tag, origin& of) {
  replica_held answer{.session = of.session};
  if (of.is_dirty) {
    of.is_dirty = false;
    parts_.metrics->commits.add();
    if (auto done = parts_.store->commit(tag); !done) {
      answer.ok = false;
      answer.why = done.error().message;
      parts_.metrics->refusals.add();
      spdlog::error("replicas: events of node {} are not kept: {}", of.node, answer.why);
    }
  }
  answer.settled_seq = of.appended_seq = parts_.store->settled_seq(tag);
  self_->send(of.asks, std::move(answer));
  of.asks = nullptr;
}

// -- forgetting -----------------------------------------------------------------------------------

void replica_state::on_update(const replica_news& update) {
  const auto at = origins_.find(update.tag);
  if (at == origins_.end()) return;
  auto& of = at->second;
  of.heard = self_->clock().now();
  of.confirmed_seq = std::max(of.confirmed_seq, update.confirmed_seq);
  // What was told before is still true.
  if (auto told = told_backlog::make(update)) of.told = std::move(told);
  make_room(update.tag, of);
}

// As the keeper does in the node's own journal. Of one origin at a time, so that batches of others
// are taken in between.
void replica_state::make_room(const std::string& tag, origin& of) {
  const auto keeper = parts_.store->keeper(tag);
  if (!of.told || !keeper) return; // or its journal is closed: it is adopted
  if (!of.room) {
    const auto& options = parts_.store->options();
    const auto told = [this, tag]() -> result<std::shared_ptr<const backlog_events>> {
      return std::shared_ptr<const backlog_events>{origins_.at(tag).told};
    };
    of.room.emplace(space_parts{keeper, parts_.store->catalog(tag), told, options.max_bytes,
                                options.segment_max_bytes, max_replica_room_pass_bytes, true});
  }
  const auto now_ms = [this] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               self_->clock().now().time_since_epoch())
        .count();
  };
  const auto written = of.room->moved_bytes();
  const auto made = of.room->make_room(std::numeric_limits<std::int64_t>::max(), now_ms);
  parts_.metrics->moved_bytes.add(of.room->moved_bytes() - written);
  auto problem = made.done ? std::string{} : made.done.error().message;
  if (!problem.empty() && problem != of.room_problem)
    spdlog::error("replicas: no room is made in what is held of node {}, trying again: {}", of.node,
                  problem);
  of.room_problem = std::move(problem);
}

result<void> replica_state::forget(const std::string& tag, origin& of) {
  auto done = parts_.store->forget_up_to(tag, of.confirmed_seq);
  if (done)
    of.appended_seq = std::max(of.appended_seq, of.confirmed_seq);
  else
    spdlog::error("replicas: what node {} has published can't be let go of: {}", of.node,
                  done.error().message);
  return done;
}

void replica_state::on_tick() {
  const auto now = self_->clock().now();
  // Who slept heard nobody, and does not know yet who lives.
  if (now - last_tick_ > 3 * replica_interval)
    for (auto& [tag, of] : origins_)
      of.heard += now - last_tick_;
  last_tick_ = now;
  for (const auto& held : parts_.store->list())
    look_after(held.tag, held, origins_[held.tag]);
  show();
  self_->delayed_send(self_, replica_interval, replica_tick{});
}

void replica_state::look_after(const std::string& tag, const replica_info& held, origin& of) {
  if (of.confirmed_seq > held.forgotten_seq && !forget(tag, of)) return;
  const auto silent = self_->clock().now() - of.heard;
  if (parts_.adopt_after_ms.count() == 0 || silent < parts_.adopt_after_ms || of.asks) return;
  if (held.settled_seq <= std::max(held.forgotten_seq, of.confirmed_seq)) {
    of.room.reset();
    if (parts_.store->remove(tag)) origins_.erase(tag); // nothing is owed
    return;
  }
  if (!parts_.adopter || self_->clock().now() < of.adopt_again) return;
  of.room.reset();
  if (auto released = parts_.store->release(tag); !released) return;
  spdlog::warn("replicas: node {} has not been heard of for {} s; its events are published here",
               of.node, std::chrono::duration_cast<std::chrono::seconds>(silent).count());
  of.is_adopted = true;
  self_->send(parts_.adopter, adopt_replica{tag, of.node, of.told});
}

void replica_state::on_adopted(const replica_adopted& update) {
  if (update.is_done) {
    parts_.metrics->adopted.add();
    const auto gone =
        update.is_empty ? parts_.store->remove(update.tag) : parts_.store->set_aside(update.tag);
    if (gone)
      spdlog::info("replicas: the events of node {} are published{}", update.node,
                   update.is_empty
                       ? std::string{}
                       : fmt::format("; dead letters, and what consumers of its queue did "
                                     "not have, are left in replicas/{}.adopted",
                                     update.tag));
    else
      spdlog::error("replicas: {}", gone.error().message);
    origins_.erase(update.tag);
    return;
  }
  spdlog::error("replicas: not all events of node {} are published yet, trying again in {} s: {}",
                update.node, adopt_again_interval.count() / 1000, update.why);
  auto& of = origins_[update.tag];
  of.is_adopted = false;
  of.adopt_again = self_->clock().now() + adopt_again_interval;
  if (auto opened = parts_.store->add_origin(update.tag, of.node); !opened) {
    spdlog::error("replicas: what is held of node {}: {}", of.node, opened.error().message);
    origins_.erase(update.tag);
    return;
  }
  of.appended_seq = parts_.store->settled_seq(update.tag);
}

void replica_state::show() {
  const auto all = parts_.store->list();
  std::uint64_t bytes = 0;
  for (const auto& held : all)
    bytes += held.bytes;
  parts_.metrics->origins.set(static_cast<std::int64_t>(all.size()));
  parts_.metrics->held_bytes.set(static_cast<std::int64_t>(bytes));
}

replica_self::behavior_type replica_actor(replica_self::stateful_pointer<replica_state> self,
                                          replica_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->delayed_send(self, replica_interval, replica_tick{});
  return {
      [self](const replica_batch& batch) { self->state.on_batch(batch); },
      [self](const replica_news& update) { self->state.on_update(update); },
      [self](commit_due) { self->state.commit(); },
      [self](replica_tick) { self->state.on_tick(); },
      [self](const replica_adopted& update) { self->state.on_adopted(update); },
      [self](drain) {
        self->state.commit();
        self->quit();
        return drained{};
      },
  };
}

} // namespace penstock
