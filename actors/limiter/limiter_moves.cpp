// Shards that come and go as the members change.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/limiter/peer_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

namespace penstock {

// A shard of this limiter goes round these roles:
//
//              source is this node, or nobody        counters came, or never will
//     foreign ───────────────────────────────► own ◄─────────────────────────────── arriving
//        ▲                                      │                                       ▲
//        └────── owner is another: pushed ──────┘          source is another            │
//        └───────────────────────────────────────────────────────────────────────────── ┘
//
// What is pushed is answered with shard_taken, and pushed again after a lost link.

limiter_cluster::peer& limiter_cluster::peer_at(std::uint16_t member) {
  if (peers_.size() <= member) peers_.resize(member + 1u);
  return peers_[member];
}

void limiter_cluster::on_placement(const placement_ptr& to) {
  const placement_ptr before = places_;
  places_ = to;
  placed_ns_ = parts_.steady_ns();
  bool has_backup = false;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    has_backup = has_backup || places_->shards[shard].backup != no_member;
  with_.ledger->inform_backup(has_backup);
  desk_.note_changes(has_backup);
  note_dead(before.get());
  if (!places_->includes_self)
    forget_leases();
  else if (before && before->epoch + 1 < places_->epoch)
    give_back(purse_.collect_all()); // this node may have been taken out meanwhile
  std::bitset<shard_count> told_anew;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    if (!is_mine(shard)) continue;
    const shard_place& at = places_->shards[shard];
    if (at.owner == parts_.self)
      place_own(shard, at, before.get());
    else
      place_foreign(shard, at, before.get());
    const bool other_backup = !before || before->shards[shard].backup != at.backup;
    if (roles_[shard] != role::own || !other_backup) continue;
    with_.ledger->mark_shard(shard);
    told_anew[shard] = true;
  }
  desk_.mark_shards(told_anew);
  whole_due_ |= told_anew;
  reclaim();
  send_moves();
  send_returns();
  ask_waiting();
  back_up();
  show();
}

void limiter_cluster::place_own(std::uint32_t shard, const shard_place& at,
                                const placement* before) {
  last_copies_[shard] = false;
  // Who owned it, but not by the view before this one, was taken out meanwhile and did not notice:
  // others have gone on.
  if (roles_[shard] == role::own && at.source == parts_.self) return;
  if (roles_[shard] == role::own) roles_[shard] = role::foreign;
  const arrival& coming = arrivals_[shard];
  const bool waits = roles_[shard] == role::arriving && coming.from != no_member;
  const bool had_it = at.source == parts_.self && at.source_owned; // by the view before
  if (arrived_epoch_[shard] != 0 && arrived_epoch_[shard] + had_it >= places_->epoch) {
    begin(shard, false);
  } else if (waits && at.source == parts_.self && is_member(coming.from)) {
    // The counters are still to come from who had them before this node was to.
  } else if (waits && !coming.is_copy && at.source == parts_.self && at.backup != no_member) {
    await(shard, at.backup); // who had them is gone; that one has what it streamed
  } else if (roles_[shard] == role::foreign && had_it && places_->was_shared) {
    // They come by the view before, which this node never saw.
    await(shard, any_member, unseen_timeout_ns);
  } else if (roles_[shard] == role::foreign && at.source == parts_.self && at.backup != no_member &&
             !has_whole_copy(shard, before)) {
    // Who was the dead owner's backup until shortly before has more.
    await(shard, at.backup, unseen_timeout_ns).is_copy = true;
  } else if (at.source == parts_.self || at.source == no_member) {
    take_over(shard, at, waits);
  } else if (!waits || coming.from != at.source) {
    await(shard, at.source);
  }
}

// With all counters that will come. Who owned the shard stopped before it sent them; who was its
// backup did not know whether the owner had.
void limiter_cluster::begin(std::uint32_t shard, bool owner_sent) {
  if (owner_sent || places_->confirmed)
    become_owner(shard);
  else
    await(shard, no_member);
}

