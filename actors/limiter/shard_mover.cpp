#include "actors/limiter/shard_mover.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

// What a shard is here, and what makes it something else. A view names the owner of each shard.
//
//                          nothing is to come, or it came before the view
//            ┌──────────────────────────────────────────────────────────────────────┐
//            │                                                                      ▼
//        ┌───────┐  a view that names this node   ┌──────────────────────┐  came  ┌─────┐
//   ───► │foreign│ ─────────────────────────────► │ arriving, waits for  │ ─────► │ own │
//        └───────┘                                │  · counters          │  late  └─────┘
//          ▲   ▲     the view names another, and  │  · better_copy       │           │
//          │   └───── they came, or are late ──── │  · unseen_move       │           │
//          │                 (push)               │  · confirmation      │           │
//          │                                      └──────────────────────┘           │
//          └───────────────────── a view that names another (push) ──────────────────┘
//
// counters:     who had them sends them, or who was streamed them if that is gone
// better_copy:  this node has a copy, but who was the dead owner's backup before it may have more
// unseen_move:  a view that this node never saw may have sent them on their way, from whomever
// confirmation: all is here, but somebody who was taken out may still decide; see placement
//
// From each of the first three a shard goes to confirmation if the view is not confirmed by then.
// What is pushed is answered with shard_taken by who keeps it, or has gone on without. Until then
// the sender has it, and pushes it again: after a lost link, and after a while.

void shard_mover::place_all(const placement* before) {
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    if (!table_.is_mine(shard)) continue;
    forget_arrival_of_no_view(shard);
    if (table_.owner_of(shard) == table_.self())
      place_own(shard, before);
    else
      place_foreign(shard, before);
  }
}

// -- towards this node ----------------------------------------------------------------------------

// Before its first view a node can't tell.
void shard_mover::forget_arrival_of_no_view(std::uint32_t shard) {
  if (is_of_no_view(arrived_epoch_[shard])) arrived_epoch_[shard] = 0;
}

bool shard_mover::is_of_no_view(std::uint64_t epoch) const {
  return table_.has_view() && epoch > table_.epoch() && epoch - table_.epoch() > max_views_ahead;
}

// It is arriving, and not only until nobody else may decide.
bool shard_mover::is_waiting(std::uint32_t shard) const {
  return table_.role_of(shard) == shard_role::arriving &&
         arrivals_[shard].what != awaited::confirmation;
}

shard_mover::way_here shard_mover::way_of(std::uint32_t shard, const placement* before) const {
  const placement& view = table_.view();
  const shard_place& at = view.shards[shard];
  const arrival& coming = arrivals_[shard];
  const bool was_here = at.source == table_.self();
  const bool had_it = was_here && at.source_owned; // by the view before
  const bool has_backup = at.backup != no_member;
  const bool is_foreign = table_.role_of(shard) == shard_role::foreign;
  const bool waits = is_waiting(shard);
  if (table_.role_of(shard) == shard_role::own && was_here) return way_here::was_own;
  if (arrived_epoch_[shard] != 0 && arrived_epoch_[shard] + had_it >= view.epoch)
    return way_here::came_before_view;
  if (waits && arrived_epoch_[shard] >= coming.epoch) return way_here::came_before_view;
  // From who had them before this node was to. Views may have named others meanwhile, who wait for
  // this node.
  if (waits && table_.is_member(coming.from)) return way_here::still_coming;
  // Who had them is gone; the backup has what it streamed.
  if (waits && coming.what != awaited::better_copy && was_here && has_backup)
    return way_here::from_backup_of_lost;
  if (is_foreign && had_it && arrived_epoch_[shard] > (before ? before->epoch : 0))
    return way_here::came_before_view; // by one that this node did not see
  if (is_foreign && had_it && view.was_shared) return way_here::by_unseen_view;
  if (is_foreign && was_here && has_backup && !copies_.has_whole(shard, before))
    return way_here::from_better_copy;
  if (was_here || at.source == no_member) return way_here::nowhere_else;
  return way_here::from_source;
}

