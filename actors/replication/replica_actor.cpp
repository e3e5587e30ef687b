#include "actors/replication/replica_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/replication/replica_keys.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace penstock {

namespace {

constexpr const char* ending_node = "that node ends and holds nothing new";

// Before the origin hears that its events are held, so that no repeat comes sooner; of those alone.
void tell_keys(const std::string& tag, std::vector<const_block_ptr> rows, std::uint64_t settled_seq,
               const std::vector<idempotency_handle>& indexes) {
  std::erase_if(rows, [&](const auto& row) { return row->last_seq() > settled_seq; });
  if (rows.empty()) return;
  auto all = told_to_indexes(tag, rows, indexes.size());
  for (std::size_t i = 0; i < all.size(); ++i)
    for (auto& piece : all[i])
      caf::anon_send(indexes[i], std::move(piece)); // no answer is wanted
}

// Which of the nodes in reach is the origin itself. A holder's replica actor speaks for others, and
// to those of an earlier version it says so without `by`.
void note_tag(held_passer& to, const caf::node_id& here, const held_listener_handle& from,
              const std::string& tag) {
  if (!from || from.node() == here) return;
  const auto is_sender = [&](const auto& one) { return one.replicas.address() == from.address(); };
  if (std::ranges::none_of(to.targets(), is_sender)) to.on_tag(from.node(), tag);
}

// An earlier program took its own: its journal has them, unless it was damaged.
void give_up_own(const replica_parts& parts) {
  if (parts.lost_some)
    spdlog::warn("replicas: a copy of this node's own events is set aside, since its journal has "
                 "lost some: `penstock adopt` publishes what is in it");
  const auto gone =
      parts.lost_some ? parts.store->set_aside(parts.tag) : parts.store->remove(parts.tag);
  if (!gone) spdlog::error("replicas: {}", gone.error().message);
}

} // namespace

void replica_state::start(replica_parts parts) {
  parts_ = std::move(parts);
  passer_.emplace(parts_.store);
  last_tick_ = self_->clock().now();
  for (const auto& held : parts_.store->list()) {
    if (held.tag == parts_.tag) {
      give_up_own(parts_);
      continue;
    }
    origins_[held.tag] = {.node = held.node,
                          .heard = last_tick_,
                          .appended_seq = held.settled_seq,
                          .confirmed_seq = held.forgotten_seq,
                          .partial_seq = held.partial_seq};
  }
  show();
}

// -- taking ---------------------------------------------------------------------------------------

