// What may be leased of a plan, and how much at a time. Pure.
#pragma once

#include "actors/limits/limits.hpp"

#include <array>
#include <cstdint>

namespace penstock {

/// A lease is at most this part of the least amount in the plan. Of a holder that dies half of its
/// lease is taken for spent: that errs by less than 1% of the limit, either way.
inline constexpr std::uint32_t lease_part = 52;
/// Limits of which that is less go to the owner each time.
inline constexpr std::uint32_t min_lease_units = 8;
/// How often a front end that was refused, or that got little because little was left, asks again:
/// a seventh of a lease's life, within these bounds.
inline constexpr std::int64_t min_lease_interval_ns = 10'000'000;
inline constexpr std::int64_t max_lease_interval_ns = 500'000'000;
/// Who was refused where nothing is leased need not ask before it could be admitted, but by then.
inline constexpr std::int64_t max_refusal_ns = 1'000'000'000;

struct lease_terms {
  std::uint32_t max_units = 0;  ///< 0: nothing is leased of this plan
  std::int64_t lifetime_ns = 0; ///< a lease lasts for at most this long
  std::int64_t interval_ns = 0;
};

/// What the tightest of the limits that `applying` names admits at once; limits in bytes don't
/// count. UINT32_MAX: none.
std::uint32_t least_units(const plan& rules, limit_mask applying);

/// Of the limits of the plan that `applying` names. A plan of which one limit counts bytes, is in
/// shadow or is an interval is not leased.
lease_terms terms_of(const plan& rules, limit_mask applying);

/// What of its lease a client is known by: those of an item's fields on which the plan's limits
/// depend.
struct lease_key {
  std::uint64_t client = 0;
  std::uint64_t key = 0;
  std::uint32_t plan = 0;
  std::uint32_t stream = 0;
  limit_mask limits = all_limits;

  bool operator==(const lease_key&) const = default;
};

std::size_t hash_value(const lease_key& key);

/// The fields given, without those that no limit of the plan looks at.
lease_key lease_key_of(const plan& rules, lease_key whole);

} // namespace penstock
