#include "actors/limiter/owner_client.hpp"

#include "actors/limiter/limiter_messages.hpp"
#include "actors/limits/event_sizes.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace penstock {

namespace {

// A peer may say anything; what its front ends would not understand counts as no answer.
bool makes_sense(const verdict& answer, const admit_item& item) {
  return answer.granted <= item.events && answer.reason != verdict::pending;
}

} // namespace

lease_key owner_client::key_of(const admit_item& item) {
  const lease_key whole{item.client, item.key, item.plan, item.stream, item.limits};
  const plan* const rules = context_.ledger->rules_of(item.plan);
  return rules ? lease_key_of(*rules, whole) : whole;
}

admit_reply owner_client::admit(const admit_request& request, const front_end_handle& front_end) {
  admit_reply reply{request.token, {}, {}};
  reply.verdicts.resize(request.items.size());
  const std::int64_t now_ns = context_.clock();
  const std::int64_t steady_ns = context_.parts.steady_ns();
  event_sizes sizes{request.sizes};
  const bool decides = table_.may_decide(steady_ns);
  located_.clear();
  for (const admit_item& item : request.items)
    located_.push_back(decides && table_.owns(item.client) ? context_.ledger->locate(item, now_ns)
                                                           : limit_ledger::location{});
  bool at_bound = false;
  std::vector<open_item> open;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    const admit_item& item = request.items[i];
    const auto mine = sizes.next(item);
    verdict& answer = reply.verdicts[i];
    const bool is_own = decides && table_.owns(item.client);
    if (is_own && !backup_.is_at_bound(item)) {
      answer = backup_.decide(located_[i], item, mine, now_ns).answer;
      continue;
    }
    at_bound = at_bound || is_own;
    open_item asked{static_cast<std::uint32_t>(i), item, {mine.begin(), mine.end()}, 0};
    if (is_own) {
      // It waits: see route().
    } else if (const auto known = without_asking(asked, steady_ns)) {
      answer = *known;
      continue;
    }
    answer.reason = verdict::pending;
    open.push_back(std::move(asked));
  }
  if (at_bound || backup_.is_due()) backup_.back_up();
  if (!open.empty())
    for (const placed_verdict& each : route(front_end, request.token, steady_ns, std::move(open))) {
      PENSTOCK_ASSERT(each.position < reply.verdicts.size());
      reply.verdicts[each.position] = each.answer;
    }
  return reply;
}

// For another node's shard: what a lease, or what the owner said before, decides. Otherwise says in
// `item` whether to ask for a lease, or to wait for one that is asked for already. That comes no
// later than an answer to this request would, and spares the message. Where leases are too small
// for all that wait it asks for itself in the end.
std::optional<verdict> owner_client::without_asking(open_item& item, std::int64_t steady_ns) {
  const plan* const rules = context_.ledger->rules_of(item.item.plan);
  // What a node holds is taken for lost when its right to decide is over.
  if (!rules || item.item.events == 0 || !table_.may_decide(steady_ns)) return std::nullopt;
  const lease_key& key = item.key = key_of(item.item);
  if (const auto answer = cache_.spend(key, item.item.events, steady_ns, item.leases_awaited > 0)) {
    limiter_cluster_metrics& metrics = *context_.parts.metrics;
    (answer->granted != 0 ? metrics.leased_requests : metrics.leased_refusals).add();
    return answer;
  }
  const lease_terms terms = terms_of(*rules, item.item.limits);
  item.awaits_lease =
      terms.max_units != 0 && cache_.asks(key) && item.leases_awaited < max_leases_awaited;
  if (item.awaits_lease)
    ++item.leases_awaited;
  else
    item.requested_units = cache_.units_to_request(key, terms, steady_ns);
  return std::nullopt;
}