void shard_mover::place_own(std::uint32_t shard, const placement* before) {
  last_copies_.reset(shard);
  drop_offer(shard);
  const shard_place& at = table_.view().shards[shard];
  // Who owned it, but not by the view before this one, was taken out meanwhile and did not notice:
  // others have gone on.
  if (table_.role_of(shard) == shard_role::own && at.source != table_.self())
    table_.set_role(shard, shard_role::foreign);
  const bool waited = is_waiting(shard);
  switch (way_of(shard, before)) {
  case way_here::was_own:
  case way_here::still_coming:
    return;
  case way_here::came_before_view:
    return begin(shard, false, false);
  case way_here::from_backup_of_lost:
    return await(shard, awaited::counters, at.backup);
  case way_here::by_unseen_view:
    return await(shard, awaited::unseen_move, shard_table::any_member, unseen_timeout_ns);
  case way_here::from_better_copy:
    return await(shard, awaited::better_copy, at.backup, unseen_timeout_ns);
  case way_here::nowhere_else:
    return take_over(shard, waited);
  case way_here::from_source:
    return await(shard, awaited::counters, at.source);
  }
}

// With all counters that will come. Who owned the shard stopped before it sent them; who was its
// backup did not know whether the owner had.
void shard_mover::begin(std::uint32_t shard, bool owner_sent, bool is_incomplete) {
  if (owner_sent || table_.view().confirmed) return become_owner(shard, is_incomplete);
  await(shard, awaited::confirmation, no_member);
  arrivals_[shard].is_incomplete = is_incomplete;
}

// What was a dead node's, or nobody's. It must not be able to decide any more.
void shard_mover::take_over(std::uint32_t shard, bool waited) {
  const bool lacks = waited || is_incomplete(shard);
  if (!lacks && table_.view().confirmed && table_.view().shards[shard].source == table_.self())
    context_.parts.metrics->shards_taken_over.add();
  begin(shard, false, lacks);
}

bool shard_mover::is_incomplete(std::uint32_t shard) const {
  const shard_place& at = table_.view().shards[shard];
  if (table_.role_of(shard) == shard_role::arriving && arrivals_[shard].is_incomplete) return true;
  if (at.lost) return true;
  const bool is_heir = at.source == table_.self() && !at.source_owned;
  return is_heir && !copies_.has_whole(shard, nullptr);
}

void shard_mover::await(std::uint32_t shard, awaited what, std::uint16_t from,
                        std::int64_t patience_ns) {
  PENSTOCK_ASSERT((what == awaited::confirmation) == (from == no_member));
  table_.set_role(shard, shard_role::arriving);
  arrivals_[shard] = {what, from, table_.epoch(), table_.viewed_ns() + patience_ns, false};
}

void shard_mover::become_owner(std::uint32_t shard, bool is_incomplete) {
  PENSTOCK_ASSERT(table_.role_of(shard) != shard_role::own);
  PENSTOCK_ASSERT(table_.owner_of(shard) == table_.self());
  if (is_incomplete) context_.parts.metrics->moves_incomplete.add();
  table_.set_role(shard, shard_role::own);
  handed_over_.reset(shard);
  copies_.set_whole(shard, false);
  copies_.drop_saved(shard);
  drop_move(shard);
  owner_.take_in_leases(copies_.take_leases(shard));
  backup_.tell_anew(shard);
  // What a dead owner streamed here is on no disk that may come back.
  const shard_place& at = table_.view().shards[shard];
  if (at.source == table_.self() && !at.source_owned)
    context_.ledger->mark_shard(shard, client_table::reader::disk);
}

// From who is waited for, or by a view still to come: then the first whole shard, as an owner hands
// it over before it leaves, and only then may a backup of its send its copy. What somebody else
// sends late is older than what comes from there.
bool shard_mover::is_expected(const shard_rows& rows) const {
  const std::uint64_t seen = table_.epoch();
  if (rows.epoch > seen) return arrived_epoch_[rows.shard] <= seen;
  if (table_.role_of(rows.shard) != shard_role::arriving) return false;
  const std::uint16_t from = arrivals_[rows.shard].from;
  if (from == shard_table::any_member) return true;
  return table_.is_member(from) && table_.view().members[from] == rows.from;
}

// They were on their way to an owner that is gone. This node waits for copies of what that one
// had, which may be nothing.
bool shard_mover::is_beside_copies(const shard_rows& rows) const {
  return table_.role_of(rows.shard) == shard_role::arriving &&
         arrivals_[rows.shard].what == awaited::better_copy && !is_expected(rows);
}

