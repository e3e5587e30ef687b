#include "actors/replication/replicator.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/idempotency/claim_messages.hpp"
#include "actors/replication/replica_actor.hpp"
#include "actors/replication/replica_backlog.hpp"
#include "actors/replication/replica_keys.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace penstock {

void replicator_state::start(replicator_parts parts) {
  parts_ = std::move(parts);
  parts_.reader->want_keys();
  is_partial_ = parts_.lost_some;
  idle_since_ = now();
}

std::int64_t replicator_state::now_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now().time_since_epoch()).count();
}

// -- what is to be held ---------------------------------------------------------------------------

void replicator_state::on_streams(const replicated_streams& which) {
  // Of streams that were replicated so far something may be held and not be published yet.
  auto sinks = std::move(streams_.sinks);
  streams_ = which;
  streams_.sinks.insert(streams_.sinks.end(), sinks.begin(), sinks.end());
  std::ranges::sort(streams_.sinks);
  streams_.sinks.erase(std::ranges::unique(streams_.sinks).begin(), streams_.sinks.end());
  if (!streams_.wanted) end_session();
}

void replicator_state::on_rows(const journal_rows& durable) {
  for (const auto& row : durable.rows) {
    // What is durable is in the journal, which a session begins with.
    if (at_ != stage::sending || is_reading_ || row->last_seq() <= sent_seq_) continue;
    pending_.add(row);
  }
  if (pending_.bytes() > parts_.max_pending_bytes) {
    pending_.clear();
    is_reading_ = true;
  }
  pump();
}

void replicator_state::on_confirmed(const confirmed_up_to& update) {
  auto& seq = confirmed_[update.sink];
  seq = std::max(seq, update.seq);
}

/// All sinks of replicated streams have what is up to here.
std::uint64_t replicator_state::confirmed() const {
  auto lowest = parts_.catalog->durable_seq();
  for (const auto& sink : streams_.sinks) {
    const auto told = confirmed_.find(sink);
    lowest = std::min(lowest, told == confirmed_.end() ? 0 : told->second);
  }
  return lowest;
}

// -- who holds it ---------------------------------------------------------------------------------

void replicator_state::on_peer_up(const peer_up& up) {
  std::erase_if(peers_, [&](const peer& known) { return known.member == up.member; });
  if (holder_.member == up.member) end_session(); // another life of it
  if (up.replicas) peers_.push_back({up.member, up.address, up.replicas, up.version});
  if (at_ == stage::idle) choose();
}

void replicator_state::on_peer_down(const peer_down& down) {
  std::erase_if(peers_, [&](const peer& known) { return known.member == down.member; });
  if (holder_.member != down.member) return;
  end_session();
  choose();
}

void replicator_state::choose() {
  if (!streams_.wanted) return;
  std::vector<std::string> candidates;
  std::vector<const peer*> those;
  for (const auto& one : peers_)
    if (one.not_before <= now()) {
      candidates.push_back(one.address);
      those.push_back(&one);
    }
  const auto chosen = holder_of(parts_.tag, candidates);
  if (!chosen) return;
  const auto& to = *those[*chosen];
  spdlog::info("the node at {} holds what this one replicates", to.address);
  parts_.metrics->holder_changes.add();
  holder_ = {to.member, to.replicas, to.version, false};
  at_ = stage::asking;
  ++session_;
  answered_at_ = now();
  self_->monitor(holder_.replicas);
  send({}, 0);
}

void replicator_state::end_session() {
  if (at_ == stage::idle) return;
  at_ = stage::idle;
  idle_since_ = now();
  self_->demonitor(holder_.replicas.address());
  holder_ = {};
  held_seq_ = 0;
  is_reading_ = true;
  is_partial_ = parts_.lost_some;
  pending_.clear();
  under_way_.clear();
  show_single();
}

void replicator_state::set_aside_holder() {
  for (auto& one : peers_)
    if (one.member == holder_.member) one.not_before = now() + holder_patience;
  end_session();
  choose();
}

// A node that ends closes its replicas before its links.
void replicator_state::on_down(const caf::actor_addr& who) {
  if (at_ != stage::idle && holder_.replicas.address() == who) set_aside_holder();
}