// Decides what can be decided here; the rest is asked for, or waits.
std::vector<owner_client::placed_verdict> owner_client::route(const front_end_handle& front_end,
                                                              std::uint64_t token,
                                                              std::int64_t since_ns,
                                                              std::vector<open_item> items) {
  std::vector<placed_verdict> decided;
  const std::int64_t steady_ns = context_.parts.steady_ns();
  const bool decides = table_.may_decide(steady_ns);
  std::map<const limiter_handle*, owner_query> by_owner;
  owner_query waiting{front_end, token, table_.self(), true, since_ns, 0, {}};
  owner_query awaiting{front_end, token, table_.self(), false, since_ns, 0, {}};
  for (open_item& each : items) {
    const std::uint32_t shard = shard_of(each.item.client);
    const bool is_own = decides && table_.owns(each.item.client);
    if (is_own && !backup_.is_at_bound(each.item)) {
      decided.push_back({each.position, decide_here(each)});
      continue;
    }
    const std::uint16_t owner = table_.owner_of(shard);
    if (owner == table_.self()) {
      waits_for_backup_ = waits_for_backup_ || is_own;
      waiting.items.push_back(std::move(each));
    } else if (each.awaits_lease) {
      awaiting.items.push_back(std::move(each));
    } else if (const limiter_handle* const to = table_.limiter_of(owner, shard)) {
      auto& query = by_owner[to];
      if (query.items.empty()) query = {front_end, token, owner, false, since_ns, steady_ns, {}};
      query.items.push_back(std::move(each));
    } else if (may_come_back(owner, steady_ns)) {
      waiting.items.push_back(std::move(each));
    } else {
      decided.push_back({each.position, fall_back(each)});
    }
  }
  for (auto& [to, query] : by_owner)
    send(std::move(query), *to);
  if (!waiting.items.empty()) wait(std::move(waiting));
  if (!awaiting.items.empty()) awaiting_lease_.push_back(std::move(awaiting));
  return decided;
}

void owner_client::reroute(std::vector<owner_query> queries) {
  for (owner_query& each : queries)
    answer(each.front_end, each.token,
           route(each.front_end, each.token, each.since_ns, std::move(each.items)));
}

// Where a directory says who is a member, whoever is out of reach comes back or is replaced, soon:
// that is waited for as long as verdicts are. In a fixed list only who was not linked to yet is.
bool owner_client::may_come_back(std::uint16_t owner, std::int64_t steady_ns) const {
  if (context_.parts.decides_until_ns) return true;
  return !table_.was_lost(owner) && steady_ns - table_.viewed_ns() < link_grace_ns;
}

void owner_client::send(owner_query query, const limiter_handle& owner) {
  PENSTOCK_ASSERT(query.owner != table_.self());
  PENSTOCK_ASSERT(!query.items.empty());
  owner_request request;
  request.token = next_token_++;
  request.holder = context_.parts.holder;
  const bool settles = table_.version_of(query.owner) >= settlements_wire_version;
  if (settles) request.version = settlements_wire_version;
  bool requests_units = false;
  for (const open_item& each : query.items) {
    request.items.push_back(each.item);
    request.sizes.insert(request.sizes.end(), each.sizes.begin(), each.sizes.end());
    request.requested_units.push_back(each.requested_units);
    if (each.requested_units == 0) continue;
    requests_units = true;
    if (settles)
      request.settlements.push_back(cache_.settlement(each.key));
    else if (const auto back = cache_.surrender(each.key))
      returns_.give_back({*back});
  }
  if (!requests_units) request.requested_units.clear();
  context_.parts.metrics->requests_sent.add();
  pending_queries_.emplace(request.token, std::move(query));
  context_.self->send(owner, std::move(request));
}

void owner_client::wait(owner_query query) {
  query.waits = true;
  pending_queries_.emplace(next_token_++, std::move(query));
  if (will_retry_) return;
  will_retry_ = true;
  context_.self->delayed_send(context_.self, query_retry_interval, penstock::retry_queries{});
}

void owner_client::retry_queries() {
  std::vector<owner_query> waiting;
  boost::unordered::erase_if(pending_queries_, [&](auto& each) {
    if (!each.second.waits) return false;
    waiting.push_back(std::move(each.second));
    return true;
  });
  context_.parts.metrics->asked_again.add(waiting.size());
  reroute(std::move(waiting));
}

void owner_client::retry_after_backup() {
  if (std::exchange(waits_for_backup_, false)) retry_queries();
}

void owner_client::serve_awaiting() {
  if (awaiting_lease_.empty()) return;
  const std::int64_t steady_ns = context_.parts.steady_ns();
  for (owner_query& query : std::exchange(awaiting_lease_, {})) {
    std::vector<placed_verdict> verdicts;
    std::erase_if(query.items, [&](open_item& each) {
      const auto known = without_asking(each, steady_ns);
      if (known) verdicts.push_back({each.position, *known});
      return known.has_value();
    });
    answer(query.front_end, query.token, verdicts);
    answer(query.front_end, query.token,
           route(query.front_end, query.token, query.since_ns, std::move(query.items)));
  }
}

void owner_client::answer(const front_end_handle& front_end, std::uint64_t token,
                          const std::vector<placed_verdict>& verdicts) {
  if (verdicts.empty()) return;
  admit_reply reply{token, {}, {}};
  for (const placed_verdict& each : verdicts) {
    reply.positions.push_back(each.position);
    reply.verdicts.push_back(each.answer);
  }
  context_.self->send(front_end, std::move(reply));
}

