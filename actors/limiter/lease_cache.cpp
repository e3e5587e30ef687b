#include "actors/limiter/lease_cache.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

constexpr std::int64_t lease_second_ns = 1'000'000'000;
// Demand is what was seen in a whole period of this length.
constexpr std::int64_t demand_period_ns = 500'000'000;
// Until the first is over, what was seen counts as seen in this time at least.
constexpr std::int64_t min_seen_ns = 50'000'000;
constexpr std::int64_t max_idle_ns = 500'000'000;
// Of who sent something that lately the next question is near, and returns what is over.
constexpr std::int64_t max_over_ns = 200'000'000;
constexpr std::uint32_t min_demand = 2;
constexpr std::int64_t forget_interval_ns = lease_second_ns;
constexpr std::int64_t unseen_ns = 2 * lease_second_ns;
// After which the owner has settled the last lease by itself, also one that was long under way.
constexpr std::int64_t unseen_and_settled_ns = unseen_ns + max_lease_lifetime_ns + unseen_ns;

std::uint32_t seconds_until(std::int64_t until_ns, std::int64_t now_ns) {
  const std::int64_t left = std::max<std::int64_t>(until_ns - now_ns, 0);
  return static_cast<std::uint32_t>((left + lease_second_ns - 1) / lease_second_ns);
}

// What a peer leased may be any number.
std::uint32_t saturated_sum(std::uint32_t a, std::uint32_t b) {
  return b > UINT32_MAX - a ? UINT32_MAX : a + b;
}

} // namespace

void lease_cache::count_demand(holding& of, std::uint32_t events, std::int64_t now_ns) {
  const std::int64_t age = now_ns - of.period_ns;
  if (age >= demand_period_ns) {
    of.seen_before = age < 2 * demand_period_ns ? of.seen : 0;
    of.seen = 0;
    of.period_ns = now_ns;
  }
  of.seen += events;
  of.seen_ns = now_ns;
}

// Whether half of what is left will be spent before it is over, by the demand so far.
bool lease_cache::is_needed(const holding& of, std::int64_t now_ns) {
  const std::int64_t life_ns = of.expires_ns - of.began_ns;
  const std::int64_t idle_ns = now_ns - of.seen_ns;
  if (idle_ns >= std::min(max_idle_ns, life_ns / 2)) return false;
  if (now_ns >= of.expires_ns) return now_ns - of.expires_ns < max_over_ns && idle_ns < max_over_ns;
  if (now_ns - of.began_ns < demand_period_ns) return true;
  const std::int64_t demand = std::max(of.seen, of.seen_before);
  return demand * ((of.expires_ns - now_ns) / 1000) >= of.units / 2 * (demand_period_ns / 1000);
}

std::optional<verdict> lease_cache::spend(const lease_key& key, std::uint32_t events,
                                          std::int64_t now_ns, bool again) {
  auto found = held_.find(key);
  if (found == held_.end()) {
    if (held_.size() >= max_clients_) return std::nullopt;
    found = held_.try_emplace(key).first;
    found->second.period_ns = now_ns;
  }
  holding& at = found->second;
  if (!again) count_demand(at, events, now_ns);
  verdict answer = at.last_verdict;
  answer.reset_s = seconds_until(at.resets_ns, now_ns);
  if (at.units >= events && now_ns < at.expires_ns) {
    PENSTOCK_ASSERT(units_ >= events);
    at.units -= events;
    units_ -= events;
    answer.granted = events;
    answer.remaining += at.units;
    answer.reason = 0;
    return answer;
  }
  if (at.units > 0 || now_ns >= at.refused_until_ns) return std::nullopt;
  answer.granted = 0;
  answer.remaining = 0;
  answer.reason = static_cast<std::uint8_t>(refusal::quota);
  answer.reset_s = std::max(answer.reset_s, seconds_until(at.refused_until_ns, now_ns));
  return answer;
}

std::uint32_t lease_cache::units_to_request(const lease_key& key, const lease_terms& terms,
                                            std::int64_t now_ns) {
  const auto found = held_.find(key);
  if (found == held_.end() || found->second.asking) return 0;
  holding& at = found->second;
  const std::uint32_t demand = std::max(at.seen, at.seen_before);
  if (demand < min_demand) return 0;
  at.asking = true;
  // It is settled by what the question says; so nothing of it may be spent after that.
  PENSTOCK_ASSERT(units_ >= at.units);
  at.unspent = saturated_sum(at.unspent, at.units);
  units_ -= at.units;
  at.units = 0;
  // Of what is not leased, only when to ask again is wanted.
  if (terms.max_units == 0) return 1;
  const std::int64_t seen_for_ns =
      at.seen_before > 0 ? demand_period_ns : std::max(now_ns - at.period_ns, min_seen_ns);
  const std::int64_t wanted = demand * terms.lifetime_ns / seen_for_ns + 1;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(wanted, terms.max_units));
}