std::optional<shard_role> shard_mover::on_rows(const shard_rows& rows, const limiter_handle& from) {
  if (rows.shard >= shard_count || !table_.is_mine(rows.shard)) return std::nullopt;
  if (is_of_no_view(rows.epoch)) return std::nullopt;
  if (rows.is_offer) return take_offer(rows, from), std::nullopt;
  const std::uint32_t shard = rows.shard;
  const std::int64_t now_ns = context_.clock();
  const bool is_own = table_.role_of(shard) == shard_role::own;
  if (is_beside_copies(rows)) return take_offer(rows, from), std::nullopt;
  const auto is_of_shard = [shard](const auto& each) { return shard_of(each.client) == shard; };
  if (!is_own && is_expected(rows))
    for (const counter_row& row : rows.rows)
      if (is_of_shard(row))
        context_.ledger->take_in(row, now_ns, rows.is_partial || copies_.has_saved(shard));
  if (!rows.last) return std::nullopt;
  confirm(rows, from);
  if (is_own || !is_expected(rows)) return std::nullopt;
  copies_.drop_saved(shard);
  (void)copies_.take_leases(shard); // older than these
  auto leases = with_origins(rows.leases, rows.origins);
  std::erase_if(leases, [&](const moved_lease& each) { return !is_of_shard(each); });
  owner_.take_in_leases(leases);
  context_.parts.metrics->shards_received.add();
  arrived_epoch_[shard] = std::max(arrived_epoch_[shard], rows.epoch);
  // Otherwise the view that says why is still to come. Who was to get it from here has had it.
  drop_move(shard);
  if (!table_.has_view() || rows.epoch > table_.epoch()) return std::nullopt;
  const placement& view = table_.view();
  const shard_place& at = view.shards[shard];
  if (at.owner == table_.self()) {
    const bool owner_sent = at.source_owned && at.source != no_member &&
                            view.members.at(at.source) == rows.from && !rows.is_partial;
    begin(shard, owner_sent, rows.is_partial);
  } else {
    table_.set_role(shard, shard_role::foreign);
    push(shard, next_for(shard), rows.is_partial);
    send();
  }
  return table_.role_of(shard);
}

void shard_mover::confirm(const shard_rows& rows, const limiter_handle& to) {
  if (!to) return;
  shard_taken done;
  done.epoch = rows.epoch;
  done.shard = rows.shard;
  context_.self->send(to, done);
}

// All nodes may have ended, and others than those that had the counters have the shards now. Who
// does not own the shard by a view that the sender is yet to see says nothing.
void shard_mover::take_offer(const shard_rows& rows, const limiter_handle& from) {
  const shard_role role = table_.role_of(rows.shard);
  if (role == shard_role::foreign && rows.epoch <= table_.epoch()) return;
  const std::int64_t now_ns = context_.clock();
  for (const counter_row& row : rows.rows)
    if (shard_of(row.client) == rows.shard) context_.ledger->take_in(row, now_ns, true);
  if (role != shard_role::own) copies_.add_saved(rows.shard); // merged with what is still to come
  auto leases = with_origins(rows.leases, rows.origins);      // of offers there are none
  std::erase_if(leases, [&](const auto& each) { return shard_of(each.client) != rows.shard; });
  owner_.take_in_leases(leases);
  if (rows.last) confirm(rows, from);
}

// A new owner whose source says nothing goes on with what it has, but not while that source may
// still decide by an earlier view.
bool shard_mover::end_late(std::int64_t steady_ns) {
  std::size_t late = 0;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    const arrival& coming = arrivals_[shard];
    if (table_.role_of(shard) != shard_role::arriving || steady_ns < coming.until_ns) continue;
    const bool may_decide = coming.what != awaited::better_copy && table_.is_member(coming.from) &&
                            table_.epoch_of(coming.from) < table_.epoch();
    if (may_decide || !table_.view().confirmed) continue;
    ++late;
    if (table_.owner_of(shard) == table_.self()) {
      become_owner(shard, true);
    } else {
      context_.parts.metrics->moves_incomplete.add();
      table_.set_role(shard, shard_role::foreign);
      push(shard, next_for(shard));
    }
  }
  if (late == 0) return false;
  spdlog::warn("limits: the counters of {} shards did not come; going on with what is known here",
               late);
  send();
  return true;
}

// -- away from it ---------------------------------------------------------------------------------

