// For front ends of this node: what is here, what is leased, and what an owner must be asked.
#include "actors/base/shards.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/limiter/limiter_cluster.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/limit_messages.hpp"

#include <algorithm>
#include <map>
#include <random>

namespace penstock {

limiter_cluster::limiter_cluster(limiter_cluster_parts parts, tools with)
    : parts_(std::move(parts)), with_(std::move(with)),
      desk_(*with_.ledger, max_leases_given, std::random_device{}()) {
  if (parts_.places) on_placement(parts_.places);
}

const caf::actor* limiter_cluster::limiter_of(std::uint16_t member, std::uint32_t shard) const {
  if (member >= peers_.size() || peers_[member].limiters.empty()) return nullptr;
  const auto& limiters = peers_[member].limiters;
  return &limiters[shard % limiters.size()];
}

lease_key limiter_cluster::key_of(const admit_item& item) {
  const lease_key whole{item.client, item.key, item.plan, item.stream, item.limits};
  const plan* const rules = with_.ledger->rules_of(item.plan);
  return rules ? lease_key_of(*rules, whole) : whole;
}

admit_reply limiter_cluster::admit(const admit_request& request, const caf::actor& front_end) {
  admit_reply reply{request.token, {}, {}};
  reply.verdicts.resize(request.items.size());
  const std::int64_t now_ns = with_.clock();
  const std::int64_t steady_ns = parts_.steady_ns();
  std::span<const std::uint32_t> sizes = request.sizes;
  const bool decides = may_decide(steady_ns);
  located_.clear();
  for (const admit_item& item : request.items)
    located_.push_back(decides && owns(item.client) ? with_.ledger->locate(item, now_ns)
                                                    : limit_ledger::location{});
  bool at_bound = false;
  std::vector<open_item> open;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    const bool sized = item.events > 1 && item.bytes > 0 && item.events <= sizes.size();
    const auto mine = sized ? sizes.first(item.events) : sizes.first(0);
    if (sized) sizes = sizes.subspan(item.events);
    verdict& answer = reply.verdicts[i];
    const bool is_own = decides && owns(item.client);
    if (is_own && !is_at_bound(item)) {
      answer = with_.decide(located_[i], item, mine, now_ns).answer;
      note_charge(item.client, answer.granted);
      continue;
    }
    at_bound = at_bound || is_own;
    open_item asked{static_cast<std::uint32_t>(i), item, {mine.begin(), mine.end()}, 0};
    if (is_own) {
      // It waits: see route().
    } else if (const auto told_before = without_asking(asked, steady_ns)) {
      answer = *told_before;
      continue;
    }
    answer.reason = verdict::pending;
    open.push_back(std::move(asked));
  }
  if (at_bound || unconfirmed_.unsent() >= max_unsent_units) back_up();
  if (!open.empty())
    for (const told& each : route(front_end, request.token, steady_ns, std::move(open)))
      reply.verdicts[each.position] = each.answer;
  return reply;
}

// For another node's shard: what a lease, or what the owner said before, decides. Otherwise says in
// `item` whether to ask for a lease, or to wait for one that is asked for already. That comes no
// later than an answer to this request would, and spares the message. Where leases are too small
// for all that wait it asks for itself in the end.
std::optional<verdict> limiter_cluster::without_asking(open_item& item, std::int64_t steady_ns) {
  const plan* const rules = with_.ledger->rules_of(item.item.plan);
  // What a node holds is taken for lost when its right to decide is over.
  if (!rules || item.item.events == 0 || !may_decide(steady_ns)) return std::nullopt;
  const lease_key key = key_of(item.item);
  if (const auto answer = purse_.spend(key, item.item.events, steady_ns, item.leases_awaited > 0)) {
    (answer->granted != 0 ? parts_.metrics->leased_requests : parts_.metrics->leased_refusals)
        .add();
    return answer;
  }
  const lease_terms terms = terms_of(*rules, item.item.limits);
  item.follows =
      terms.max_units != 0 && purse_.asks(key) && item.leases_awaited < max_leases_awaited;
  if (item.follows)
    ++item.leases_awaited;
  else
    item.wish = purse_.wish(key, terms, steady_ns);
  return std::nullopt;
}

