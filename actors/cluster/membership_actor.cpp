#include "actors/cluster/membership_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock {

// -- life -----------------------------------------------------------------------------------------

void membership_state::start(membership_parts parts) {
  parts_ = std::move(parts);
  members_.emplace(view_member{parts_.self.address, parts_.self.incarnation, false}, parts_.times,
                   parts_.self.secret_check);
  (void)numbers_.add(parts_.self.address); // 0, always
  if (parts_.system_ns) clock_.emplace(parts_.steady_ns(), parts_.system_ns());
}

void membership_state::ask(directory_request request) {
  self_->send(writer_, std::move(request));
}

void membership_state::tick() {
  if (!writer_ || gone_) return;
  const std::int64_t now_ns = parts_.steady_ns();
  if (schedule_.may_open(now_ns)) {
    schedule_.begin_open();
    ask({});
  } else if (schedule_.is_open()) {
    keep_time(now_ns);
    renew(now_ns);
    propose(now_ns);
    forget(now_ns);
  }
  ask_peers(now_ns);
  if (places_ && !places_->confirmed && members_->confirmed(now_ns)) place_shards_now();
  parts_.decides_until_ns->store(members_->decides_until(), std::memory_order_relaxed);
  show(now_ns);
}

std::vector<std::string> membership_state::addresses() const {
  std::vector<std::string> out;
  for (const auto& member : members_->view().members)
    out.push_back(member.address);
  return out;
}

// Another process at a member's address is no member yet: it has a time of its own, or that of
// who is one.
std::vector<std::string> membership_state::same_processes() const {
  std::vector<std::string> out;
  for (const auto& member : members_->view().members) {
    const auto* record = members_->record_of(member.address);
    if (record && record->incarnation == member.incarnation) out.push_back(member.address);
  }
  return out;
}

void membership_state::keep_time(std::int64_t now_ns) {
  if (!clock_) return;
  const bool is_in = members_->is_in({parts_.self.address, parts_.self.incarnation, false});
  if (is_in) {
    clock_->move(addresses(), parts_.self.address, now_ns, parts_.system_ns());
  } else if (!was_in_) {
    const bool had_time =
        std::exchange(has_time_, clock_->join(same_processes(), now_ns, parts_.system_ns()));
    if (has_time_ && !had_time) schedule_.renew_soon(); // it may be let in from now on
    if (has_time_ && parts_.time && !clock_->is_far_off()) {
      parts_.time->base_ns.store(clock_->base_ns(), std::memory_order_relaxed);
      parts_.time->settings.fetch_add(1, std::memory_order_release);
    }
  }
  if (parts_.time && is_in)
    parts_.time->base_ns.store(clock_->base_ns(), std::memory_order_relaxed);
  const auto ahead_ns = clock_->ahead_ns();
  const bool differs = ahead_ns > told_clock_difference_ns || ahead_ns < -told_clock_difference_ns;
  if (differs && !std::exchange(told_.clock, true))
    spdlog::warn("this node's clock is {:.1f} s {} the cluster's time, which limits go by",
                 std::abs(static_cast<double>(ahead_ns)) / 1e9,
                 ahead_ns > 0 ? "ahead of" : "behind");
  parts_.metrics->clock_ahead_ms.set(ahead_ns / 1'000'000);
}

// Who is not a member yet first hears the time of those who are.
bool membership_state::may_ask_in(std::int64_t now_ns) const {
  if (!clock_ || was_in_) return true;
  if (!watching_) return false;
  if (members_->view().members.empty()) return true;
  if (!has_time_) return now_ns - watching_ns_ >= time_patience_ns;
  return !clock_->is_far_off();
}