void replica_state::on_batch(const replica_batch& batch) {
  const auto sender = sender_as<held_listener_handle>(self_);
  if (!sender) return;
  const char* const why = is_ending_                ? ending_node
                          : batch.tag == parts_.tag ? "these are its own events"
                                                    : nullptr;
  if (why) {
    parts_.metrics->refusals.add();
    return self_->send(sender, replica_held{.session = batch.session, .ok = false, .why = why});
  }
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
  if (from.asks && from.asks != sender) settle(batch.tag, from); // each gets its own answer
  from.node = batch.node;
  if (!batch.is_passed_on) {
    note_tag(*passer_, self_->node(), sender, batch.tag);
    note_life(from, sender);
    from.from_session = batch.session;
  } else if (is_new) {
    from.heard = self_->clock().now();
    from.is_gone = true; // until it says something itself
  }
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
  // Else who has all of it would take this for a second copy.
  if (batch.is_passed_on && batch.rows.empty() && !batch.is_partial && from.is_partial())
    return error{errc::unavailable, "what it holds of this node is not all that it took"};
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
  const auto rows = rows_with_keys(batch);
  if (!rows) return rows.error();
  // Before they are held, so that no end of this process comes in between.
  if (batch.is_partial && !rows->empty() && rows->back()->last_seq() > to.appended_seq) {
    to.partial_seq = std::max(to.partial_seq, rows->back()->last_seq());
    if (auto noted = parts_.store->note_partial(batch.tag, to.partial_seq); !noted) return noted;
  }
  for (const auto& block : *rows) {
    to.is_dirty = true;
    if (auto done = parts_.store->append(batch.tag, *block); !done) return done;
    to.appended_seq = std::max(to.appended_seq, block->last_seq());
    if (!block->keys.empty() && !indexes_.empty()) to.keyed.push_back(block);
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
    tell_keys(batch.tag, std::exchange(from.keyed, {}), from.appended_seq, indexes_);
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
  tell_keys(tag, std::exchange(of.keyed, {}), of.appended_seq, indexes_);
  self_->send(of.asks, std::move(answer));
  of.asks = nullptr;
}

// -- forgetting -----------------------------------------------------------------------------------

void replica_state::on_update(const replica_news& update) {
  const auto sender = sender_as<held_listener_handle>(self_);
  if (update.by.empty()) note_tag(*passer_, self_->node(), sender, update.tag);
  const auto at = origins_.find(update.tag);
  if (at == origins_.end()) return;
  auto& of = at->second;
  if (update.version >= passing_wire_version && !update.by.empty())
    return on_update_of_holder(update, of);
  note_life(of, sender);
  of.confirmed_seq = std::max(of.confirmed_seq, update.confirmed_seq);
  // What was told before is still true.
  if (auto told = told_backlog::make(update)) of.told = std::move(told);
  make_room(update.tag, of);
}

void replica_state::note_life(origin& of, const held_listener_handle& from) {
  of.heard = self_->clock().now();
  of.is_gone = false;
  if (!from || from == of.from) return;
  if (of.from) self_->demonitor(of.from.address());
  of.from = from;
  of.from_session = 0;
  self_->monitor(from);
}

// A node that ends closes its actors before its links, one that is killed with them.
void replica_state::on_down(const caf::actor_addr& who) {
  for (auto& [tag, of] : origins_)
    if (of.from && of.from.address() == who) {
      of.is_gone = true;
      of.from = nullptr; // after another break, the same handle is monitored anew
      of.from_session = 0;
    }
  go_on_passing();
}

// Of those that hold something of an origin that is away the one with most speaks for it. A copy
// that is not all speaks for none that is: both are published, and have the same ids.
void replica_state::on_update_of_holder(const replica_news& update, origin& of) {
  const bool has_as_much = update.held_seq >= of.appended_seq;
  if (update.is_published) {
    if (!has_as_much || of.is_adopted || update.is_partial) return;
    of.room.reset();
    if (parts_.store->remove(update.tag)) origins_.erase(update.tag);
    return go_on_passing();
  }
  const bool is_better =
      update.is_partial != of.is_partial()
          ? has_as_much && !update.is_partial
          : update.held_seq > of.appended_seq || (has_as_much && update.by < parts_.tag);
  if (is_better) of.spoken_for = self_->clock().now();
  of.confirmed_seq = std::max(of.confirmed_seq, update.confirmed_seq);
  // What the origin itself told is newer.
  if (!of.told) of.told = told_backlog::make(update);
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
    for (auto& [tag, of] : origins_) {
      of.heard += now - last_tick_;
      if (of.spoken_for != time_point{}) of.spoken_for += now - last_tick_;
    }
  last_tick_ = now;
  for (const auto& held : parts_.store->list())
    look_after(held.tag, held, origins_[held.tag]);
  go_on_passing();
  for (const auto& [tag, of] : origins_)
    if (of.speaks_for) tell_peers(tag, of, false);
  show();
  self_->delayed_send(self_, replica_interval, replica_tick{});
}

void replica_state::look_after(const std::string& tag, const replica_info& held, origin& of) {
  if (of.confirmed_seq > held.forgotten_seq && !forget(tag, of)) return;
  const auto now = self_->clock().now();
  const auto silent = now - std::max(of.heard, of.spoken_for);
  if (parts_.adopt_after_ms.count() == 0 || silent < parts_.adopt_after_ms || of.asks) return;
  if (held.settled_seq <= std::max(held.forgotten_seq, of.confirmed_seq)) {
    of.room.reset();
    if (parts_.store->remove(tag)) origins_.erase(tag); // nothing is owed
    return;
  }
  if (!parts_.adopter || is_ending_ || now < of.adopt_again) return;
  // First it is held twice, if that can be.
  if (const auto what = to_pass_on(held, of))
    if (!passer_->is_passed_on(*what) && passer_->has_target(*what, now)) return;
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
    const auto& of = origins_[update.tag];
    const bool is_whole = !update.is_partial && !of.is_partial();
    // Others may have what is missing here: then they publish all that they hold.
    if (is_whole) tell_peers(update.tag, of, true);
    const bool is_unused = update.is_empty && is_whole;
    const auto gone =
        is_unused ? parts_.store->remove(update.tag) : parts_.store->set_aside(update.tag);
    if (gone)
      spdlog::info("replicas: the events of node {} are published{}{}", update.node,
                   is_whole ? "" : ", but for those that can't be read or never came here",
                   is_unused ? std::string{}
                             : fmt::format("; what can't be read, dead letters, and what consumers "
                                           "of its queue did not have, are left in "
                                           "replicas/{}.adopted",
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
  // Another attempt may not find it again, as a start puts it right.
  if (!update.is_partial) return;
  of.partial_seq = std::max(of.partial_seq, of.appended_seq);
  if (auto noted = parts_.store->note_partial(update.tag, of.partial_seq); !noted)
    spdlog::error("replicas: that events of node {} can't be read is not noted: {}", of.node,
                  noted.error().message);
}

// -- passing on -----------------------------------------------------------------------------------

/// Nothing: nobody needs any of it, or its node has it and stays.
std::optional<held_origin> replica_state::to_pass_on(const replica_info& held,
                                                     const origin& of) const {
  const auto confirmed = std::max(held.forgotten_seq, of.confirmed_seq);
  const bool is_away = of.is_gone || self_->clock().now() - of.heard >= away_after;
  if (held.settled_seq <= confirmed || !(is_away || is_ending_)) return std::nullopt;
  return held_origin{held.tag, of.node, confirmed, held.settled_seq, held.partial_seq, of.told};
}

void replica_state::go_on_passing() {
  std::vector<held_origin> all;
  for (const auto& held : parts_.store->list())
    if (const auto at = origins_.find(held.tag); at != origins_.end()) {
      at->second.partial_seq = std::max(at->second.partial_seq, held.partial_seq);
      if (auto what = to_pass_on(held, at->second)) all.push_back(std::move(*what));
    }
  if (auto next = passer_->next(all, self_->clock().now())) {
    std::uint64_t events = 0, bytes = 0;
    for (const auto& [block] : next->batch.rows)
      events += block->size(), bytes += block->bodies.size();
    parts_.metrics->passed_events.add(events);
    parts_.metrics->passed_bytes.add(bytes);
    self_->send(next->to, std::move(next->batch));
  }
  show_single(all);
  if (is_ending_) end_passing(all);
}

void replica_state::show_single(const std::vector<held_origin>& all) {
  std::uint64_t events = 0;
  for (auto& [tag, of] : origins_) {
    const auto what = std::ranges::find(all, tag, &held_origin::tag);
    of.speaks_for = parts_.adopter && !is_ending_ && (what != all.end() || of.is_adopted);
    if (what != all.end())
      of.single_events = passer_->single_events(*what);
    else if (!of.is_adopted)
      of.single_events = 0;
    events += of.single_events;
  }
  parts_.metrics->single_events.set(static_cast<std::int64_t>(events));
}

// Origins look for another holder at once; what is held here goes there from here, too, as they may
// be away.
void replica_state::pass_on_all() {
  if (!is_ending_)
    for (auto& [tag, of] : origins_)
      if (of.from && of.from_session > 0)
        self_->send(of.from,
                    replica_held{.session = of.from_session, .ok = false, .why = ending_node});
  if (!is_ending_) ending_since_ = self_->clock().now();
  is_ending_ = true;
  go_on_passing();
}

void replica_state::end_passing(const std::vector<held_origin>& all) {
  if (!passed_on.pending()) return;
  if (std::ranges::any_of(origins_, [](const auto& each) { return each.second.is_adopted; }))
    return; // the adopter was told to end, and has a part
  std::uint64_t left = 0;
  for (const auto& what : all)
    left += passer_->single_events(what);
  if (left == 0)
    passed_on.deliver(held_passed_on{});
  else if (passer_->is_stuck(all, ending_since_, self_->clock().now()))
    passed_on.deliver(
        held_passed_on{left, "no other node takes them, or not all can be read here"});
}

// That what it holds of a node that is away is safe with it, or is published. Who knows neither
// takes the first for a sign of life, and by the second lets go of it.
void replica_state::tell_peers(const std::string& tag, const origin& of, bool is_published) const {
  replica_news news{.tag = tag, .confirmed_seq = of.confirmed_seq};
  if (of.told) of.told->tell(news);
  news.by = parts_.tag;
  news.held_seq = of.appended_seq;
  news.is_published = is_published;
  news.is_partial = of.is_partial();
  for (const auto& one : passer_->targets()) {
    auto told = news;
    if (one.version >= passing_wire_version)
      told.version = passing_wire_version;
    else if (is_published)
      told.confirmed_seq = of.appended_seq;
    self_->send(one.replicas, std::move(told));
  }
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
  self->set_down_handler([self](const caf::down_msg& down) { self->state.on_down(down.source); });
  self->state.start(std::move(parts));
  self->delayed_send(self, replica_interval, replica_tick{});
  return {
      [self](const replica_batch& batch) { self->state.on_batch(batch); },
      [self](const replica_news& update) { self->state.on_update(update); },
      [self](const replica_held& held) {
        self->state.passer().on_held(held, self->clock().now());
        self->state.go_on_passing();
      },
      [self](const peer_up& peer) {
        self->state.passer().on_peer_up(peer, self->clock().now());
        self->state.go_on_passing();
      },
      [self](const peer_down& peer) {
        self->state.passer().on_peer_down(peer);
        self->state.go_on_passing();
      },
      [self](pass_on_held) -> caf::result<held_passed_on> {
        self->state.passed_on = self->make_response_promise();
        const auto promise = self->state.passed_on;
        self->state.pass_on_all();
        return promise;
      },
      [self](const key_indexes& of) { self->state.on_indexes(of); },
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