void shard_mover::place_foreign(std::uint32_t shard, const placement* before) {
  const placement& view = table_.view();
  const shard_place& at = view.shards[shard];
  const shard_role was = table_.role_of(shard);
  // Also where this is the first view that it sees, and it was a member before.
  const bool missed_views = !before || before->epoch + 1 < view.epoch;
  if (const auto lost = lost_source(shard, before); lost != no_member) note_last_copy(shard, lost);
  note_copy(shard, before);
  if (!view.includes_self) {
    // The others went on without this node; what it has is old.
    table_.set_role(shard, shard_role::foreign);
    last_copies_.reset(shard);
    drop_move(shard);
  } else if (was == shard_role::own) {
    table_.set_role(shard, shard_role::foreign);
    push(shard, next_for(shard));
  } else if (was == shard_role::arriving) {
    // Pushed on when it has come or, where all is here, when nobody else may decide any more.
    const arrival& coming = arrivals_[shard];
    if (coming.what == awaited::confirmation ? !view.confirmed
                                             : arrived_epoch_[shard] < coming.epoch)
      return;
    table_.set_role(shard, shard_role::foreign);
    push(shard, next_for(shard), coming.is_incomplete);
  } else if (at.source == table_.self() && missed_views) {
    // It was to come here by a view that this node never saw, and may be here already.
    if (arrived_epoch_[shard] > (before ? before->epoch : 0))
      push(shard, next_for(shard));
    else
      await(shard, awaited::unseen_move, shard_table::any_member);
  } else if (at.source == table_.self()) {
    note_last_copy(shard, before->shards[shard].owner); // what a dead owner had streamed
  }
  if (was == shard_role::foreign) redirect(shard);
  if (was != shard_role::foreign) last_copies_.reset(shard);
  offer(shard);
  if (!last_copies_[shard] || !view.confirmed) return;
  last_copies_.reset(shard);
  push(shard, at.owner,
       !copies_.has_whole(shard, before) && !copies_.had_whole_of(shard, last_copy_of_[shard]));
}

// Whether what this node has of another's shard is all that its owner told.
void shard_mover::note_copy(std::uint32_t shard, const placement* before) {
  const placement& view = table_.view();
  const bool is_backup = view.shards[shard].backup == table_.self();
  const bool was_backup = before && before->shards[shard].backup == table_.self();
  const bool missed_views = before && before->epoch + 1 < view.epoch;
  if (table_.role_of(shard) == shard_role::own)
    copies_.set_whole(shard, view.includes_self && is_backup);
  else if (missed_views || !view.includes_self)
    copies_.set_whole(shard, false);
  else if (was_backup && !is_backup)
    copies_.end(shard, before->shards[shard].owner);
  // Of the same owner it is told anew from now on, and may not have all.
  if (is_backup && !was_backup && copies_.had_whole_of(shard, view.shards[shard].owner))
    copies_.forget_ended(shard);
}

void shard_mover::note_last_copy(std::uint32_t shard, std::uint16_t of) {
  last_copies_.set(shard);
  last_copy_of_[shard] = of;
}

// Who had the shard's counters and is gone, perhaps before it handed them over to the owner, which
// waits for what was streamed to this node then. no_member: nobody.
std::uint16_t shard_mover::lost_source(std::uint32_t shard, const placement* before) const {
  const shard_place& at = table_.view().shards[shard];
  if (!before || at.backup != table_.self() || at.source != at.owner) return no_member;
  const shard_place& was = before->shards[shard];
  const std::uint16_t had = was.owner != at.owner ? was.owner : was.source;
  return had == at.owner || table_.is_member(had) ? no_member : had;
}

void shard_mover::push(std::uint32_t shard, std::uint16_t to, bool is_partial) {
  PENSTOCK_ASSERT(table_.role_of(shard) != shard_role::own);
  PENSTOCK_ASSERT(to != table_.self());
  drop_move(shard);
  moves_.push_back({shard, to, table_.epoch(), false, false, is_partial});
  arrived_epoch_[shard] = 0; // it did not come to stay
  PENSTOCK_ASSERT(moves_.size() <= shard_count);
}

// What this process restored, and nobody took over before it ended. Its owner may know nothing.
void shard_mover::offer(std::uint32_t shard) {
  drop_offer(shard);
  const std::uint16_t owner = table_.owner_of(shard);
  const bool is_asked = copies_.has_saved(shard) && table_.view().includes_self;
  if (is_asked && owner != no_member && !std::ranges::count(moves_, shard, &move::shard))
    moves_.push_back({shard, owner, table_.epoch(), false, true, false});
}