void membership_state::renew(std::int64_t now_ns) {
  if (!may_ask_in(now_ns)) return;
  const auto epoch = places_ ? places_->epoch : 0;
  const auto settled_epoch = parts_.settled_epoch ? parts_.settled_epoch() : epoch;
  // The others may wait for it.
  if (std::exchange(parts_.self.settled_epoch, settled_epoch) != settled_epoch)
    schedule_.renew_soon();
  if (!schedule_.may_renew(now_ns)) return;
  schedule_.begin_renew(now_ns + parts_.times.renew_ns);
  if (parts_.figures) parts_.figures(parts_.self);
  parts_.self.epoch = epoch;
  if (clock_) {
    // A node that tells no time is not let in (see membership). So it is with this one until it has
    // heard the members' time, or has waited long enough for it.
    const bool has_time =
        was_in_ || has_time_ || (watching_ && now_ns - watching_ns_ >= time_patience_ns);
    parts_.self.clocks = {parts_.system_ns(), has_time ? now_ns + clock_->base_ns() : 0};
  }
  directory_request request;
  request.what = directory_request::kind::renew;
  request.self = parts_.self;
  request.sent_ns = now_ns;
  ask(std::move(request));
}

void membership_state::propose(std::int64_t now_ns) {
  if (!schedule_.may_propose() || !watching_) return;
  auto next = members_->proposal(now_ns);
  if (!next) return;
  schedule_.begin_propose();
  parts_.metrics->proposals.add();
  directory_request request;
  request.what = directory_request::kind::propose;
  request.next = std::move(*next);
  request.revision = members_->revision();
  request.sent_ns = now_ns;
  ask(std::move(request));
}

void membership_state::forget(std::int64_t now_ns) {
  if (!watching_ || !schedule_.may_forget(now_ns)) return;
  const auto stale = members_->stale(now_ns);
  schedule_.begin_forget(stale, now_ns);
  if (!stale) return;
  directory_request request;
  request.what = directory_request::kind::forget;
  request.self.address = stale->address;
  request.revision = stale->revision;
  ask(std::move(request));
}

// If it was renewed after all, that will be told, or was.
void membership_state::on_forgotten(const directory_done& done) {
  const auto what = schedule_.end_forget();
  if (!done.ok || !what) return; // tried again
  members_->on_forgotten(*what);
  if (done.revision == 0) return;
  parts_.metrics->forgotten.add();
  spdlog::info("directory: the record of {}, which has been no member for long, was taken out",
               what->address);
}

// Whoever can't renew asks the others whether they can.
void membership_state::ask_peers(std::int64_t now_ns) {
  if (!places_ || !members_->is_away(now_ns)) return;
  members_->go_on_alone(now_ns);
  away_question question;
  question.epoch = members_->view().epoch;
  for (const auto& [number, peer] : peers_) {
    const auto* known = numbers_.address_of(number);
    if (!known) continue;
    self_->request(peer, std::chrono::nanoseconds{parts_.times.renew_ns}, question)
        .then(
            [this, now_ns, address = *known](const away_answer& answer) {
              if (!answer.away) return;
              parts_.metrics->consents.add();
              members_->on_peer_away(address, answer.epoch, now_ns);
              parts_.decides_until_ns->store(members_->decides_until(), std::memory_order_relaxed);
            },
            [](const caf::error&) {});
  }
}

away_answer membership_state::answer(const away_question& question) {
  away_answer out;
  out.epoch = members_->view().epoch;
  out.away = members_->is_away(parts_.steady_ns()) && question.epoch == out.epoch;
  return out;
}

// -- what is told ---------------------------------------------------------------------------------

void membership_state::on_update(const directory_update& update) {
  const std::int64_t now_ns = parts_.steady_ns();
  if (update.watching) {
    watching_ = true;
    watching_ns_ = now_ns;
    members_->on_watching(now_ns);
  }
  if (update.away) {
    watching_ = false;
    members_->on_away();
  }
  if (update.member_gone) {
    members_->on_gone(*update.member_gone, now_ns);
    told_.strangers.erase(*update.member_gone);
  }
  if (update.member) {
    if (clock_ && watching_ && update.member->address != parts_.self.address)
      clock_->on_record(update.member->address, update.member->clocks, now_ns);
    // What the directory held when it was opened may be of nodes long dead.
    members_->on_record(*update.member, watching_ ? now_ns : now_ns - parts_.times.desert_ns,
                        update.revision);
    if (const auto known = numbers_.find(update.member->address))
      for (const auto& limiter : parts_.limiters)
        self_->send(limiter, member_epoch{*known, update.member->epoch});
  }
  if (update.view && members_->on_view(*update.view, update.revision, now_ns)) take_view();
  if (update.member) tell_stranger(*update.member, now_ns);
  if (watching_ && schedule_.is_open()) propose(now_ns);
}