// Decides what can be decided here; the rest is asked for, or waits.
std::vector<limiter_cluster::told> limiter_cluster::route(const caf::actor& front_end,
                                                          std::uint64_t token,
                                                          std::int64_t since_ns,
                                                          std::vector<open_item> items) {
  std::vector<told> decided;
  const std::int64_t steady_ns = parts_.steady_ns();
  const bool decides = may_decide(steady_ns);
  std::map<const caf::actor*, owner_ask> by_owner;
  owner_ask waiting{front_end, token, parts_.self, true, since_ns, 0, {}};
  owner_ask following{front_end, token, parts_.self, false, since_ns, 0, {}};
  for (open_item& each : items) {
    const std::uint32_t shard = shard_of(each.item.client);
    const bool is_own = decides && owns(each.item.client);
    if (is_own && !is_at_bound(each.item)) {
      decided.push_back({each.position, decide_here(each)});
      continue;
    }
    const std::uint16_t owner = places_ ? places_->shards[shard].owner : parts_.self;
    if (owner == parts_.self) {
      waits_for_backup_ = waits_for_backup_ || is_own;
      waiting.items.push_back(std::move(each));
    } else if (each.follows) {
      following.items.push_back(std::move(each));
    } else if (const caf::actor* const to = limiter_of(owner, shard)) {
      auto& ask = by_owner[to];
      if (ask.items.empty()) ask = {front_end, token, owner, false, since_ns, steady_ns, {}};
      ask.items.push_back(std::move(each));
    } else if (may_come_back(owner, steady_ns)) {
      waiting.items.push_back(std::move(each));
    } else {
      decided.push_back({each.position, fall_back(each)});
    }
  }
  for (auto& [to, ask] : by_owner)
    send_ask(std::move(ask), *to);
  if (!waiting.items.empty()) wait(std::move(waiting));
  if (!following.items.empty()) followers_.push_back(std::move(following));
  return decided;
}

// Where a directory says who is a member, whoever is out of reach comes back or is replaced, soon:
// that is waited for as long as verdicts are. In a fixed list only who was not linked to yet is.
bool limiter_cluster::may_come_back(std::uint16_t owner, std::int64_t steady_ns) {
  if (parts_.decides_until_ns) return true;
  return !peer_at(owner).was_lost && steady_ns - placed_ns_ < link_grace_ns;
}

void limiter_cluster::send_ask(owner_ask ask, const caf::actor& owner) {
  owner_request request;
  request.token = next_ask_++;
  request.holder = parts_.holder;
  const bool claims = peer_at(ask.owner).version >= claims_wire_version;
  if (claims) request.version = claims_wire_version;
  bool wishes = false;
  for (const open_item& each : ask.items) {
    request.items.push_back(each.item);
    request.sizes.insert(request.sizes.end(), each.sizes.begin(), each.sizes.end());
    request.wishes.push_back(each.wish);
    if (each.wish == 0) continue;
    wishes = true;
    if (claims)
      request.claims.push_back(purse_.claim(key_of(each.item)));
    else if (const auto back = purse_.surrender(key_of(each.item)))
      give_back({*back});
  }
  if (!wishes) request.wishes.clear();
  parts_.metrics->requests_sent.add();
  asks_.emplace(request.token, std::move(ask));
  with_.self->send(owner, std::move(request));
}

void limiter_cluster::wait(owner_ask ask) {
  ask.waits = true;
  asks_.emplace(next_ask_++, std::move(ask));
  if (will_ask_again_) return;
  will_ask_again_ = true;
  with_.self->delayed_send(with_.self, ask_again_interval, penstock::ask_again{});
}

void limiter_cluster::ask_waiting() {
  std::vector<owner_ask> again;
  boost::unordered::erase_if(asks_, [&](auto& each) {
    if (!each.second.waits) return false;
    again.push_back(std::move(each.second));
    return true;
  });
  parts_.metrics->asked_again.add(again.size());
  route_again(std::move(again));
}

// An answer came, or a while has passed: what waits for a lease may have it.
void limiter_cluster::ask_followers() {
  if (followers_.empty()) return;
  const std::int64_t steady_ns = parts_.steady_ns();
  for (owner_ask& ask : std::exchange(followers_, {})) {
    std::vector<told> verdicts;
    std::erase_if(ask.items, [&](open_item& each) {
      const auto answer = without_asking(each, steady_ns);
      if (answer) verdicts.push_back({each.position, *answer});
      return answer.has_value();
    });
    tell(ask.front_end, ask.token, verdicts);
    tell(ask.front_end, ask.token,
         route(ask.front_end, ask.token, ask.since_ns, std::move(ask.items)));
  }
}

void limiter_cluster::route_again(std::vector<owner_ask> asks) {
  for (owner_ask& ask : asks)
    tell(ask.front_end, ask.token,
         route(ask.front_end, ask.token, ask.since_ns, std::move(ask.items)));
}