void shard_mover::drop_offer(std::uint32_t shard) {
  std::erase_if(moves_, [shard](const move& each) { return each.is_offer && each.shard == shard; });
}

void shard_mover::drop_move(std::uint32_t shard) {
  std::erase_if(moves_, [shard](const move& each) { return each.shard == shard; });
}

// Who waits for what this node has of another's shard. While it was on its way here a view may have
// given the shard to somebody, and a later one to somebody else, who waits for the former.
std::uint16_t shard_mover::next_for(std::uint32_t shard) const {
  const shard_place& at = table_.view().shards[shard];
  return at.source == no_member || at.source == table_.self() ? at.owner : at.source;
}

// A push on its way to who is dead.
void shard_mover::redirect(std::uint32_t shard) {
  for (move& each : moves_)
    if (each.shard == shard && !table_.is_member(each.to)) {
      each.to = next_for(shard);
      each.epoch = table_.epoch();
      each.sent = false;
    }
}

void shard_mover::send() {
  std::erase_if(moves_, [this](const move& each) {
    const auto version = table_.version_of(each.to);
    return each.is_offer && version != 0 && version < offers_wire_version;
  });
  std::size_t sent = static_cast<std::size_t>(std::ranges::count_if(moves_, &move::sent));
  for (move& each : moves_) {
    if (sent >= max_moving_shards) return;
    if (each.sent) continue;
    const limiter_handle* const to = table_.limiter_of(each.to, each.shard);
    if (!to) continue;
    each.sent = true;
    ++sent;
    send_shard(each, *to);
  }
}

// Those of an owner, or what it told of its own.
std::vector<moved_lease> shard_mover::leases_of(std::uint32_t shard) {
  auto leases = granter_.take_out(shard, context_.clock());
  const auto copies = copies_.take_leases(shard);
  leases.insert(leases.end(), copies.begin(), copies.end());
  return leases;
}

void shard_mover::send_shard(const move& what, const limiter_handle& to) {
  PENSTOCK_ASSERT(table_.role_of(what.shard) != shard_role::own);
  if (!what.is_offer) backup_.withhold_leases(); // nobody may be told of one that went on before
  const auto rows = context_.ledger->rows_of(what.shard, context_.clock());
  std::size_t first = 0;
  do {
    const std::size_t end = std::min(first + rows_per_chunk, rows.size());
    shard_rows piece;
    piece.epoch = what.epoch;
    piece.from = table_.view().members.at(table_.self());
    piece.shard = what.shard;
    piece.last = end == rows.size();
    piece.rows.assign(rows.begin() + static_cast<std::ptrdiff_t>(first),
                      rows.begin() + static_cast<std::ptrdiff_t>(end));
    if (what.is_offer) {
      piece.version = offers_wire_version;
      piece.is_offer = true;
    } else if (what.is_partial && table_.version_of(what.to) >= partial_wire_version) {
      piece.version = partial_wire_version;
      piece.is_partial = true;
    }
    if (piece.last && !what.is_offer) {
      piece.leases = leases_of(what.shard);
      if (table_.version_of(what.to) >= settlements_wire_version) {
        piece.version =
            std::max(piece.version, static_cast<std::uint8_t>(settlements_wire_version));
        for (const moved_lease& each : piece.leases)
          piece.origins.push_back(each.origin);
      }
    }
    context_.self->send(to, std::move(piece));
    first = end;
  } while (first < rows.size());
  context_.parts.metrics->shards_sent.add();
}

void shard_mover::on_taken(const shard_taken& done) {
  // An answer to an earlier sending says nothing of a later one.
  const auto taken = std::erase_if(moves_, [&](const move& each) {
    return each.shard == done.shard && each.epoch == done.epoch && each.sent;
  });
  if (taken > 0) {
    handed_over_.set(done.shard);
    copies_.drop_saved(done.shard);
  }
  send();
}

std::vector<shard_mark> shard_mover::take_marks() {
  std::vector<shard_mark> out;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    if (handed_over_[shard] != marked_[shard])
      out.push_back({static_cast<std::uint8_t>(shard), handed_over_[shard]});
  marked_ = handed_over_;
  return out;
}

void shard_mover::lose(std::uint16_t member) {
  for (move& each : moves_)
    if (each.to == member) each.sent = false;
}

} // namespace penstock
