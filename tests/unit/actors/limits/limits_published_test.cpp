// The algorithms beside the published behaviour of others: rows that their documents or tests
// state.
#include "actors/limits/limits.hpp"
#include "tests/unit/actors/limits/admit_support.hpp"
#include "tests/unit/actors/limits/durations.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <vector>

using namespace penstock;

namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t minute = 60 * second_ns;

// At `at_ns` after the start a request of `cost`; what must be granted, be left, and how long until
// more may come (-1: the source does not say).
struct row {
  std::int64_t at_ns;
  std::uint32_t cost;
  std::uint32_t granted;
  std::uint32_t remaining;
  std::int64_t wait_s;
};

void check_rows(const limit& rule, std::int64_t start_ns, const std::vector<row>& rows) {
  const plan rules{"published", {rule}};
  std::vector<limit_state> states(1);
  for (const row& expected : rows) {
    INFO("at " << expected.at_ns / ms << " ms");
    const verdict answer = admit_events(rules, states, start_ns + expected.at_ns, expected.cost);
    CHECK(answer.granted == expected.granted);
    CHECK(answer.remaining == expected.remaining);
    if (expected.wait_s >= 0) CHECK(answer.reset_s == expected.wait_s);
  }
}

std::int64_t utc(int year, unsigned month, unsigned day_of_month, int hour_ns, int min, int sec) {
  using namespace std::chrono;
  const auto time = sys_days{std::chrono::year{year} / month / day_of_month} + hours{hour_ns} +
                    minutes{min} + seconds{sec};
  return duration_cast<nanoseconds>(time.time_since_epoch()).count();
}

} // namespace

// express-rate-limit 7, MemoryStore: a client's window opens with its first request, hits in it are
// counted up to `limit`, and the count starts anew with the first hit after windowMs.
TEST_CASE("fixed_window behaves as express-rate-limit", "[limits]") {
  const limit rule{
      .name = "api", .kind = algorithm::fixed_window, .amount = 5, .window_ns = minute};
  check_rows(rule, utc(2024, 5, 1, 12, 0, 37),
             {{0, 1, 1, 4, 60},
              {1 * second_ns, 1, 1, 3, 59},
              {30 * second_ns, 1, 1, 2, 30},
              {30 * second_ns, 1, 1, 1, 30},
              {59 * second_ns, 1, 1, 0, 1},
              {59 * second_ns, 1, 0, 0, 1},
              {60 * second_ns - 1, 1, 0, 0, 1},
              // Not at the full minute of the clock, but a minute after the first request.
              {60 * second_ns, 1, 1, 4, 60},
              // A window that nobody opened does not run.
              {190 * second_ns, 1, 1, 4, 60}});
}

// rack-throttle, README and lib/rack/throttle/interval.rb: `Interval, :min => 3.0` admits a request
// when at least three seconds have passed. (There a refused request restarts the wait; here a
// refusal consumes nothing, so the wait is from the last one admitted.)
TEST_CASE("interval behaves as rack-throttle's", "[limits]") {
  const limit rule{
      .name = "gap", .kind = algorithm::interval, .amount = 1, .window_ns = 3 * second_ns};
  check_rows(rule, utc(2024, 5, 1, 0, 0, 0),
             {{0, 1, 1, 0, 3},
              {0, 1, 0, 0, 3},
              {2999 * ms, 1, 0, 0, 1},
              {3000 * ms, 1, 1, 0, 3},
              {10 * second_ns, 1, 1, 0, 3}});
  // `:min => 0.5` is two a second, never both at once.
  const limit two{.name = "gap", .kind = algorithm::interval, .amount = 2, .window_ns = second_ns};
  check_rows(two, utc(2024, 5, 1, 0, 0, 0),
             {{0, 2, 1, 0, 1}, {499 * ms, 1, 0, 0, 1}, {500 * ms, 1, 1, 0, 1}});
}

