#include "actors/limits/lease_terms.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::int64_t intervals_a_life = 7;

bool is_leasable(const limit& rule) {
  return algorithm_of(rule.kind).is_leasable && rule.cost == limit_cost::event && !rule.shadow;
}

bool has_scope(const plan& rules, limit_mask applying, limit_scope scope) {
  for (std::size_t i = 0; i < rules.limits.size(); ++i)
    if ((applying >> i & 1) != 0 && rules.limits[i].scope == scope) return true;
  return false;
}

} // namespace

std::uint32_t least_units(const plan& rules, limit_mask applying) {
  std::uint32_t least = UINT32_MAX;
  for (std::size_t i = 0; i < std::min(rules.limits.size(), max_limits_per_plan); ++i) {
    const limit& rule = rules.limits[i];
    if ((applying >> i & 1) != 0 && rule.cost == limit_cost::event)
      least = std::min(least, algorithm_of(rule.kind).units_at_once(rule));
  }
  return least;
}

lease_terms terms_of(const plan& rules, limit_mask applying) {
  std::uint32_t least = UINT32_MAX;
  std::int64_t lifetime_ns = max_lease_lifetime_ns;
  bool limited = false;
  for (std::size_t i = 0; i < std::min(rules.limits.size(), max_limits_per_plan); ++i) {
    if ((applying >> i & 1) == 0) continue;
    const limit& rule = rules.limits[i];
    if (!is_leasable(rule)) return {};
    limited = true;
    least = std::min(least, algorithm_of(rule.kind).units_at_once(rule));
    lifetime_ns = std::min(lifetime_ns, lease_lifetime_ns(rule));
  }
  if (!limited || least / lease_part < min_lease_units) return {};
  return {least / lease_part, lifetime_ns,
          std::clamp(lifetime_ns / intervals_a_life, min_lease_interval_ns, max_lease_interval_ns)};
}

std::size_t hash_value(const lease_key& key) {
  // The client and the key are keyed hashes; the rest only has to be mixed in.
  std::uint64_t mixed = key.client ^ (key.key * 0x9e3779b97f4a7c15);
  mixed ^= (static_cast<std::uint64_t>(key.plan) << 32 | key.stream) * 0xd6e8feb86659fd93;
  mixed ^= key.limits;
  return static_cast<std::size_t>(mixed ^ (mixed >> 32));
}

lease_key lease_key_of(const plan& rules, lease_key whole) {
  if (!has_scope(rules, whole.limits, limit_scope::key)) whole.key = 0;
  if (!has_scope(rules, whole.limits, limit_scope::stream)) whole.stream = 0;
  return whole;
}

} // namespace penstock