// Once for each process that is not let in.
void membership_state::tell_stranger(const member_record& heard, std::int64_t now_ns) {
  if (!members_->is_other(heard.address)) {
    told_.strangers.erase(heard.address);
    return;
  }
  const bool is_this = members_->is_stranger(now_ns);
  if (is_this && !std::exchange(told_.is_stranger, true))
    spdlog::error("this node's cluster.secret is not that of the cluster's members: it is not let "
                  "in");
  auto& told = told_.strangers[heard.address];
  if (std::exchange(told, heard.incarnation) != heard.incarnation && !is_this)
    spdlog::warn("the node at {} has another cluster.secret: it is not let in", heard.address);
}

void membership_state::take_view() {
  const cluster_view& view = members_->view();
  parts_.metrics->views.add();
  const bool in = members_->is_in({parts_.self.address, parts_.self.incarnation, false});
  // Until it is let in, this node has no say, and an earlier one of its address may be meant.
  if (!in && !was_in_) {
    if (members_->is_full() && !std::exchange(told_.full, true))
      spdlog::error("the cluster has {} members, which is the most: this node is not let in until "
                    "one of them leaves",
                    max_members);
    return;
  }
  was_in_ = true;
  place_shards_now();
  std::string names;
  for (const auto& member : view.members)
    names += (names.empty() ? "" : ", ") + member.address + (member.leaving ? " (leaving)" : "");
  spdlog::info("cluster view {}: {}{}", view.epoch, names, in ? "" : "; without this node");
  schedule_.renew_soon(); // so that the others know soon that this view was seen
}

void membership_state::place_shards_now() {
  const cluster_view& view = members_->view();
  placement places =
      place(view, [this](const std::string& address) { return numbers_.add(address); });
  places.includes_self = members_->is_in({parts_.self.address, parts_.self.incarnation, false});
  places.confirmed = members_->confirmed(parts_.steady_ns());
  for (const auto& member : view.members)
    (void)numbers_.add(member.address);
  places.members.resize(numbers_.size());
  for (const auto& member : view.members)
    places.members[numbers_.add(member.address)] = member.address;
  places_ = std::make_shared<const placement>(std::move(places));
  for (const auto& each : parts_.placed)
    self_->send(each, placement_changed{places_});
  if (joined_.pending()) joined_.deliver(joined_cluster{});
}

void membership_state::await_join(caf::response_promise joined) {
  joined_ = std::move(joined);
  if (places_) joined_.deliver(joined_cluster{});
}

void membership_state::on_done(const directory_done& done) {
  using kind = directory_request::kind;
  const std::int64_t now_ns = parts_.steady_ns();
  switch (done.what) {
  case kind::open:
    schedule_.end_open(done.ok, now_ns);
    if (!done.ok) spdlog::warn("the directory can't be reached, trying on: {}", done.why.message);
    break;
  case kind::renew:
    schedule_.end_renew();
    (done.ok ? parts_.metrics->renewals : parts_.metrics->failed_renewals).add();
    if (done.ok && !gone_) members_->on_renewed(done.sent_ns, done.revision);
    if (done.ok && parts_.self.leaving && left_.pending()) left_.deliver(left_cluster{});
    break;
  case kind::propose:
    schedule_.end_propose();
    break;
  case kind::forget:
    on_forgotten(done);
    break;
  case kind::leave:
    if (left_.pending()) left_.deliver(left_cluster{});
    break;
  }
  parts_.decides_until_ns->store(gone_ ? 0 : members_->decides_until(), std::memory_order_relaxed);
}

