// Several limits together, calendar arithmetic.
#include "actors/limits/algorithms/calendar.hpp"
#include "actors/limits/limits.hpp"
#include "tests/unit/actors/limits/admit_support.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <vector>

using namespace penstock;

namespace {

constexpr std::int64_t day = 86'400 * second_ns;

limit fixed(const char* name, std::uint32_t amount, std::int64_t window_ns) {
  return {.name = name, .kind = algorithm::fixed_window, .amount = amount, .window_ns = window_ns};
}

std::int64_t utc(int year, unsigned month, unsigned day_of_month, int hour = 0) {
  using namespace std::chrono;
  const auto time = sys_days{std::chrono::year{year} / month / day_of_month} + hours{hour};
  return duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

} // namespace

TEST_CASE("a plan without limits admits everything", "[admit]") {
  const verdict answer = admit_events({}, {}, 0, 1000);
  CHECK(answer.granted == 1000);
  CHECK(answer.limit == verdict::no_limit);
  CHECK(answer.reason == 0);
}

TEST_CASE("all limits must admit, and a refusal takes from none of them", "[admit]") {
  const plan rules{"two", {fixed("short", 2, second_ns), fixed("long", 3, 60 * second_ns)}};
  std::vector<limit_state> states(2);
  CHECK(admit_events(rules, states, 0, 1) ==
        verdict{.granted = 1, .remaining = 1, .reset_s = 1, .limit = 0});
  CHECK(admit_events(rules, states, 0, 1) ==
        verdict{.granted = 1, .remaining = 0, .reset_s = 1, .limit = 0});
  const std::vector<limit_state> before = states;
  CHECK(admit_events(rules, states, 0, 1) ==
        verdict{.remaining = 0, .reset_s = 1, .limit = 0, .reason = 1});
  CHECK(states == before);
  // The second window of the short limit; the long one has a unit left and speaks.
  CHECK(admit_events(rules, states, second_ns, 1) ==
        verdict{.granted = 1, .remaining = 0, .reset_s = 59, .limit = 1});
  CHECK(admit_events(rules, states, second_ns, 1) ==
        verdict{.remaining = 0, .reset_s = 59, .limit = 1, .reason = 1});
}

TEST_CASE("of a batch as much is granted as every limit has", "[admit]") {
  const plan rules{"two", {fixed("wide", 100, second_ns), fixed("narrow", 7, 10 * second_ns)}};
  std::vector<limit_state> states(2);
  const verdict answer = admit_events(rules, states, 0, 10);
  CHECK(answer == verdict{.granted = 7, .remaining = 0, .reset_s = 10, .limit = 1});
  CHECK(states[0].used == 7);
  CHECK(states[1].used == 7);
}

TEST_CASE("a refusal names the limit that admits last", "[admit]") {
  const plan rules{
      "three",
      {fixed("a", 1, 5 * second_ns), fixed("b", 1, 9 * second_ns), fixed("c", 1, 7 * second_ns)}};
  std::vector<limit_state> states(3);
  CHECK(admit_events(rules, states, 0, 1).limit == 1);
  const verdict refused = admit_events(rules, states, second_ns, 1);
  CHECK(refused.limit == 1);
  CHECK(refused.reset_s == 8);
  CHECK(refused.reason == static_cast<std::uint8_t>(refusal::quota));
}

TEST_CASE("a request of cost 0 looks and changes nothing", "[admit]") {
  const plan rules{"one", {fixed("a", 2, 5 * second_ns)}};
  std::vector<limit_state> states(1);
  admit_events(rules, states, 0, 2);
  const std::vector<limit_state> before = states;
  CHECK(admit_events(rules, states, second_ns, 0) ==
        verdict{.remaining = 0, .reset_s = 4, .limit = 0});
  CHECK(states == before);
}

TEST_CASE("seconds are rounded up and never overflow", "[admit]") {
  const plan rules{"century", {fixed("a", 1, max_window_ns), fixed("b", 1, 1)}};
  std::vector<limit_state> states(2);
  CHECK(admit_events(rules, states, 0, 1).reset_s == 3'155'760'000u);
  const plan short_one{"ns", {fixed("b", 1, 1)}};
  std::vector<limit_state> one(1);
  CHECK(admit_events(short_one, one, 0, 1).reset_s == 1);
}

TEST_CASE("a plan grants what its limits grant one by one", "[admit]") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    INFO("seed " << seed);
    test_random random(seed);
    plan rules;
    const auto count = static_cast<std::size_t>(random.between(1, max_limits_per_plan));
    for (std::size_t i = 0; i < count; ++i)
      rules.limits.push_back({.name = "any",
                              .kind = static_cast<algorithm>(random.between(0, 4)),
                              .amount = static_cast<std::uint32_t>(random.between(1, 9)),
                              .window_ns = random.between(1, 5 * second_ns)});
    std::vector<limit_state> states(count);
    std::int64_t now = random.between(0, 1000 * day);
    for (int step = 0; step < 100; ++step) {
      const std::vector<limit_state> before = states;
      const auto cost = static_cast<std::uint32_t>(random.between(1, 6));
      const verdict answer = admit_events(rules, states, now, cost);
      std::uint32_t least = UINT32_MAX;
      std::uint32_t left = UINT32_MAX;
      std::int64_t last_retry = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const limit_view view = look(rules.limits[i], before[i], now);
        least = std::min(least, view.available);
        if (view.available == 0) last_retry = std::max(last_retry, view.retry_ns);
        REQUIRE(states[i] == charge(rules.limits[i], before[i], now, answer.granted));
        left = std::min(left, look(rules.limits[i], states[i], now).available);
      }
      REQUIRE(answer.granted == std::min(cost, least));
      REQUIRE(answer.remaining == left);
      REQUIRE((answer.reason != 0) == (answer.granted == 0));
      REQUIRE(look(rules.limits[answer.limit], states[answer.limit], now).available == left);
      if (answer.granted == 0) {
        REQUIRE(answer.reset_s == (last_retry + second_ns - 1) / second_ns);
        REQUIRE(states == before);
      }
      now += random.between(0, 2) * random.between(0, second_ns);
    }
  }
}