// rack-throttle, README: `Hourly, :max => 100` and `Daily, :max => 1000` count by the hour and the
// day of the clock (cache keys end in %Y-%m-%dT%H and %Y-%m-%d).
TEST_CASE("calendar behaves as rack-throttle's Hourly and Daily", "[limits]") {
  const limit hourly{
      .name = "hourly", .kind = algorithm::calendar, .amount = 100, .unit = calendar_unit::hour};
  check_rows(hourly, utc(2024, 5, 1, 13, 59, 58),
             {{0, 100, 100, 0, 2}, {1 * second_ns, 1, 0, 0, 1}, {2 * second_ns, 1, 1, 99, 3600}});
  const limit daily{.name = "daily", .kind = algorithm::calendar, .amount = 1000};
  check_rows(daily, utc(2023, 12, 31, 23, 0, 0),
             {{0, 999, 999, 1, 3600}, {0, 2, 1, 0, 3600}, {60 * minute, 1, 1, 999, 86'400}});
}

// brandur/redis-cell, README: `CL.THROTTLE user123 15 30 60` is 30 a minute with max_burst 15, so
// 16 at once; its example answers limit 16, remaining 15, reset 2 s.
TEST_CASE("gcra behaves as redis-cell", "[limits]") {
  const limit rule{
      .name = "cell", .kind = algorithm::gcra, .amount = 30, .window_ns = minute, .burst = 16};
  check_rows(rule, utc(2024, 5, 1, 0, 0, 0),
             {{0, 1, 1, 15, 2},
              {0, 14, 14, 1, 30},
              {0, 1, 1, 0, 2},
              {0, 1, 0, 0, 2},
              {2 * second_ns, 1, 1, 0, 2},
              {34 * second_ns, 0, 0, 16, 0}});
}

// throttled/throttled, rate_test.go, TestRateLimit, one a second with MaxBurst 4. (Its first and
// last case ask for more than there is: refused there, granted in part here. A reset of 5 s with
// nothing left is here the second until the next unit.)
TEST_CASE("gcra behaves as throttled", "[limits]") {
  const limit rule{
      .name = "t", .kind = algorithm::gcra, .amount = 1, .window_ns = second_ns, .burst = 5};
  check_rows(rule, 0,
             {{0, 1, 1, 4, 1},
              {0, 1, 1, 3, 2},
              {0, 1, 1, 2, 3},
              {0, 1, 1, 1, 4},
              {0, 1, 1, 0, 1},
              {0, 1, 0, 0, 1},
              {3000 * ms, 1, 1, 2, 3},
              {3100 * ms, 1, 1, 1, 4},
              {4000 * ms, 1, 1, 1, 4},
              {8000 * ms, 1, 1, 4, 1},
              {9500 * ms, 1, 1, 4, 1},
              {9500 * ms, 0, 0, 4, 1},
              {9500 * ms, 2, 2, 2, 3}});
}

// mailgun/gubernator, functional_test.go. TestTokenBucket, 2 in 5 ms: our fixed_window.
// TestLeakyBucket, 10 in 30 s, so one leaks each 3 s: our gcra.
TEST_CASE("the buckets of gubernator", "[limits]") {
  const limit token{
      .name = "token", .kind = algorithm::fixed_window, .amount = 2, .window_ns = 5 * ms};
  check_rows(token, utc(2024, 5, 1, 0, 0, 0),
             {{0, 1, 1, 1, -1}, {0, 1, 1, 0, -1}, {100 * ms, 1, 1, 1, -1}});
  const limit leaky{
      .name = "leaky", .kind = algorithm::gcra, .amount = 10, .window_ns = 30 * second_ns};
  check_rows(leaky, utc(2024, 5, 1, 0, 0, 0),
             {{0, 1, 1, 9, -1},
              {1000 * ms, 1, 1, 8, -1},
              {2000 * ms, 1, 1, 7, -1},
              {3500 * ms, 0, 0, 8, -1},
              {6500 * ms, 0, 0, 9, -1},
              {6500 * ms, 9, 9, 0, -1},
              {6500 * ms, 1, 0, 0, -1},
              {9500 * ms, 0, 0, 1, -1},
              {69'500 * ms, 0, 0, 10, 0},
              {129'500 * ms, 10, 10, 0, -1},
              {158'500 * ms, 9, 9, 0, -1},
              {161'500 * ms, 1, 1, 0, -1}});
}

// Cloudflare, "How we built rate limiting capable of scaling to millions of domains": 50 requests a
// minute, 42 in the minute before, 18 so far, 15 s into this one: 42 * 45/60 + 18 = 49.5.
TEST_CASE("sliding_window estimates as Cloudflare's", "[limits]") {
  const limit rule{
      .name = "sliding", .kind = algorithm::sliding_window, .amount = 50, .window_ns = minute};
  check_rows(rule, utc(2024, 5, 1, 12, 0, 0),
             {{30 * second_ns, 42, 42, 8, -1},
              // Another than the 18 would make 50.5; its turn comes when 42 weigh 31: at 15.714 s.
              {75 * second_ns, 18, 18, 0, 1},
              {75 * second_ns, 1, 0, 0, 1},
              {75'714 * ms, 1, 0, 0, 1},
              {75'715 * ms, 1, 1, 0, -1}});
}
