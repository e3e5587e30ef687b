#include "actors/cluster/membership.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <limits>

namespace penstock {

namespace {

constexpr std::int64_t long_ago = std::numeric_limits<std::int64_t>::min() / 2;

const view_member* find_member(const std::vector<view_member>& among, const std::string& address) {
  const auto found = std::ranges::find(among, address, &view_member::address);
  return found == among.end() ? nullptr : &*found;
}

} // namespace

membership::membership(view_member self, membership_times times, std::string secret_check)
    : self_(std::move(self)), times_(times), renewed_ns_(long_ago), decides_until_ns_(long_ago),
      secret_check_(std::move(secret_check)) {}

void membership::on_record(const member_record& record, std::int64_t now_ns,
                           std::uint64_t revision) {
  if (record.address.empty()) return;
  // One that is a member all the same, let in by an earlier program, is not taken for dead.
  if (has_another_secret(record, now_ns) && !is_in({record.address, record.incarnation, false}))
    return;
  const auto known = heard_.find(record.address);
  if (known == heard_.end() && heard_.size() >= max_heard_records && !forget_longest_dead(now_ns))
    return;
  heard_[record.address] = {record, now_ns, true, revision};
  gone_.erase(record.address);
}

bool membership::has_another_secret(const member_record& record, std::int64_t now_ns) {
  const bool has = !record.secret_check.empty() && !secret_check_.empty() &&
                   record.secret_check != secret_check_;
  if (!has)
    strangers_.erase(record.address);
  else if (strangers_.contains(record.address) || strangers_.size() < max_members)
    strangers_[record.address] = {record.incarnation, now_ns};
  return has;
}

// What the directory holds of the dead keeps nobody out: all may have another secret by now.
bool membership::is_stranger(std::int64_t now_ns) const {
  return !is_in(self_) && std::ranges::any_of(view_.members, [&](const view_member& member) {
    const auto found = strangers_.find(member.address);
    return found != strangers_.end() && found->second.incarnation == member.incarnation &&
           now_ns - found->second.at_ns < times_.desert_ns;
  });
}

// Makes room. A cluster outlives many nodes, and their records may outlive them.
bool membership::forget_longest_dead(std::int64_t now_ns) {
  auto longest = heard_.end();
  for (auto each = heard_.begin(); each != heard_.end(); ++each)
    if (!find_member(view_.members, each->first) &&
        (longest == heard_.end() || each->second.at_ns < longest->second.at_ns))
      longest = each;
  if (longest == heard_.end() || now_ns - longest->second.at_ns <= times_.remove_ns) return false;
  heard_.erase(longest);
  return true;
}

void membership::on_gone(const std::string& address, std::int64_t) {
  heard_.erase(address);
  strangers_.erase(address);
  // It took itself out, which it does last of all: it decides nothing any more.
  gone_.insert(address);
}

// Who has no record took it out, or the store was wiped. But then a member must have told the view
// anew, and before that it stored its record. So if there is none of any member, all have ended.
void membership::on_watching(std::int64_t now_ns) {
  watching_ns_ = now_ns;
  const auto has_own_record = [this](const view_member& member) {
    if (strangers_.contains(member.address)) return true;
    const auto known = heard_.find(member.address);
    return known != heard_.end() && known->second.by_itself;
  };
  const auto lives = [&](const view_member& member) {
    // Of another secret than this node: that is what keeps it out.
    if (const auto found = strangers_.find(member.address); found != strangers_.end())
      return found->second.incarnation == member.incarnation;
    return has_own_record(member) && record_of(member.address)->incarnation == member.incarnation;
  };
  if (std::ranges::any_of(view_.members, lives)) return;
  for (const auto& member : view_.members)
    if (!has_own_record(member)) on_gone(member.address, now_ns);
}

std::optional<membership::stale_record> membership::stale(std::int64_t now_ns) const {
  if (!connected_ns_ || view_.members.empty() || view_.members.front().address != self_.address)
    return std::nullopt;
  for (const auto& [address, one] : heard_)
    if (one.revision != 0 && now_ns - one.at_ns > times_.forget_ns &&
        !find_member(view_.members, address))
      return stale_record{address, one.revision};
  return std::nullopt;
}

void membership::on_forgotten(const stale_record& what) {
  const auto found = heard_.find(what.address);
  if (found != heard_.end() && found->second.revision == what.revision) heard_.erase(found);
}

bool membership::on_view(const cluster_view& view, std::uint64_t revision, std::int64_t now_ns) {
  if (revision <= revision_) return false;
  revision_ = revision;
  outdated_ = view.epoch < view_.epoch;
  if (outdated_) return false;
  const bool later = view.epoch != view_.epoch || view.members != view_.members;
  // Whoever proposed it heard the new ones, perhaps before this node does.
  for (const auto& member : view.members)
    if (!find_member(view_.members, member.address)) {
      heard& of = heard_[member.address];
      if (of.record.incarnation != member.incarnation) {
        of.record = {.address = member.address,
                     .incarnation = member.incarnation,
                     .leaving = member.leaving};
        of.by_itself = false;
      }
      of.at_ns = now_ns;
    }
  // Whoever was taken out has to be heard anew: this node may have heard it a little later than who
  // took it out.
  for (const auto& member : view_.members) {
    const auto known = heard_.find(member.address);
    if (find_member(view.members, member.address) || known == heard_.end()) continue;
    if (known->second.record.incarnation == member.incarnation)
      known->second.at_ns = std::min(known->second.at_ns, now_ns - times_.remove_ns - 1);
  }
  view_ = view;
  viewed_ns_ = now_ns;
  history_.push_back(view);
  if (history_.size() > max_removal_views) history_.pop_front();
  note_removals(now_ns);
  away_.clear();
  std::erase_if(link_lost_, [&](const auto& each) { return !find_member(view_.members, each); });
  std::erase_if(gone_, [&](const auto& address) { return !find_member(view_.members, address); });
  return later;
}

void membership::note_removals(std::int64_t now_ns) {
  std::vector<removal> known = std::move(unseen_);
  unseen_.clear();
  for (const auto& what : view_.removals) {
    const auto same = std::ranges::find(known, what, &removal::what);
    unseen_.push_back(same != known.end() ? *same : removal{what, now_ns, {}});
  }
}

// To a view that takes members out: what must be seen before it counts.
void membership::add_removal(cluster_view& next) const {
  next.removals = view_.removals;
  std::erase_if(next.removals, [this](const view_removal& each) {
    return std::ranges::find(unseen_, each, &removal::what) == unseen_.end();
  });
  view_removal out{next.epoch, {}};
  for (const auto& member : next.before) {
    if (find_member(next.members, member.address) || gone_.contains(member.address)) continue;
    const auto* record = record_of(member.address);
    const bool same = record && record->incarnation == member.incarnation;
    if (record && !same) continue; // another process is at its address
    const std::uint64_t taken = same ? record->epoch : 0;
    // Any view that it may have taken, and that lets it decide.
    for (const auto& view : history_) {
      if (view.epoch < taken || !find_member(view.members, member.address)) continue;
      std::vector<std::string> addresses;
      for (const auto& each : view.members)
        addresses.push_back(each.address);
      if (std::ranges::find(out.views, addresses) == out.views.end())
        out.views.push_back(std::move(addresses));
    }
  }
  if (!out.views.empty()) next.removals.push_back(std::move(out));
}

// Another process is at the address of who had seen that view, and took none yet: it decides by
// none before.
bool membership::is_after(const std::string& address, std::uint64_t epoch) const {
  const auto found = heard_.find(address);
  if (found == heard_.end()) return false;
  const auto& record = found->second.record;
  if (record.epoch >= epoch) return true;
  const auto names_another = [&](const cluster_view& view) {
    const auto* member = find_member(view.members, address);
    return view.epoch >= epoch && member && member->incarnation != record.incarnation;
  };
  return record.epoch == 0 && found->second.by_itself &&
         std::ranges::any_of(history_, names_another);
}

bool membership::was_seen(const view_removal& what) const {
  return std::ranges::all_of(what.views, [&](const auto& addresses) {
    const auto seen = std::ranges::count_if(addresses, [&](const std::string& address) {
      // Who took itself out decides nothing, and agrees to nothing any more.
      return address == self_.address || gone_.contains(address) || is_after(address, what.epoch);
    });
    return 2 * static_cast<std::size_t>(seen) >= addresses.size();
  });
}

bool membership::confirmed(std::int64_t now_ns) {
  std::erase_if(unseen_, [&](removal& each) {
    if (!each.seen_ns && was_seen(each.what)) each.seen_ns = now_ns;
    if (each.seen_ns) return now_ns - *each.seen_ns >= times_.fence_ns;
    return now_ns - each.since_ns >= times_.desert_ns;
  });
  return unseen_.empty();
}

void membership::on_renewed(std::int64_t sent_ns, std::uint64_t revision) {
  if (!connected_ns_ || is_away(sent_ns)) connected_ns_ = sent_ns;
  renewed_ns_ = std::max(renewed_ns_, sent_ns);
  if (revision == revision_ && is_in(self_))
    decides_until_ns_ = std::max(decides_until_ns_, sent_ns + times_.fence_ns);
}

void membership::on_peer_away(const std::string& address, std::uint64_t epoch,
                              std::int64_t sent_ns) {
  if (epoch != view_.epoch || !find_member(view_.members, address) || !is_in(self_)) return;
  auto& latest = away_[address];
  latest = std::max(latest, sent_ns);
  // The oldest consent of the most recent ones that together are more than half.
  std::vector<std::int64_t> asked;
  for (const auto& [peer, at] : away_)
    if (peer != self_.address) asked.push_back(at);
  std::ranges::sort(asked, std::greater<>{});
  const std::size_t others_needed = view_.members.size() / 2; // and ourselves
  if (asked.size() < std::max<std::size_t>(others_needed, 1)) return;
  PENSTOCK_ASSERT(others_needed > 0); // a view of one has nobody else to be asked
  decides_until_ns_ = std::max(decides_until_ns_, asked[others_needed - 1] + times_.fence_ns);
}

void membership::go_on_alone(std::int64_t now_ns) {
  if (view_.members.size() == 1 && is_in(self_) && is_away(now_ns))
    decides_until_ns_ = std::max(decides_until_ns_, now_ns + times_.fence_ns);
}

bool membership::is_in(const view_member& who) const {
  const auto* member = find_member(view_.members, who.address);
  return member && member->incarnation == who.incarnation;
}

const member_record* membership::record_of(const std::string& address) const {
  const auto found = heard_.find(address);
  return found == heard_.end() ? nullptr : &found->second.record;
}

double membership::silent_s(const std::string& address, std::int64_t now_ns) const {
  const auto found = heard_.find(address);
  return found == heard_.end() ? 0 : static_cast<double>(now_ns - found->second.at_ns) / 1e9;
}

void membership::on_link(const std::string& address, bool up) {
  if (up)
    link_lost_.erase(address);
  else if (link_lost_.size() < max_members)
    link_lost_.insert(address);
}

// Since then a member that renews its record is heard.
std::int64_t membership::hears_since() const {
  PENSTOCK_ASSERT(connected_ns_.has_value());
  return std::max(*connected_ns_, watching_ns_);
}

bool membership::is_silent(const std::string& address, std::int64_t now_ns) const {
  const auto found = heard_.find(address);
  const bool is_back = found != heard_.end() && found->second.at_ns >= hears_since();
  if (!is_back && !link_lost_.contains(address) && now_ns - hears_since() < times_.back_ns)
    return false;
  const std::int64_t heard_ns = found == heard_.end() ? viewed_ns_ : found->second.at_ns;
  return now_ns - std::max(heard_ns, hears_since()) > times_.remove_ns;
}

bool membership::hears_half(std::int64_t now_ns) const {
  const auto alive = std::ranges::count_if(
      view_.members, [&](const auto& member) { return !is_silent(member.address, now_ns); });
  return 2 * static_cast<std::size_t>(alive) >= view_.members.size();
}

bool membership::was_deserted(std::int64_t now_ns) const {
  PENSTOCK_ASSERT(connected_ns_.has_value());
  return now_ns - std::max(*connected_ns_, viewed_ns_) >= times_.desert_ns;
}

bool membership::knows_views_of(const std::string& address) const {
  const auto found = heard_.find(address);
  if (found == heard_.end() || !found->second.by_itself) return false;
  PENSTOCK_ASSERT(!history_.empty()); // they are of the view
  const auto& record = found->second.record;
  // Who took no view yet decides by none that does not name its process.
  const auto* oldest = find_member(history_.front().members, address);
  if (record.epoch == 0 && (!oldest || oldest->incarnation != record.incarnation)) return true;
  return history_.front().epoch <= std::max<std::uint64_t>(record.epoch, 1);
}

// Whose time all must have who are let in: this node's, if it is a member, or that of a member
// that is heard. If there is none, all begin anew, and whoever does so first gives its own.
const membership::heard* membership::time_giver(std::int64_t now_ns) const {
  if (!is_in(self_))
    for (const auto& member : view_.members) {
      const auto found = heard_.find(member.address);
      if (found == heard_.end()) continue;
      const auto& [record, at_ns, by_itself, revision] = found->second;
      const bool lives = at_ns > watching_ns_ && now_ns - at_ns <= times_.remove_ns;
      if (lives && record.incarnation == member.incarnation && record.clocks.cluster_ns != 0)
        return &found->second;
    }
  const auto own = heard_.find(self_.address);
  const bool is_told = own != heard_.end() && own->second.record.incarnation == self_.incarnation;
  return is_told ? &own->second : nullptr;
}

// Whether it counts limits in that time, or is a program that knows of none.
bool membership::has_time_of(const heard* giver, const heard& who) const {
  const auto& theirs = who.record.clocks;
  if (theirs.system_ns == 0 || &who == giver) return true;
  if (theirs.cluster_ns == 0 || !giver) return false;
  const auto& given = giver->record.clocks;
  if (given.system_ns == 0) return true;
  if (given.cluster_ns == 0) return false;
  const auto ahead_ns = (theirs.cluster_ns - who.at_ns) - (given.cluster_ns - giver->at_ns);
  return ahead_ns < max_time_difference_ns && ahead_ns > -max_time_difference_ns;
}

membership::wanted_members membership::wanted(std::int64_t now_ns) {
  const bool has_room = confirmed(now_ns) || unseen_.size() < max_view_removals;
  const bool deserted = has_room && was_deserted(now_ns);
  const bool half = has_room && hears_half(now_ns);
  const auto* const giver = time_giver(now_ns);
  wanted_members out;
  const auto add = [&](const view_member& by_record, const view_member& until_settled) {
    out.all.push_back(by_record);
    out.urgent.push_back(until_settled);
  };
  for (const auto& member : view_.members) {
    const auto found = heard_.find(member.address);
    if (found == heard_.end() && gone_.contains(member.address)) {
      if (member.leaving) out.urgent.push_back(member); // it has drained, and owns nothing
      continue;
    }
    const bool may_take_out = deserted || (half && knows_views_of(member.address));
    if (may_take_out && is_silent(member.address, now_ns)) continue;
    if (found == heard_.end()) {
      add(member, member);
      continue;
    }
    const auto& record = found->second.record;
    const view_member now{record.address, record.incarnation, record.leaving};
    const bool is_new = now.incarnation != member.incarnation;
    if (is_new && !has_time_of(giver, found->second)) continue;
    add(now, now.incarnation == member.incarnation ? member : now);
  }
  // A member that will be heard soon has a time already, which this node is to take over.
  const bool waits = std::ranges::any_of(out.all, [&](const view_member& each) {
    return is_in(each) && !is_silent(each.address, now_ns);
  });
  for (const auto& [address, one] : heard_) {
    if (find_member(view_.members, address) || now_ns - one.at_ns > times_.remove_ns) continue;
    if (&one == giver && one.record.clocks.system_ns != 0 && waits) continue;
    if (address != self_.address && view_.members.empty()) continue;
    if (!has_time_of(giver, one)) continue;
    if (out.all.size() < max_members)
      out.all.push_back({address, one.record.incarnation, one.record.leaving});
  }
  std::ranges::sort(out.all, {}, &view_member::address);
  return out;
}

// Whether nothing moves any more by the present view, as far as those say who are heard.
bool membership::has_settled(std::int64_t now_ns) const {
  if (now_ns - viewed_ns_ >= times_.settle_ns) return true;
  return std::ranges::all_of(view_.members, [&](const view_member& member) {
    const auto* record = record_of(member.address);
    if (!record || record->incarnation != member.incarnation) return gone_.contains(member.address);
    return record->settled_epoch.value_or(record->epoch) >= view_.epoch ||
           is_silent(member.address, now_ns);
  });
}

bool membership::has_gathered(const std::vector<view_member>& request, std::int64_t now_ns) {
  if (view_.members.empty()) return true; // there is nothing to move
  if (wanted_.empty()) wanted_since_ns_ = now_ns;
  if (request != wanted_) wanted_changed_ns_ = now_ns;
  wanted_ = request;
  return now_ns - wanted_changed_ns_ >= times_.gather_ns ||
         now_ns - wanted_since_ns_ >= times_.most_gather_ns;
}

// This node leaves, and so do all others that have not gone: shards stay where their counters are,
// and are saved there.
bool membership::all_leave() const {
  if (view_.members.empty() || !is_in(self_)) return false;
  return std::ranges::all_of(view_.members, [this](const view_member& member) {
    const auto* record = record_of(member.address);
    if (!record) return gone_.contains(member.address);
    return record->leaving && record->incarnation == member.incarnation;
  });
}

std::optional<cluster_view> membership::proposal(std::int64_t now_ns) {
  if (is_away(now_ns)) connected_ns_.reset();
  if (!connected_ns_ || is_stranger(now_ns) || all_leave()) return std::nullopt;
  auto members = wanted(now_ns);
  const bool changes = members.all != view_.members;
  if (!changes) wanted_.clear();
  const bool is_time = changes && has_gathered(members.all, now_ns) && has_settled(now_ns);
  cluster_view next{view_.epoch + 1, {}, view_.members, {}};
  next.members = std::move(is_time ? members.all : members.urgent);
  const bool lost = view_.epoch > 0 && (revision_ == 0 || outdated_);
  if (next.members == view_.members && !lost) return std::nullopt;
  add_removal(next);
  return next;
}

} // namespace penstock