lease_settlement lease_cache::settlement(const lease_key& key) const {
  const auto found = held_.find(key);
  if (found == held_.end()) return {};
  return {found->second.lease, found->second.unspent, found->second.void_from};
}

std::optional<returned_units> lease_cache::surrender(const lease_key& key) {
  const auto found = held_.find(key);
  return found == held_.end() ? std::nullopt : take_out(key, found->second);
}

void lease_cache::lost(const lease_key& key, std::uint64_t token) {
  const auto found = held_.find(key);
  if (found != held_.end() && found->second.void_from == 0) found->second.void_from = token;
}

bool lease_cache::asks(const lease_key& key) const {
  const auto found = held_.find(key);
  return found != held_.end() && found->second.asking;
}

std::optional<returned_units> lease_cache::take(const lease_key& key, std::uint16_t owner,
                                                const verdict& decided, const lease_answer& answer,
                                                std::int64_t asked_ns, std::int64_t now_ns) {
  const auto found = held_.find(key);
  if (found == held_.end()) {
    if (answer.units == 0) return std::nullopt;
    return returned_units{owner, key.client, {answer.lease, answer.units}};
  }
  holding& at = found->second;
  // Only who was forgotten with a question under way has asked twice.
  std::optional<returned_units> replaced;
  if (at.units != 0) {
    at.unspent = 0;
    replaced = take_out(key, at);
  }
  const std::int64_t lifetime_ns =
      std::clamp<std::int64_t>(answer.lifetime_ns, 0, max_lease_lifetime_ns);
  const std::int64_t again_ns = std::clamp<std::int64_t>(answer.again_ns, 0, max_refusal_ns);
  at.asking = false;
  at.last_verdict = decided;
  at.owner = owner;
  at.resets_ns = now_ns + decided.reset_s * lease_second_ns;
  at.refused_until_ns = again_ns == 0 ? 0 : asked_ns + again_ns;
  at.lease = answer.lease;
  at.unspent = 0;
  at.void_from = 0;
  at.units = answer.units;
  at.began_ns = asked_ns;
  at.expires_ns = asked_ns + lifetime_ns;
  units_ += answer.units;
  if (answer.units != 0 && !std::exchange(at.is_listed, true)) leased_.push_back(key);
  return replaced;
}

void lease_cache::give_up(const lease_key& key) {
  const auto found = held_.find(key);
  if (found != held_.end()) found->second.asking = false;
}

std::optional<returned_units> lease_cache::take_out(const lease_key& key, holding& from) {
  const std::uint32_t units = saturated_sum(from.units, from.unspent);
  PENSTOCK_ASSERT(units_ >= from.units);
  if (units == 0) return std::nullopt;
  const returned_units out{from.owner, key.client, {from.lease, units}};
  units_ -= from.units;
  from.units = from.unspent = 0;
  from.lease = 0;
  return out;
}

std::vector<returned_units> lease_cache::collect(std::int64_t now_ns) {
  std::vector<returned_units> out;
  std::erase_if(leased_, [&](const lease_key& key) {
    const auto found = held_.find(key);
    if (found == held_.end()) return true;
    holding& at = found->second;
    const bool is_spent = at.units == 0 && at.unspent == 0;
    if (!is_spent && (at.asking || is_needed(at, now_ns))) return false;
    if (const auto back = take_out(key, at)) out.push_back(*back);
    at.is_listed = false;
    return true;
  });
  if (now_ns - forgot_ns_ < forget_interval_ns) return out;
  forgot_ns_ = now_ns;
  boost::unordered::erase_if(held_, [now_ns](const auto& each) {
    return each.second.units == 0 && !each.second.asking &&
           now_ns - each.second.seen_ns >
               (each.second.lease == 0 ? unseen_ns : unseen_and_settled_ns);
  });
  return out;
}

std::vector<returned_units> lease_cache::collect_all() {
  std::vector<returned_units> out;
  for (const auto& [key, at] : held_)
    if (at.lease != 0)
      out.push_back({at.owner, key.client, {at.lease, saturated_sum(at.units, at.unspent)}});
  units_ = 0;
  held_.clear();
  leased_.clear();
  return out;
}

} // namespace penstock