// What was a dead node's, or nobody's. It must not be able to decide any more.
void limiter_cluster::take_over(std::uint32_t shard, const shard_place& at, bool waited) {
  if (!places_->confirmed) {
    await(shard, no_member);
    return;
  }
  if (waited)
    parts_.metrics->moves_incomplete.add();
  else if (at.source == parts_.self)
    parts_.metrics->shards_taken_over.add();
  become_owner(shard);
}

limiter_cluster::arrival& limiter_cluster::await(std::uint32_t shard, std::uint16_t from,
                                                 std::int64_t patience_ns) {
  roles_[shard] = role::arriving;
  return arrivals_[shard] = {from, false, places_->epoch, placed_ns_ + patience_ns};
}

// Whether this node, that was the backup, was told all by the owner, or by one that does not say.
bool limiter_cluster::has_whole_copy(std::uint32_t shard, const placement* before) const {
  if (whole_copies_[shard]) return true;
  if (!before) return false;
  const std::uint16_t owner = before->shards[shard].owner;
  const std::uint32_t version = owner < peers_.size() ? peers_[owner].version : 0;
  return version != 0 && version < whole_wire_version;
}

bool limiter_cluster::is_member(std::uint16_t number) const {
  if (number == any_member) return true;
  return number < places_->members.size() && !places_->members[number].empty();
}

void limiter_cluster::place_foreign(std::uint32_t shard, const shard_place& at,
                                    const placement* before) {
  const role was = roles_[shard];
  const bool missed_views = before && before->epoch + 1 < places_->epoch;
  if (may_have_last_copy(before, shard)) last_copies_[shard] = true;
  const bool was_backup = before && before->shards[shard].backup == parts_.self;
  if (was == role::own)
    whole_copies_[shard] = places_->includes_self && at.backup == parts_.self;
  else if (missed_views || !places_->includes_self || (was_backup && at.backup != parts_.self))
    whole_copies_[shard] = false;
  if (!places_->includes_self) {
    // The others went on without this node; what it has is old.
    roles_[shard] = role::foreign;
    last_copies_[shard] = false;
    std::erase_if(moves_, [shard](const move& each) { return each.shard == shard; });
  } else if (was == role::own) {
    roles_[shard] = role::foreign;
    // A view that this node never saw may have given the shard to somebody who waits for it.
    push(shard, at.source == no_member || at.source == parts_.self ? at.owner : at.source);
  } else if (was == role::arriving) {
    // Pushed on when it has come or, where all is here, when nobody else may decide any more.
    const arrival& coming = arrivals_[shard];
    if (coming.from == no_member ? !places_->confirmed : arrived_epoch_[shard] < coming.epoch)
      return;
    roles_[shard] = role::foreign;
    push(shard, at.owner);
  } else if (at.source == parts_.self && missed_views) {
    await(shard, any_member); // it was to come here by a view that this node never saw
  } else if (at.source == parts_.self) {
    last_copies_[shard] = true; // what a dead owner had streamed to this node
  }
  if (was != role::foreign) last_copies_[shard] = false;
  if (!last_copies_[shard] || !places_->confirmed) return;
  last_copies_[shard] = false;
  push(shard, at.owner);
}

// Whether who had the shard's counters is gone, perhaps before it handed them over to the owner,
// which waits for what was streamed to this node then.
bool limiter_cluster::may_have_last_copy(const placement* before, std::uint32_t shard) const {
  const shard_place& at = places_->shards[shard];
  if (!before || at.backup != parts_.self || at.source != at.owner) return false;
  const shard_place& was = before->shards[shard];
  if (was.owner != at.owner) return !is_member(was.owner);
  return was.source != at.owner && was.source != no_member && !is_member(was.source);
}

void limiter_cluster::become_owner(std::uint32_t shard) {
  roles_[shard] = role::own;
  whole_due_[shard] = true;
  whole_copies_[shard] = false;
  std::erase_if(moves_, [shard](const move& each) { return each.shard == shard; });
  take_in_leases(copies_.take_out(shard, with_.clock()));
  with_.ledger->mark_shard(shard);
}

