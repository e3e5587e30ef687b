// Limits of all kinds for property tests.
#pragma once

#include "actors/limits/plan.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/random.hpp"

namespace penstock {

inline limit random_limit(algorithm kind, test_random& random) {
  limit rule;
  rule.name = "any";
  rule.kind = kind;
  rule.amount = static_cast<std::uint32_t>(random.between(1, random.one_in(3) ? 1'000'000 : 12));
  // Windows from a nanosecond on, few of them divisible by the amount.
  rule.window_ns = random.between(1, random.one_in(2) ? 100 * second_ns : 1'000);
  rule.burst = static_cast<std::uint32_t>(random.one_in(2) ? 0 : random.between(1, 30));
  rule.unit = static_cast<calendar_unit>(random.between(0, 2));
  return rule;
}

} // namespace penstock