void replicator_state::on_held(const replica_held& update) {
  if (at_ == stage::idle || update.session != session_) return;
  if (!update.ok) {
    spdlog::warn("the node that holds what this one replicates does not: {}", update.why);
    is_refused_ = true;
    set_aside_holder();
    return show();
  }
  answered_at_ = now();
  // It says how far it has all; what lies before what the sinks have is asked for by nobody.
  held_seq_ = std::max(update.settled_seq, held_seq_);
  if (at_ == stage::asking) {
    at_ = stage::sending;
    held_seq_ = std::max(held_seq_, confirmed());
    sent_seq_ = held_seq_;
  }
  if (under_way_.drop_until(held_seq_)) is_refused_ = false;
  // Those of events that are published, too, which are not sent any more. Not to who takes nothing.
  if (!is_refused_ && !std::exchange(holder_.has_keys, true))
    for (const auto& index : indexes_)
      self_->send(index, held_by{*holder_.member});
  std::vector<publish_watches::answer> answers;
  watches_.advance(0, held_seq_, answers);
  tell(answers);
  pump();
}

// -- sending --------------------------------------------------------------------------------------

void replicator_state::pump() {
  while (at_ == stage::sending && under_way_.bytes() < max_replica_in_flight_bytes) {
    std::vector<wire_block> rows;
    std::size_t bytes = 0;
    if (is_reading_ && !take_from_journal(rows, bytes)) break;
    if (!is_reading_) take_pending(rows, bytes);
    if (rows.empty()) break;
    send(std::move(rows), bytes);
  }
  parts_.reader->release(); // an open segment can't be retired
  show();
}

/// False when it can't be read. Without rows all is read; what comes from the journal actor from
/// now on was not durable before.
bool replicator_state::take_from_journal(std::vector<wire_block>& rows, std::size_t& bytes) {
  std::vector<std::string> damage;
  auto read = parts_.reader->read_wanted(streams_.wanted, sent_seq_, max_replica_batch_bytes,
                                         max_replica_batch_rows, &damage);
  for (const auto& sentence : damage)
    spdlog::error("replicator: {}", sentence);
  is_partial_ |= !damage.empty();
  if (!read) {
    spdlog::error("replicator: the journal can't be read: {}", read.error().message);
    return false;
  }
  is_reading_ = !read->empty();
  parts_.metrics->read_blocks.add(read->size());
  for (auto& block : *read) {
    bytes += block->bodies.size();
    rows.push_back({std::move(block)});
  }
  return true;
}

void replicator_state::take_pending(std::vector<wire_block>& rows, std::size_t& bytes) {
  while (!pending_.is_empty() && rows.size() < max_replica_batch_rows) {
    const auto size = pending_.front()->bodies.size();
    if (!rows.empty() && bytes + size > max_replica_batch_bytes) break;
    bytes += size;
    rows.push_back({pending_.take()});
  }
}

void replicator_state::send(std::vector<wire_block> rows, std::size_t bytes) {
  replica_batch batch;
  batch.session = session_;
  batch.tag = parts_.tag;
  batch.node = parts_.node;
  batch.confirmed_seq = confirmed();
  if (!rows.empty()) {
    batch.after_seq = std::exchange(sent_seq_, rows.back().block->last_seq());
    if (under_way_.is_empty()) answered_at_ = now();
    std::uint64_t events = 0;
    for (const auto& row : rows)
      events += row.block->size();
    under_way_.add(sent_seq_, bytes, events, now());
    parts_.metrics->events.add(events);
    parts_.metrics->bytes.add(bytes);
    parts_.metrics->batches.add();
    // An earlier holder may have them, and must not let go of them for this one.
    batch.is_partial = std::exchange(is_partial_, false);
  }
  batch.rows = std::move(rows);
  if (holder_.version >= passing_wire_version) {
    batch.version = passing_wire_version;
    batch.keys = keys_of(batch.rows);
  }
  self_->send(holder_.replicas, std::move(batch));
}

// -- who waits ------------------------------------------------------------------------------------

void replicator_state::on_await(const await_published_ptr& request) {
  auto front_end = std::ranges::find(front_ends_, request->front_end);
  if (front_end == front_ends_.end())
    front_end = front_ends_.insert(front_ends_.end(), request->front_end);
  const auto number = static_cast<std::uint32_t>(front_end - front_ends_.begin());
  const bool is_replicated = streams_.wanted && streams_.wanted(request->stream);
  const bool nobody = at_ == stage::idle && now() - idle_since_ >= request->timeout_ms;
  std::vector<publish_watches::answer> answers;
  for (const auto& item : request->items) {
    const bool passed_over = !is_replicated || item.first_seq <= streams_.since_seq;
    if (passed_over || (nobody && item.last_seq > held_seq_))
      answers.push_back({number, item.token, false});
    else
      watches_.add(0,
                   {item.token, item.first_seq, item.last_seq, number,
                    now_ms() + request->timeout_ms.count()},
                   held_seq_, answers);
  }
  tell(answers);
}