void limiter_cluster::push(std::uint32_t shard, std::uint16_t to) {
  std::erase_if(moves_, [shard](const move& each) { return each.shard == shard; });
  moves_.push_back({shard, to, false});
}

void limiter_cluster::send_moves() {
  std::size_t sent = static_cast<std::size_t>(std::ranges::count_if(moves_, &move::sent));
  for (move& each : moves_) {
    if (sent >= max_moving_shards) return;
    if (each.sent) continue;
    const caf::actor* const to = limiter_of(each.to, each.shard);
    if (!to) continue;
    each.sent = true;
    ++sent;
    send_shard(each, *to);
  }
}

// Those of an owner, or what it told of its own.
std::vector<moved_lease> limiter_cluster::leases_of(std::uint32_t shard) {
  auto leases = desk_.take_out(shard, with_.clock());
  const auto copies = copies_.take_out(shard, with_.clock());
  leases.insert(leases.end(), copies.begin(), copies.end());
  return leases;
}

void limiter_cluster::send_shard(const move& what, const caf::actor& to) {
  withhold_leases(); // nobody may be told of a lease that went on before
  const auto rows = with_.ledger->rows_of(what.shard, with_.clock());
  std::size_t first = 0;
  do {
    const std::size_t end = std::min(first + rows_a_piece, rows.size());
    shard_rows piece;
    piece.epoch = places_->epoch;
    piece.from = places_->members.at(parts_.self);
    piece.shard = what.shard;
    piece.last = end == rows.size();
    piece.rows.assign(rows.begin() + static_cast<std::ptrdiff_t>(first),
                      rows.begin() + static_cast<std::ptrdiff_t>(end));
    if (piece.last) {
      piece.leases = leases_of(what.shard);
      if (peer_at(what.to).version >= claims_wire_version) {
        piece.version = claims_wire_version;
        for (const moved_lease& each : piece.leases)
          piece.origins.push_back(each.origin);
      }
    }
    with_.self->send(to, std::move(piece));
    first = end;
  } while (first < rows.size());
  parts_.metrics->shards_sent.add();
}

// From who is waited for, or by a view still to come: then the first whole shard, as an owner hands
// it over before it leaves, and only then may a backup of its send its copy. What somebody else
// sends late is older than what comes from there.
bool limiter_cluster::is_expected(const shard_rows& rows) const {
  const std::uint64_t seen = places_ ? places_->epoch : 0;
  if (rows.epoch > seen) return arrived_epoch_[rows.shard] <= seen;
  if (roles_[rows.shard] != role::arriving) return false;
  const std::uint16_t from = arrivals_[rows.shard].from;
  return from == any_member || (is_member(from) && places_->members[from] == rows.from);
}

void limiter_cluster::on_rows(const shard_rows& rows, const caf::actor& from) {
  if (rows.shard >= shard_count || !is_mine(rows.shard)) return;
  const std::uint32_t shard = rows.shard;
  const std::int64_t now_ns = with_.clock();
  if (roles_[shard] != role::own && is_expected(rows))
    for (const counter_row& row : rows.rows)
      if (shard_of(row.client) == shard) with_.ledger->take_in(row, now_ns);
  if (!rows.last) return;
  if (from) {
    shard_taken done;
    done.epoch = rows.epoch;
    done.shard = shard;
    with_.self->send(from, done);
  }
  if (roles_[shard] == role::own || !is_expected(rows)) return;
  (void)copies_.take_out(shard, now_ns); // older than these
  take_in_leases(with_origins(rows.leases, rows.origins));
  parts_.metrics->shards_received.add();
  arrived_epoch_[shard] = std::max(arrived_epoch_[shard], rows.epoch);
  if (!places_ || rows.epoch > places_->epoch) return; // the view that says why is still to come
  const shard_place& at = places_->shards[shard];
  if (at.owner == parts_.self) {
    begin(shard,
          at.source_owned && at.source != no_member && places_->members.at(at.source) == rows.from);
    ask_waiting();
  } else {
    roles_[shard] = role::foreign;
    push(shard, at.owner);
    send_moves();
  }
  show();
}