void membership_state::on_peer_up(const peer_up& peer) {
  if (peer.directory) peers_[peer.member] = peer.directory;
  if (const auto* address = numbers_.address_of(peer.member)) members_->on_link(*address, true);
}

void membership_state::on_peer_down(const peer_down& peer) {
  peers_.erase(peer.member);
  if (const auto* address = numbers_.address_of(peer.member)) members_->on_link(*address, false);
}

void membership_state::begin_to_leave(bool now, caf::response_promise left) {
  left_ = std::move(left);
  if (!schedule_.is_open()) {
    left_.deliver(left_cluster{});
    return;
  }
  if (!now) {
    parts_.self.leaving = true;
    schedule_.renew_soon();
    return;
  }
  gone_ = true;
  parts_.decides_until_ns->store(0, std::memory_order_relaxed);
  directory_request request;
  request.what = directory_request::kind::leave;
  request.self = parts_.self;
  ask(std::move(request));
}

// A member that was settled once stays ready while shards move; a directory that goes away later
// changes nothing.
cluster_standing membership_state::standing(std::int64_t now_ns) const {
  if (members_->is_in({parts_.self.address, parts_.self.incarnation, false}))
    return had_shards_ ? cluster_standing::in : cluster_standing::without_shards;
  if (!schedule_.is_open() || !watching_) return cluster_standing::no_directory;
  if (members_->is_stranger(now_ns)) return cluster_standing::other_secret;
  if (!may_ask_in(now_ns) && has_time_) return cluster_standing::other_clock;
  return members_->is_full() ? cluster_standing::full : cluster_standing::not_let_in;
}

void membership_state::show(std::int64_t now_ns) {
  const bool is_in = places_ && places_->includes_self;
  had_shards_ = is_in && (had_shards_ || parts_.self.settled_epoch == places_->epoch);
  if (parts_.standing) parts_.standing->store(standing(now_ns), std::memory_order_relaxed);
  membership_metrics& m = *parts_.metrics;
  const cluster_view& view = members_->view();
  const bool up = schedule_.is_open() && !members_->is_away(now_ns);
  m.members.set(static_cast<std::int64_t>(view.members.size()));
  m.epoch.set(static_cast<std::int64_t>(view.epoch));
  m.directory_up.set(up ? 1 : 0);
  membership_status::state out;
  out.epoch = view.epoch;
  out.directory_up = up;
  for (const auto& member : view.members) {
    membership_status::member row;
    row.record.address = member.address;
    row.record.leaving = member.leaving;
    if (const auto* record = members_->record_of(member.address)) row.record = *record;
    if (members_->has_gone(member.address)) row.record.leaving = true;
    row.in_view = true;
    row.heard_s_ago = members_->silent_s(member.address, now_ns);
    if (places_)
      row.owned_shards = static_cast<std::uint16_t>(
          std::ranges::count(places_->shards, numbers_.add(member.address), &shard_place::owner));
    out.members.push_back(std::move(row));
  }
  parts_.board->set(std::move(out));
}

membership_self::behavior_type
membership_actor(membership_self::stateful_pointer<membership_state> self, membership_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->delayed_send(self, membership_tick, caf::tick_atom::value);
  return {
      [self](const membership_partners& partners) { self->state.work_with(partners); },
      [self](const directory_update& update) { self->state.on_update(update); },
      [self](const directory_done& done) { self->state.on_done(done); },
      [self](const peer_up& peer) { self->state.on_peer_up(peer); },
      [self](const peer_down& peer) { self->state.on_peer_down(peer); },
      [self](const away_question& question) { return self->state.answer(question); },
      [self](leave_cluster how) -> caf::result<left_cluster> {
        auto promise = self->make_response_promise();
        self->state.begin_to_leave(how.now, promise);
        return promise;
      },
      [self](penstock::await_join) -> caf::result<joined_cluster> {
        auto promise = self->make_response_promise();
        self->state.await_join(promise);
        return promise;
      },
      [self](caf::tick_atom) {
        self->state.tick();
        self->delayed_send(self, membership_tick, caf::tick_atom::value);
      },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