void replicator_state::tell(const std::vector<publish_watches::answer>& answers) {
  std::map<std::uint32_t, published_update> messages;
  for (const auto& one : answers)
    messages[one.front_end].items.push_back({one.token, one.published});
  for (auto& [number, message] : messages)
    self_->send(front_ends_[number], std::move(message));
}

// -- life -----------------------------------------------------------------------------------------

void replicator_state::on_tick() {
  watches_.forget_expired(now_ms());
  const bool owes_answer = at_ == stage::asking || !under_way_.is_empty();
  if (owes_answer && now() - answered_at_ >= holder_patience) {
    spdlog::warn("the node that holds what this one replicates says nothing");
    set_aside_holder();
  } else if (at_ == stage::idle) {
    choose();
  }
  tell_peers();
  pump();
  show_single();
  self_->delayed_send(self_, replica_interval, replica_tick{});
}

// That it lives, and what need not be held any more: also to those who held something earlier.
void replicator_state::tell_peers() {
  const auto is_told = [](const peer& one) { return one.version >= delivered_wire_version; };
  const replica_news plain{.tag = parts_.tag, .confirmed_seq = confirmed()};
  const auto full = std::ranges::any_of(peers_, is_told) ? with_delivered(plain) : plain;
  for (const auto& one : peers_)
    self_->send(one.replicas, is_told(one) ? full : plain);
}

// Where all is confirmed, that says it all. First the journal, then the cursors: what is durable in
// between is owed. The keeper tells when cursors can't be read.
replica_news replicator_state::with_delivered(replica_news update) const {
  const auto there = parts_.catalog->snapshot();
  if (!parts_.cursors || !streams_.wanted || update.confirmed_seq >= there.durable_seq)
    return update;
  if (auto saved = parts_.cursors->load())
    tell_delivered(update, there, {std::move(*saved), parts_.routes, parts_.queue});
  return update;
}

// While there is no holder that has all but what is under way: by the catalog, which is looked at
// once a second.
void replicator_state::show_single() {
  if (at_ == stage::sending && !is_reading_) return;
  std::uint64_t events = under_way_.events();
  const auto known = std::max(at_ == stage::sending ? sent_seq_ : 0, confirmed());
  if (streams_.wanted) events += count_at_most(parts_.catalog->list(), streams_.wanted, known);
  parts_.metrics->single_events.set(static_cast<std::int64_t>(events));
}

void replicator_state::show() {
  auto& m = *parts_.metrics;
  // One that took nothing when it was asked last has yet to show that it does.
  const bool is_proven =
      !is_refused_ || (under_way_.is_empty() && pending_.is_empty() && !is_reading_);
  m.has_holder.set(at_ == stage::sending && is_proven ? 1 : 0);
  m.waiting_bytes.set(static_cast<std::int64_t>(under_way_.bytes()));
  m.waits.set(static_cast<std::int64_t>(watches_.size()));
  m.held_seq.set(static_cast<std::int64_t>(held_seq_));
  if (at_ == stage::sending && !is_reading_)
    m.single_events.set(static_cast<std::int64_t>(under_way_.events() + pending_.events()));
  m.lag_us.set(under_way_.is_empty() ? 0
                                     : std::chrono::duration_cast<std::chrono::microseconds>(
                                           now() - under_way_.oldest())
                                           .count());
}

replicator_self::behavior_type replicator(replicator_self::stateful_pointer<replicator_state> self,
                                          std::shared_ptr<replicator_parts> parts) {
  end_process_on_exception(self);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.on_down(down.source); });
  self->state.start(std::move(*parts));
  self->delayed_send(self, replica_interval, replica_tick{});
  return {
      [self](const replicated_streams& which) { self->state.on_streams(which); },
      [self](const journal_rows& durable) { self->state.on_rows(durable); },
      [self](const await_published_ptr& request) { self->state.on_await(request); },
      [self](const confirmed_up_to& update) { self->state.on_confirmed(update); },
      [self](const peer_up& peer) { self->state.on_peer_up(peer); },
      [self](const peer_down& peer) { self->state.on_peer_down(peer); },
      [self](const replica_held& update) { self->state.on_held(update); },
      [self](const key_indexes& of) { self->state.on_indexes(of); },
      [self](replica_tick) { self->state.on_tick(); },
      [self](drain) {
        self->state.tell_peers();
        self->quit();
        return drained{};
      },
  };
}

} // namespace penstock
