// What stays used when a limit's numbers change, and how long one waits for many units.
#include "actors/limits/limits.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/limits/random_limit.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;

TEST_CASE("half of a gcra burst used stays as many units used", "[carry_over]") {
  const limit before{
      .name = "r", .kind = algorithm::gcra, .amount = 100, .window_ns = 60 * second_ns};
  limit after = before;
  after.amount = 1000;
  const limit_state state = charge(before, {}, 0, 50);
  CHECK(look(after, carry_over(before, after, state, 0), 0).available == 950);
  after.amount = 20;
  const limit_state full = carry_over(before, after, state, 0);
  CHECK(look(after, full, 0).available == 0);
  CHECK(look(after, full, 0).retry_ns == 3 * second_ns);
}

TEST_CASE("a limit that gets quicker does not keep its clients waiting", "[carry_over]") {
  const limit slow{.name = "r", .kind = algorithm::gcra, .amount = 10, .window_ns = 10 * hour_ns};
  const limit quick{
      .name = "r", .kind = algorithm::gcra, .amount = 10, .window_ns = 10 * second_ns};
  const limit_state used_up = carry_over(slow, quick, charge(slow, {}, 0, 10), 0);
  CHECK(look(quick, used_up, second_ns - 1).available == 0);
  CHECK(look(quick, used_up, second_ns).available == 1);
  const limit rare{.name = "i", .kind = algorithm::interval, .amount = 1, .window_ns = hour_ns};
  const limit often{.name = "i", .kind = algorithm::interval, .amount = 1, .window_ns = second_ns};
  CHECK(look(often, carry_over(rare, often, charge(rare, {}, 0, 1), 0), second_ns).available == 1);
}

TEST_CASE("what was used stays used under other numbers, whatever they are", "[carry_over]") {
  for (const algorithm kind : {algorithm::gcra, algorithm::fixed_window, algorithm::sliding_window,
                               algorithm::interval, algorithm::calendar})
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
      INFO("algorithm " << static_cast<int>(kind) << ", seed " << seed);
      test_random random(seed);
      const limit before = random_limit(kind, random);
      limit after = random_limit(kind, random);
      after.unit = before.unit;
      std::int64_t now = random.between(0, 1'000'000 * second_ns);
      limit_state state;
      for (int i = 0; i < 10; ++i) {
        const auto available = look(before, state, now).available;
        state =
            charge(before, state, now, static_cast<std::uint32_t>(random.between(0, available)));
        now += random.between(0, before.window_ns / before.amount);
      }
      const limit_state carried = carry_over(before, after, state, now);
      const auto whole = look(before, {}, now).available;
      const auto used = whole - look(before, state, now).available;
      const auto new_whole = look(after, {}, now).available;
      const auto left = look(after, carried, now).available;
      // In a shorter window less may count.
      if (kind == algorithm::gcra || kind == algorithm::calendar ||
          (kind == algorithm::sliding_window && before.window_ns != after.window_ns))
        REQUIRE(left == new_whole - std::min(new_whole, used));
      if (kind == algorithm::fixed_window && after.window_ns >= before.window_ns)
        REQUIRE(left == new_whole - std::min(new_whole, used));
      // It can be lived with: it becomes as good as new in the time it says.
      const auto view = look(after, carried, now);
      if (view.reset_ns > 0) REQUIRE_FALSE(is_idle(after, carried, now));
      REQUIRE(is_idle(after, carried, now + view.reset_ns));
      // The same numbers change nothing.
      const limit_state same = carry_over(before, before, state, now);
      REQUIRE(look(before, same, now).available == look(before, state, now).available);
      REQUIRE(look(before, same, now).retry_ns == look(before, state, now).retry_ns);
      REQUIRE(look(before, same, now).reset_ns == look(before, state, now).reset_ns);
    }
}

TEST_CASE("the wait for any number of units is exact", "[limits]") {
  for (const algorithm kind : {algorithm::gcra, algorithm::fixed_window, algorithm::sliding_window,
                               algorithm::interval, algorithm::calendar})
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      INFO("algorithm " << static_cast<int>(kind) << ", seed " << seed);
      test_random random(seed);
      const limit rule = random_limit(kind, random);
      std::int64_t now = random.between(0, 1'000'000 * second_ns);
      limit_state state;
      for (int i = 0; i < 30; ++i) {
        const auto whole = look(rule, {}, now).available;
        const auto units = static_cast<std::uint32_t>(random.between(0, std::int64_t{whole} + 1));
        const std::int64_t wait = wait_ns(rule, state, now, units);
        if (units > whole) {
          REQUIRE(wait == never);
        } else {
          REQUIRE(wait >= 0);
          REQUIRE(look(rule, state, now + wait).available >= units);
          if (wait > 0) REQUIRE(look(rule, state, now + wait - 1).available < units);
        }
        const auto available = look(rule, state, now).available;
        state = charge(rule, state, now, static_cast<std::uint32_t>(random.between(0, available)));
        now += random.between(0, rule.window_ns);
      }
    }
}
