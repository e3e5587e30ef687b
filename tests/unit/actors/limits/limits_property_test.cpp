// What must hold for each algorithm over any schedule of requests.
#include "actors/limits/algorithms/calendar.hpp"
#include "actors/limits/limits.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/limits/random_limit.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

using namespace penstock;

namespace {

__extension__ using wide = __int128;

constexpr std::uint64_t schedules_per_algorithm = 400;
constexpr int requests_per_schedule = 150;

constexpr algorithm all_algorithms[] = {algorithm::gcra, algorithm::fixed_window,
                                        algorithm::sliding_window, algorithm::interval,
                                        algorithm::calendar};

struct grant {
  std::int64_t at = 0;
  std::uint32_t units = 0;
};

// The time scale that makes the rule bite.
std::int64_t scale(const limit& rule) {
  if (rule.kind != algorithm::calendar) return rule.window_ns;
  return calendar_next(rule.unit, 0) - calendar_start(rule.unit, 0);
}

std::int64_t random_step(const limit& rule, test_random& random) {
  switch (random.between(0, 4)) {
  case 0:
    return 0;
  case 1:
    return random.between(0, 2 * scale(rule));
  case 2:
    return scale(rule) - random.between(0, 1);
  default:
    return random.between(0, scale(rule) / rule.amount + 1);
  }
}

std::uint64_t total(const std::vector<grant>& grants, std::int64_t from, std::int64_t until) {
  std::uint64_t sum = 0;
  for (const grant& each : grants)
    if (each.at >= from && each.at < until) sum += each.units;
  return sum;
}

// Between two of the grants, both included, no more than burst + elapsed * amount / window.
void check_gcra(const limit& rule, const std::vector<grant>& grants) {
  const wide burst = rule.burst != 0 ? rule.burst : rule.amount;
  for (std::size_t first = 0; first < grants.size(); ++first) {
    wide sum = 0;
    for (std::size_t last = first; last < grants.size(); ++last) {
      sum += grants[last].units;
      const wide elapsed = grants[last].at - grants[first].at;
      REQUIRE(sum * rule.window_ns <= burst * rule.window_ns + elapsed * rule.amount);
    }
  }
}

void check_fixed_window(const limit& rule, const std::vector<grant>& grants) {
  for (std::size_t first = 0; first < grants.size();) {
    const std::int64_t end = grants[first].at + rule.window_ns;
    REQUIRE(total(grants, grants[first].at, end) <= rule.amount);
    while (first < grants.size() && grants[first].at < end)
      ++first;
  }
}

void check_sliding_window(const limit& rule, const std::vector<grant>& grants) {
  const wide window = rule.window_ns;
  for (const grant& each : grants) {
    const std::int64_t start = each.at - each.at % rule.window_ns;
    const wide used = total(grants, start, each.at + 1);
    const wide previous = total(grants, start - rule.window_ns, start);
    REQUIRE(used * window + previous * (window - (each.at - start)) <= rule.amount * window);
  }
}

void check_interval(const limit& rule, const std::vector<grant>& grants) {
  for (std::size_t i = 1; i < grants.size(); ++i)
    REQUIRE(static_cast<wide>(grants[i].at - grants[i - 1].at) * rule.amount >= rule.window_ns);
  for (const grant& each : grants)
    REQUIRE(each.units == 1);
}

void check_calendar(const limit& rule, const std::vector<grant>& grants) {
  for (const grant& each : grants)
    REQUIRE(total(grants, calendar_start(rule.unit, each.at), calendar_next(rule.unit, each.at)) <=
            rule.amount);
}

void check_admitted(const limit& rule, const std::vector<grant>& grants) {
  switch (rule.kind) {
  case algorithm::gcra:
    return check_gcra(rule, grants);
  case algorithm::fixed_window:
    return check_fixed_window(rule, grants);
  case algorithm::sliding_window:
    return check_sliding_window(rule, grants);
  case algorithm::interval:
    return check_interval(rule, grants);
  case algorithm::calendar:
    return check_calendar(rule, grants);
  }
}

// retry_ns and reset_ns are exact: at that moment it is so, and a nanosecond earlier it is not.
void check_times(const limit& rule, const limit_state& state, std::int64_t now) {
  const limit_view view = look(rule, state, now);
  const std::uint32_t whole = look(rule, {}, now).available;
  if (view.available == whole) {
    REQUIRE(view.retry_ns == 0);
  } else {
    REQUIRE(view.retry_ns > 0);
    REQUIRE(look(rule, state, now + view.retry_ns).available > view.available);
    REQUIRE(look(rule, state, now + view.retry_ns - 1).available == view.available);
  }
  REQUIRE(look(rule, state, now + view.reset_ns).available == whole);
  REQUIRE(look(rule, state, now + view.reset_ns).reset_ns == 0);
  REQUIRE(is_idle(rule, state, now + view.reset_ns));
  if (view.reset_ns > 0) {
    REQUIRE_FALSE(is_idle(rule, state, now + view.reset_ns - 1));
    REQUIRE(look(rule, state, now + view.reset_ns - 1).reset_ns == 1);
  }
}

// Whatever is asked of them from now on, a state that is idle and a new one give the same answers.
void check_as_good_as_new(const limit& rule, limit_state state, std::int64_t now,
                          test_random random) {
  limit_state fresh;
  for (int i = 0; i < 20; ++i) {
    const limit_view view = look(rule, state, now);
    const limit_view expected = look(rule, fresh, now);
    REQUIRE(view.available == expected.available);
    REQUIRE(view.retry_ns == expected.retry_ns);
    REQUIRE(view.reset_ns == expected.reset_ns);
    const auto units = static_cast<std::uint32_t>(random.between(0, view.available));
    state = charge(rule, state, now, units);
    fresh = charge(rule, fresh, now, units);
    now += random_step(rule, random);
  }
}

void run_schedule(algorithm kind, std::uint64_t seed) {
  INFO("algorithm " << static_cast<int>(kind) << ", seed " << seed);
  test_random random(seed);
  const limit rule = random_limit(kind, random);
  INFO("amount " << rule.amount << ", window " << rule.window_ns << " ns, burst " << rule.burst
                 << ", unit " << static_cast<int>(rule.unit));
  std::int64_t now = random.one_in(4) ? 0 : random.between(0, 2'000'000'000 * second_ns);
  limit_state state;
  std::vector<grant> grants;
  for (int i = 0; i < requests_per_schedule; ++i) {
    const limit_view view = look(rule, state, now);
    check_times(rule, state, now);
    if (is_idle(rule, state, now)) check_as_good_as_new(rule, state, now, random);
    // All there is, one, or something between.
    auto units = static_cast<std::uint32_t>(random.between(0, view.available));
    if (random.one_in(3)) units = view.available;
    if (random.one_in(3)) units = std::min(view.available, 1u);
    state = charge(rule, state, now, units);
    REQUIRE(look(rule, state, now).available == view.available - units);
    if (units != 0) grants.push_back({now, units});
    // Often to the very moment at which more is admitted, or just before it.
    const std::int64_t retry = look(rule, state, now).retry_ns;
    now += random.one_in(2) ? random_step(rule, random)
                            : std::max<std::int64_t>(retry - random.between(0, 1), 0);
  }
  check_admitted(rule, grants);
}

} // namespace

TEST_CASE("no schedule gets more than its limit, and every time given is exact", "[limits][slow]") {
  for (const algorithm kind : all_algorithms)
    for (std::uint64_t seed = 1; seed <= schedules_per_algorithm; ++seed)
      run_schedule(kind, seed);
}

TEST_CASE("a client that takes all it can gets the whole rate, without rounding loss", "[limits]") {
  // A third of a second is no whole number of nanoseconds.
  const limit rule{.name = "thirds", .kind = algorithm::gcra, .amount = 3, .window_ns = second_ns};
  limit_state state;
  std::int64_t now = 0;
  std::uint64_t granted = 0;
  while (now <= 1000 * second_ns) {
    const limit_view view = look(rule, state, now);
    state = charge(rule, state, now, view.available);
    granted += view.available;
    now += look(rule, state, now).retry_ns;
  }
  CHECK(granted == 3 + 3 * 1000);
}

TEST_CASE("extreme numbers neither overflow nor admit more", "[limits]") {
  const std::int64_t times[] = {0, 1, 1'700'000'000 * second_ns, max_now_ns};
  const std::uint32_t amounts[] = {0, 1, 3, UINT32_MAX};
  const std::int64_t windows[] = {INT64_MIN, -1, 0, 1, second_ns, max_window_ns, INT64_MAX};
  const std::uint32_t bursts[] = {0, 1, UINT32_MAX};
  for (const algorithm kind : all_algorithms)
    for (const std::int64_t now : times)
      for (const std::uint32_t amount : amounts)
        for (const std::int64_t window : windows)
          for (const std::uint32_t burst : bursts) {
            const limit rule{"extreme", kind, amount, window, burst, calendar_unit::month};
            INFO("algorithm " << static_cast<int>(kind) << ", now " << now << ", amount " << amount
                              << ", window " << window << ", burst " << burst);
            const limit_view fresh = look(rule, {}, now);
            REQUIRE(fresh.available >= 1);
            REQUIRE(fresh.available <= std::max({amount, burst, 1u}));
            REQUIRE(is_idle(rule, {}, now));
            limit_state state = charge(rule, {}, now, fresh.available);
            const limit_view spent = look(rule, state, now);
            REQUIRE(spent.available == 0);
            REQUIRE(spent.retry_ns > 0);
            REQUIRE(spent.reset_ns >= spent.retry_ns);
            REQUIRE_FALSE(is_idle(rule, state, now));
            if (now <= 1'700'000'000 * second_ns && spent.reset_ns < max_now_ns - now)
              REQUIRE(is_idle(rule, state, now + spent.reset_ns));
          }
}
