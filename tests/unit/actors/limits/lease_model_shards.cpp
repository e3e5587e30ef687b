// How the shard moves from node to node in the model, as shard_mover.cpp has it, and how a backup
// takes over.
#include "actors/base/shards.hpp"
#include "tests/unit/actors/limits/lease_model_parts.hpp"

#include <algorithm>
#include <utility>

namespace penstock::lease_model {

namespace {

std::uint8_t last_view(const world& w) {
  return static_cast<std::uint8_t>(w.views.size() - 1);
}

// Who has the shard when the view comes: the owner by the one before.
std::uint8_t source_by(const world& w, std::uint8_t view) {
  return view == 0 ? nobody : w.views[view - 1u];
}

void await(owning& at, std::uint8_t from) {
  at.role = shard_part::arriving;
  at.waits_for = from;
  at.waits_since = at.seen;
}

void push(owning& at, std::uint8_t to) {
  at.role = shard_part::foreign;
  at.push_to = to;
  at.is_sent = false;
  at.arrived = 0; // not to stay
}

void become_owner(owning& at) {
  at.role = shard_part::own;
  at.push_to = nobody;
  at.waits_for = nobody;
  at.is_sent = false;
}

} // namespace

// -- views ----------------------------------------------------------------------------------------

bool engine::move(world& w, std::uint8_t to, bool is_seen_there) {
  const std::uint8_t before = w.views.back();
  if (to == before || w.owners[to].is_gone) return false;
  if (!has_part(w, to)) return false;
  if (!spend_one(w.left.moves)) return false;
  w.views.push_back(to);
  w.moved = true;
  const std::uint8_t first = is_seen_there ? to : before;
  if (setup_.crosses) return see(w, first, w.owners[first].seen + 1 < last_view(w));
  if (is_seen_there) return false;
  for (std::size_t i = 0; i < owner_count; ++i)
    (void)see(w, i, false);
  return true;
}

// An owner sees each view: the next waits for what it says of the one before. Of others the first
// view that they see may be the one after that which let them in; see decision 055.
bool engine::see(world& w, std::size_t owner, bool misses_one) {
  owning& at = w.owners[owner];
  const auto next = static_cast<std::uint8_t>(at.seen + 1 + misses_one);
  if (at.is_gone || next > last_view(w) || (misses_one && at.owns())) return false;
  const std::uint8_t before = std::exchange(at.seen, next);
  if (w.views[next] == owner)
    place_own(w, owner);
  else
    place_foreign(w, owner, before);
  return true;
}

void engine::place_own(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  const std::uint8_t source = source_by(w, at.seen);
  if (at.owns() && source == owner) return;
  const bool was_foreign = !at.owns() && at.role == shard_part::foreign;
  const bool waits = at.role == shard_part::arriving;
  if (at.owns()) at.role = shard_part::foreign; // others have gone on meanwhile
  if (at.arrived != 0 && at.arrived + (source == owner) >= at.seen) return become_owner(at);
  if (waits && at.arrived >= at.waits_since) return become_owner(at);
  if (was_foreign && source == owner) return await(at, anybody);
  const bool goes_on = source == owner || setup_.made != mistake::waits_for_the_last;
  if (waits && (at.waits_for == source || goes_on)) return; // for what is on its way already
  await(at, source);
}

void engine::place_foreign(world& w, std::size_t owner, std::uint8_t before) {
  owning& at = w.owners[owner];
  if (at.owns()) {
    push(at, next_for(w, owner));
  } else if (at.role == shard_part::arriving) {
    if (at.arrived >= at.waits_since) push(at, next_for(w, owner));
  } else if (source_by(w, at.seen) == owner && before + 1 < at.seen) {
    if (at.arrived > before && setup_.made != mistake::waits_for_what_came)
      push(at, next_for(w, owner));
    else
      await(at, anybody);
  }
}

std::uint8_t engine::next_for(const world& w, std::size_t owner) const {
  const std::uint8_t view = w.owners[owner].seen, source = source_by(w, view);
  if (setup_.made == mistake::passes_nobody) return w.views[view];
  return source == nobody || source == owner ? w.views[view] : source;
}

// -- the shard ------------------------------------------------------------------------------------

bool engine::send(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  if (at.push_to == nobody || at.is_sent || w.owners[at.push_to].is_gone) return false;
  at.is_sent = true;
  acting by = load(w, owner);
  const std::int64_t now_ns = owner_now(w, owner);
  moving shard{static_cast<std::uint8_t>(owner), at.push_to, at.seen, {}, {}};
  shard.rows = by.ledger.rows_of(shard_of(model_client), now_ns);
  shard.leases = by.granter.take_out(shard_of(model_client), now_ns);
  store(w, owner, by);
  w.shards.push_back(std::move(shard));
  return true;
}

// With the link, so its sender knows.
bool engine::lose_shard(world& w, std::size_t which) {
  if (!spend_one(w.left.losses)) return false;
  const moving lost = take_at(w.shards, which);
  w.lost_units = w.lost_units || !lost.leases.empty();
  owning& from = w.owners[lost.from];
  if (from.push_to == lost.to) from.is_sent = false;
  return true;
}

bool engine::is_expected(const world& w, const moving& shard) const {
  const owning& at = w.owners[shard.to];
  if (setup_.made == mistake::takes_any_shard) return true;
  if (at.owns()) return false;
  if (shard.epoch > at.seen) return at.arrived <= at.seen;
  if (at.role != shard_part::arriving) return false;
  return at.waits_for == anybody || at.waits_for == shard.from;
}

// It is answered that it came; `unheard`: the answer is lost with the link.
bool engine::arrive(world& w, std::size_t which, bool unheard) {
  owning& to = w.owners[w.shards[which].to];
  // Messages of a node to another come in order.
  for (std::size_t i = 0; i < which; ++i)
    if (w.shards[i].from == w.shards[which].from && w.shards[i].to == w.shards[which].to)
      return false;
  // A node that does not know a new limit yet passes over what comes of it, and begins anew later.
  if (w.owners[w.shards[which].from].version > to.version) return false;
  if (unheard && (!setup_.crosses || !spend_one(w.left.losses))) return false;
  const moving shard = take_at(w.shards, which);
  owning& from = w.owners[shard.from];
  if (from.push_to == shard.to) {
    from.is_sent = false;
    if (!unheard) from.push_to = nobody;
  }
  if (to.is_gone || !is_expected(w, shard)) return true;
  take_in(w, shard.to, shard.rows, shard.leases);
  to.arrived = std::max(to.arrived, shard.epoch);
  if (shard.epoch > to.seen) { // the view that says why is still to come
    if (setup_.made != mistake::sends_what_came_back) to.push_to = nobody;
    return true;
  }
  if (w.views[to.seen] == shard.to)
    become_owner(to);
  else if (to.role == shard_part::arriving)
    push(to, next_for(w, shard.to));
  return true;
}

void engine::take_in(world& w, std::size_t owner, const std::vector<counter_row>& rows,
                     const std::vector<moved_lease>& leases) {
  acting by = load(w, owner);
  const std::int64_t now_ns = owner_now(w, owner);
  if (setup_.made != mistake::moves_without_counters)
    for (const counter_row& row : rows)
      by.ledger.take_in(row, now_ns);
  if (setup_.made != mistake::moves_without_leases)
    for (moved_lease lease : leases) {
      if (setup_.made == mistake::moves_over_plans)
        lease.plan_digest = by.ledger.digest_of(lease.plan);
      by.granter.take_in(lease, now_ns);
      std::erase_if(w.owners[owner].early,
                    [&](const lease_return& each) { return each.lease == lease.lease; });
      // It stood still for so long that what is returned is not waited for any more.
      w.lost_units = w.lost_units || lease.left_ns <= 0;
    }
  store(w, owner, by);
}

// -- backups --------------------------------------------------------------------------------------

// Rows and leases in one message, which is confirmed: one that is under way is as none.
bool engine::back_up(world& w) {
  const auto owner = std::ranges::find_if(w.owners, &owning::owns);
  if (!setup_.has_backup || owner == w.owners.end()) return false;
  const auto index = static_cast<std::size_t>(owner - w.owners.begin());
  const std::int64_t now_ns = owner_now(w, index);
  acting by = load(w, index);
  moving copy;
  copy.rows = by.ledger.rows_of(shard_of(model_client), now_ns);
  copy.leases = owner->leases; // left_ns: when they are over
  if (copy.rows == w.copy.rows && copy.leases == w.copy.leases && w.held.empty() &&
      w.unconfirmed == 0)
    return false;
  w.copy = std::move(copy);
  w.unconfirmed = 0;
  w.replies.insert(w.replies.end(), w.held.begin(), w.held.end());
  w.held.clear();
  return true;
}

// The backup is slow: the verdict is needed now, and goes without the lease.
bool engine::withhold(world& w, std::size_t which) {
  const auto owner = std::ranges::find_if(w.owners, &owning::owns);
  if (owner == w.owners.end() || !spend_one(w.left.losses)) return false;
  const auto index = static_cast<std::size_t>(owner - w.owners.begin());
  reply answer = take_at(w.held, which);
  acting by = load(w, index);
  (void)by.granter.take_back({answer.told.lease, answer.told.units}, owner_now(w, index));
  store(w, index, by);
  answer.told = {};
  w.replies.push_back(answer);
  return true;
}

// It is away from the directory, or stands still: so long that its right to decide is over.
bool engine::silence(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  if (!at.owns() || !at.has_say || !spend_one(w.left.silences)) return false;
  at.has_say = false;
  return true;
}

bool engine::speak(world& w, std::size_t owner) {
  owning& at = w.owners[owner];
  if (at.has_say || at.is_gone || w.views.back() != owner) return false;
  at.has_say = true;
  return true;
}

// The backup goes on with what it was told. Who had the shard has no say any more and gets none
// back, which membership_test.cpp searches. Who waits for its answers is told nothing, and asks
// again.
bool engine::take_over(world& w) {
  constexpr std::uint8_t heir = owner_count - 1;
  owning& before = w.owners[w.views.back()];
  if (before.has_say || !before.owns() || w.views.back() == heir) return false;
  w.views.push_back(heir);
  w.moved = true;
  w.lost_units = true;
  w.again += std::exchange(w.unconfirmed, 0);
  for (reply each : std::exchange(w.held, {})) {
    each.told = {};
    w.replies.push_back(each);
  }
  if (setup_.made != mistake::decides_without_say) {
    before = {};
    before.is_gone = true;
  }
  w.owners[heir].seen = last_view(w);
  const moving copy = std::exchange(w.copy, {});
  std::vector<moved_lease> leases = copy.leases;
  for (moved_lease& each : leases)
    each.left_ns -= owner_now(w, heir);
  take_in(w, heir, copy.rows, leases);
  become_owner(w.owners[heir]);
  return true;
}

} // namespace penstock::lease_model