void limiter_cluster::on_taken(const shard_taken& done) {
  std::erase_if(moves_, [&](const move& each) { return each.shard == done.shard && each.sent; });
  send_moves();
}

// A new owner whose source says nothing goes on with what it has, but not while that source may
// still decide by an earlier view.
void limiter_cluster::end_late_moves(std::int64_t steady_ns) {
  std::size_t late = 0;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    const arrival& coming = arrivals_[shard];
    if (roles_[shard] != role::arriving || steady_ns < coming.until_ns) continue;
    const bool may_decide = !coming.is_copy && coming.from < peers_.size() &&
                            is_member(coming.from) && peers_[coming.from].epoch < places_->epoch;
    if (may_decide || !places_->confirmed) continue;
    parts_.metrics->moves_incomplete.add();
    ++late;
    if (places_->shards[shard].owner == parts_.self) {
      become_owner(shard);
    } else {
      roles_[shard] = role::foreign;
      push(shard, places_->shards[shard].owner);
    }
  }
  if (late == 0) return;
  spdlog::warn("limits: the counters of {} shards did not come; going on with what is known here",
               late);
  send_moves();
  ask_waiting();
}

void limiter_cluster::on_member_epoch(std::uint16_t member, std::uint64_t epoch) {
  auto& known = peer_at(member).epoch;
  known = std::max(known, epoch);
}

void limiter_cluster::on_peer_up(const peer_up& news) {
  peer& at = peer_at(news.member);
  at.limiters = news.limiters;
  at.version = news.version;
  at.was_lost = false;
  if (!places_) return;
  std::bitset<shard_count> told_anew;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    if (roles_[shard] == role::own && places_->shards[shard].backup == news.member) {
      with_.ledger->mark_shard(shard);
      told_anew[shard] = true;
    }
  desk_.mark_shards(told_anew);
  whole_due_ |= told_anew;
  send_moves();
  send_returns();
  ask_waiting();
}

void limiter_cluster::on_peer_down(const peer_down& news) {
  peer& at = peer_at(news.member);
  for (backup& each : backups_)
    for (const caf::actor& limiter : at.limiters)
      std::erase(each.asked, limiter.address());
  confirm_backups();
  lose_returns(news.member);
  at.limiters.clear();
  at.was_lost = true;
  for (move& each : moves_)
    if (each.to == news.member) each.sent = false;
  std::vector<owner_ask> lost;
  boost::unordered::erase_if(asks_, [&](auto& each) {
    if (each.second.waits || each.second.owner != news.member) return false;
    note_lost(each.second, each.first);
    lost.push_back(std::move(each.second));
    return true;
  });
  route_again(std::move(lost));
}

// -- upkeep ---------------------------------------------------------------------------------------

void limiter_cluster::tick() {
  const std::int64_t steady_ns = parts_.steady_ns();
  end_late_asks();
  ask_followers();
  end_late_moves(steady_ns);
  withhold_leases(steady_ns - max_lease_delay_ns);
  give_back(purse_.collect(steady_ns));
  forget_returns(steady_ns);
  send_returns();
  desk_.collect(with_.clock());
  copies_.collect(with_.clock());
  reclaim();
  back_up();
  show();
}

bool limiter_cluster::has_left() {
  give_back(purse_.collect_all());
  return moves_.empty() && are_all_returned() &&
         std::ranges::none_of(roles_, [](role each) { return each != role::foreign; });
}

void limiter_cluster::show() {
  limiter_cluster_metrics& m = *parts_.metrics;
  m.owned_shards.set(std::ranges::count(roles_, role::own));
  m.waiting_shards.set(std::ranges::count(roles_, role::arriving));
  m.leaving_shards.set(static_cast<std::int64_t>(moves_.size()));
  std::int64_t held = 0;
  for (const auto& [ignored, ask] : asks_)
    held += ask.waits ? static_cast<std::int64_t>(ask.items.size()) : 0;
  m.held_requests.set(held);
  m.leased_units.set(static_cast<std::int64_t>(purse_.units()));
  m.unsent_units.set(static_cast<std::int64_t>(unconfirmed_.all()));
}

} // namespace penstock