verdict owner_client::decide_here(const open_item& each) {
  if (each.requested_units != 0) cache_.give_up(each.key);
  const std::int64_t now_ns = context_.clock();
  const auto at = context_.ledger->locate(each.item, now_ns);
  return backup_.decide(at, each.item, each.sizes, now_ns).answer;
}

// The owner can't be reached: as configured, this node decides on what it knows, or refuses.
verdict owner_client::fall_back(const open_item& each) {
  if (context_.parts.on_unreachable == unreachable_policy::local) {
    context_.parts.metrics->fallback_local.add();
    return decide_here(each);
  }
  if (each.requested_units != 0) cache_.give_up(each.key);
  context_.parts.metrics->fallback_refused.add();
  verdict answer;
  answer.reason = static_cast<std::uint8_t>(refusal::unreachable);
  return answer;
}

// The owner's answer to these requests for units will not be taken, whether it comes or not.
void owner_client::note_lost(const owner_query& query, std::uint64_t token) {
  if (query.waits) return; // nobody was asked
  for (const open_item& each : query.items)
    if (each.requested_units != 0) cache_.lost(each.key, token);
}

void owner_client::on_reply(const owner_reply& reply, const limiter_handle& from) {
  const auto found = pending_queries_.find(reply.token);
  if (found == pending_queries_.end()) {
    // It came too late: what it granted is spent for nothing, but not the leases.
    leases_returned back;
    for (const lease_answer& each : reply.leases)
      if (each.units != 0) back.leases.push_back({each.lease, each.units});
    if (!back.leases.empty()) context_.self->send(from, std::move(back));
    return;
  }
  context_.parts.metrics->replies_received.add();
  const auto& items = found->second.items;
  const bool is_whole =
      reply.verdicts.size() == items.size() &&
      std::ranges::equal(reply.verdicts, items, makes_sense, {}, &open_item::item);
  if (!reply.moved && !is_whole) return;
  owner_query query = std::move(found->second);
  pending_queries_.erase(found);
  if (reply.moved) return wait(std::move(query));
  take_answer(query, reply);
  serve_awaiting();
}

void owner_client::take_answer(const owner_query& query, const owner_reply& reply) {
  PENSTOCK_ASSERT(reply.verdicts.size() == query.items.size());
  std::vector<placed_verdict> verdicts;
  std::size_t next_lease = 0;
  for (std::size_t i = 0; i < query.items.size(); ++i) {
    const open_item& item = query.items[i];
    verdicts.push_back({item.position, reply.verdicts[i]});
    if (item.requested_units == 0) continue;
    while (next_lease < reply.leases.size() && reply.leases[next_lease].item < i)
      ++next_lease;
    const bool has = next_lease < reply.leases.size() && reply.leases[next_lease].item == i;
    const lease_answer lease = has ? reply.leases[next_lease] : lease_answer{};
    if (const auto back = cache_.take(item.key, query.owner, reply.verdicts[i], lease,
                                      query.sent_ns, context_.parts.steady_ns()))
      returns_.give_back({*back});
  }
  answer(query.front_end, query.token, verdicts);
}

void owner_client::end_late_queries() {
  const std::int64_t oldest_ns =
      context_.parts.steady_ns() -
      std::chrono::nanoseconds{context_.parts.verdict_timeout_ms}.count();
  std::vector<owner_query> late;
  const auto is_late = [&](owner_query& query) {
    if (query.since_ns >= oldest_ns) return false;
    late.push_back(std::move(query));
    return true;
  };
  boost::unordered::erase_if(pending_queries_, [&](auto& each) {
    if (each.second.since_ns < oldest_ns) note_lost(each.second, each.first);
    return is_late(each.second);
  });
  std::erase_if(awaiting_lease_, is_late);
  for (const owner_query& query : late) {
    std::vector<placed_verdict> verdicts;
    for (const open_item& each : query.items)
      verdicts.push_back({each.position, fall_back(each)});
    answer(query.front_end, query.token, verdicts);
  }
}

void owner_client::lose(std::uint16_t member) {
  std::vector<owner_query> lost;
  boost::unordered::erase_if(pending_queries_, [&](auto& each) {
    if (each.second.waits || each.second.owner != member) return false;
    note_lost(each.second, each.first);
    lost.push_back(std::move(each.second));
    return true;
  });
  reroute(std::move(lost));
}

std::int64_t owner_client::waiting_items() const {
  std::int64_t waiting = 0;
  for (const auto& [ignored, query] : pending_queries_)
    if (query.waits) waiting += static_cast<std::int64_t>(query.items.size());
  return waiting;
}

} // namespace penstock