TEST_CASE("hours, days and months begin and end as the calendar says", "[calendar]") {
  const auto check = [](calendar_unit unit, std::int64_t now, std::int64_t start,
                        std::int64_t next) {
    CHECK(calendar_start(unit, now) == start);
    CHECK(calendar_next(unit, now) == next);
  };
  check(calendar_unit::hour, utc(2024, 2, 29, 23) + 5, utc(2024, 2, 29, 23), utc(2024, 3, 1));
  check(calendar_unit::day, utc(2024, 2, 29, 23), utc(2024, 2, 29), utc(2024, 3, 1));
  check(calendar_unit::month, utc(2024, 2, 29, 23), utc(2024, 2, 1), utc(2024, 3, 1));
  check(calendar_unit::month, utc(2023, 2, 28, 23), utc(2023, 2, 1), utc(2023, 3, 1));
  check(calendar_unit::month, utc(2023, 12, 31, 23), utc(2023, 12, 1), utc(2024, 1, 1));
  check(calendar_unit::month, utc(2100, 2, 28), utc(2100, 2, 1), utc(2100, 3, 1));
  check(calendar_unit::month, 0, 0, utc(1970, 2, 1));
  // The very edges.
  check(calendar_unit::month, utc(2024, 3, 1), utc(2024, 3, 1), utc(2024, 4, 1));
  check(calendar_unit::month, utc(2024, 3, 1) - 1, utc(2024, 2, 1), utc(2024, 3, 1));
  CHECK(utc(2000, 1, 1) == 946'684'800 * second_ns);
}