void limiter_cluster::tell(const caf::actor& front_end, std::uint64_t token,
                           const std::vector<told>& verdicts) {
  if (verdicts.empty()) return;
  admit_reply reply{token, {}, {}};
  for (const told& each : verdicts) {
    reply.positions.push_back(each.position);
    reply.verdicts.push_back(each.answer);
  }
  with_.self->send(front_end, std::move(reply));
}

verdict limiter_cluster::decide_here(const open_item& each) {
  if (each.wish != 0) purse_.give_up(key_of(each.item));
  const std::int64_t now_ns = with_.clock();
  const auto at = with_.ledger->locate(each.item, now_ns);
  const verdict answer = with_.decide(at, each.item, each.sizes, now_ns).answer;
  note_charge(each.item.client, answer.granted);
  return answer;
}

// The owner can't be reached: as configured, this node decides on what it knows, or refuses.
verdict limiter_cluster::fall_back(const open_item& each) {
  if (parts_.on_unreachable == unreachable_policy::local) {
    parts_.metrics->fallback_local.add();
    return decide_here(each);
  }
  if (each.wish != 0) purse_.give_up(key_of(each.item));
  parts_.metrics->fallback_refused.add();
  verdict answer;
  answer.reason = static_cast<std::uint8_t>(refusal::unreachable);
  return answer;
}

// The owner's answer to these wishes will not be taken, whether it comes or not.
void limiter_cluster::note_lost(const owner_ask& ask, std::uint64_t token) {
  if (ask.waits) return; // nobody was asked
  for (const open_item& each : ask.items)
    if (each.wish != 0) purse_.lost(key_of(each.item), token);
}

void limiter_cluster::on_reply(const owner_reply& reply, const caf::actor& from) {
  const auto found = asks_.find(reply.token);
  if (found == asks_.end()) {
    // It came too late: what it granted is spent for nothing, but not the leases.
    leases_returned back;
    for (const lease_answer& each : reply.leases)
      if (each.units != 0) back.leases.push_back({each.lease, each.units});
    if (!back.leases.empty()) with_.self->send(from, std::move(back));
    return;
  }
  parts_.metrics->replies_received.add();
  // One that makes no sense counts as none.
  if (!reply.moved && reply.verdicts.size() != found->second.items.size()) return;
  owner_ask ask = std::move(found->second);
  asks_.erase(found);
  if (reply.moved) return wait(std::move(ask));
  std::vector<told> verdicts;
  std::size_t next_lease = 0;
  for (std::size_t i = 0; i < ask.items.size(); ++i) {
    const open_item& item = ask.items[i];
    verdicts.push_back({item.position, reply.verdicts[i]});
    if (item.wish == 0) continue;
    while (next_lease < reply.leases.size() && reply.leases[next_lease].item < i)
      ++next_lease;
    const bool has = next_lease < reply.leases.size() && reply.leases[next_lease].item == i;
    take_lease(ask, item, reply.verdicts[i], has ? reply.leases[next_lease] : lease_answer{});
  }
  tell(ask.front_end, ask.token, verdicts);
  ask_followers();
}

void limiter_cluster::take_lease(const owner_ask& ask, const open_item& item, const verdict& answer,
                                 const lease_answer& lease) {
  if (const auto back =
          purse_.take(key_of(item.item), ask.owner, answer, lease, ask.sent_ns, parts_.steady_ns()))
    give_back({*back});
}

void limiter_cluster::end_late_asks() {
  const std::int64_t oldest =
      parts_.steady_ns() - std::chrono::nanoseconds{parts_.verdict_timeout_ms}.count();
  std::vector<owner_ask> late;
  const auto is_late = [&](owner_ask& ask) {
    if (ask.since_ns >= oldest) return false;
    late.push_back(std::move(ask));
    return true;
  };
  boost::unordered::erase_if(asks_, [&](auto& each) {
    if (each.second.since_ns < oldest) note_lost(each.second, each.first);
    return is_late(each.second);
  });
  std::erase_if(followers_, is_late);
  for (const owner_ask& ask : late) {
    std::vector<told> verdicts;
    for (const open_item& each : ask.items)
      verdicts.push_back({each.position, fall_back(each)});
    tell(ask.front_end, ask.token, verdicts);
  }
}

caf::actor limiter_cluster::whom_to_ask(const limits_query& query, bool& reached) {
  const std::uint32_t shard = shard_of(query.client);
  reached = true;
  if (query.passed_on || !places_ || places_->shards[shard].owner == parts_.self) return {};
  if (const caf::actor* const to = limiter_of(places_->shards[shard].owner, shard)) return *to;
  reached = parts_.on_unreachable == unreachable_policy::local;
  return {};
}

} // namespace penstock
