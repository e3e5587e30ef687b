// Events and bytes together, limits in shadow, limits that do not apply.
#include "tests/unit/actors/limits/admit_support.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

using namespace penstock;

namespace {

limit events(const char* name, std::uint32_t amount) {
  return {
      .name = name, .kind = algorithm::fixed_window, .amount = amount, .window_ns = 10 * second_ns};
}

limit bytes(const char* name, std::uint32_t amount) {
  limit rule = events(name, amount);
  rule.cost = limit_cost::byte;
  return rule;
}

limit in_shadow(limit rule) {
  rule.shadow = true;
  return rule;
}

std::uint8_t reason(refusal why) {
  return static_cast<std::uint8_t>(why);
}

// By definition: whether the limit would take the first `count` events.
bool takes(const limit& rule, const limit_state& state, std::int64_t now,
           const std::vector<std::uint32_t>& sizes, std::size_t count) {
  const std::uint64_t units =
      rule.cost == limit_cost::event
          ? count
          : std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(count),
                            std::uint64_t{0});
  return units <= look(rule, state, now).available;
}

std::uint32_t units(const limit& rule, const std::vector<std::uint32_t>& sizes, std::size_t count) {
  if (rule.cost == limit_cost::event) return static_cast<std::uint32_t>(count);
  return std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(count), 0u);
}

} // namespace

TEST_CASE("a byte limit is charged the body's bytes, beside the events", "[admit]") {
  const plan rules{"p", {events("e", 10), bytes("b", 1000)}};
  std::vector<limit_state> states(2);
  const auto all = pointers_to(states);
  CHECK(admit(rules, all, 0, {.events = 1, .bytes = 900}).answer ==
        verdict{.granted = 1, .remaining = 100, .reset_s = 10, .limit = 1});
  CHECK(states[0].used == 1);
  CHECK(states[1].used == 900);
  // 100 are left, and that is not enough: refused, and neither is charged.
  CHECK(admit(rules, all, second_ns, {.events = 1, .bytes = 101}).answer ==
        verdict{.remaining = 100, .reset_s = 9, .limit = 1, .reason = reason(refusal::quota)});
  CHECK(states[0].used == 1);
  CHECK(states[1].used == 900);
  CHECK(admit(rules, all, second_ns, {.events = 1, .bytes = 100}).answer.granted == 1);
  // An event of no bytes costs none.
  CHECK(admit(rules, all, second_ns, {.events = 1, .bytes = 0}).answer.granted == 1);
}

TEST_CASE("of a batch as many events as their own bytes last for", "[admit]") {
  const plan rules{"p", {events("e", 10), bytes("b", 1000)}};
  std::vector<limit_state> states(2);
  const std::vector<std::uint32_t> sizes{300, 10, 600, 90, 1};
  const auto answer =
      admit(rules, pointers_to(states), 0, {.events = 5, .bytes = 1001, .sizes = sizes}).answer;
  CHECK(answer == verdict{.granted = 4, .remaining = 0, .reset_s = 10, .limit = 1});
  CHECK(states[0].used == 4);
  CHECK(states[1].used == 1000);
  // Without the sizes of the events it is all or nothing.
  std::vector<limit_state> fresh(2);
  CHECK(admit(rules, pointers_to(fresh), 0, {.events = 5, .bytes = 1001}).answer.granted == 0);
  CHECK(admit(rules, pointers_to(fresh), 0, {.events = 5, .bytes = 1000}).answer.granted == 5);
}

TEST_CASE("an event that a byte limit never admits is told apart", "[admit]") {
  const plan rules{"p", {bytes("b", 1000), events("e", 1)}};
  std::vector<limit_state> states(2);
  const auto all = pointers_to(states);
  const verdict never_fits = admit(rules, all, 0, {.events = 1, .bytes = 1001}).answer;
  CHECK(never_fits.granted == 0);
  CHECK(never_fits.reason == reason(refusal::too_large));
  CHECK(never_fits.limit == 0);
  CHECK(states == std::vector<limit_state>(2));
  // Behind others it ends the batch; by itself it is told what it is.
  const std::vector<std::uint32_t> sizes{1, 2000};
  const verdict part = admit(rules, all, 0, {.events = 2, .bytes = 2001, .sizes = sizes}).answer;
  CHECK(part.granted == 1);
  CHECK(part.reason == 0);
}

TEST_CASE("the wait for bytes is until the next event's fit", "[admit]") {
  limit rule = bytes("b", 100);
  rule.kind = algorithm::gcra;
  rule.window_ns = 10 * second_ns; // ten bytes a second
  const plan rules{"p", {rule}};
  std::vector<limit_state> states(1);
  const auto all = pointers_to(states);
  CHECK(admit(rules, all, 0, {.events = 1, .bytes = 95}).answer.granted == 1);
  const verdict refused = admit(rules, all, 0, {.events = 1, .bytes = 40}).answer;
  CHECK(refused.reset_s == 4); // 35 more bytes, at ten a second
  CHECK(refused.remaining == 5);
  CHECK(admit(rules, all, 3'400'000'000, {.events = 1, .bytes = 40}).answer.granted == 0);
  CHECK(admit(rules, all, 3'500'000'000, {.events = 1, .bytes = 40}).answer.granted == 1);
}

TEST_CASE("a limit in shadow counts what it would have refused, and says nothing", "[admit]") {
  const plan rules{"p", {events("real", 5), in_shadow(events("new", 2))}};
  std::vector<limit_state> states(2);
  const auto all = pointers_to(states);
  const admission whole = admit(rules, all, 0, {.events = 3});
  CHECK(whole.answer == verdict{.granted = 3, .remaining = 2, .reset_s = 10, .limit = 0});
  CHECK(whole.shadowed == 0b10);
  CHECK(states[0].used == 3);
  CHECK(states[1].used == 2); // as much as it would have admitted
  CHECK(admit(rules, all, 0, {.events = 1}).shadowed == 0b10);
  // What others refuse is no refusal of its own.
  CHECK(admit(rules, all, 0, {.events = 5}).answer.granted == 1);
  const admission refused = admit(rules, all, 0, {.events = 1});
  CHECK(refused.answer.reason == reason(refusal::quota));
  CHECK(refused.answer.limit == 0);
  CHECK(refused.shadowed == 0);
  // With none but shadows everything passes, without a word.
  const plan shadows{"s", {in_shadow(events("new", 2))}};
  std::vector<limit_state> one(1);
  const admission silent = admit(shadows, pointers_to(one), 0, {.events = 9});
  CHECK(silent.answer == verdict{.granted = 9, .remaining = UINT32_MAX});
  CHECK(silent.shadowed == 1);
}

TEST_CASE("a limit that does not apply is neither asked nor charged", "[admit]") {
  const plan rules{"p", {events("a", 1), events("b", 5)}};
  std::vector<limit_state> states(2);
  limit_states only_b = pointers_to(states);
  only_b[0] = nullptr;
  CHECK(admit(rules, only_b, 0, {.events = 3}).answer.limit == 1);
  CHECK(admit(rules, only_b, 0, {.events = 1}).answer.granted == 1);
  CHECK(states[0] == limit_state{});
  CHECK(states[1].used == 4);
  CHECK(admit(rules, {}, 0, {.events = 7}).answer.granted == 7);
}

TEST_CASE("partial grants are maximal, and charge just what they grant", "[admit]") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    test_random random(seed);
    plan rules;
    const auto count = static_cast<std::size_t>(random.between(1, max_limits_per_plan));
    for (std::size_t i = 0; i < count; ++i) {
      limit rule{.name = "any",
                 .kind = static_cast<algorithm>(random.between(0, 4)),
                 .amount = static_cast<std::uint32_t>(random.between(1, 9)),
                 .window_ns = random.between(1, 5 * second_ns)};
      if (random.one_in(3) && rule.kind != algorithm::interval) {
        rule.cost = limit_cost::byte;
        rule.amount *= 100;
      }
      rule.shadow = random.one_in(4);
      rules.limits.push_back(rule);
    }
    std::vector<limit_state> states(count);
    std::int64_t now = random.between(0, 1'000'000 * second_ns);
    for (int step = 0; step < 80; ++step) {
      limit_states asked = pointers_to(states);
      for (std::size_t i = 0; i < count; ++i)
        if (random.one_in(5)) asked[i] = nullptr;
      std::vector<std::uint32_t> sizes(static_cast<std::size_t>(random.between(1, 6)));
      for (auto& size : sizes)
        size = static_cast<std::uint32_t>(random.between(0, 200));
      const std::vector<limit_state> before = states;
      const admission result =
          admit(rules, asked, now,
                {.events = static_cast<std::uint32_t>(sizes.size()), .bytes = 1, .sizes = sizes});
      const std::size_t granted = result.answer.granted;
      const auto all_take = [&](std::size_t n) {
        for (std::size_t i = 0; i < count; ++i)
          if (asked[i] && !rules.limits[i].shadow &&
              !takes(rules.limits[i], before[i], now, sizes, n))
            return false;
        return true;
      };
      REQUIRE(granted <= sizes.size());
      REQUIRE(all_take(granted));
      if (granted < sizes.size()) REQUIRE_FALSE(all_take(granted + 1));
      REQUIRE((result.answer.reason != 0) == (granted == 0));
      if (granted == 0) REQUIRE(states == before);
      for (std::size_t i = 0; i < count; ++i) {
        const limit& rule = rules.limits[i];
        if (!asked[i]) {
          REQUIRE(states[i] == before[i]);
          continue;
        }
        std::size_t charged = granted;
        while (!takes(rule, before[i], now, sizes, charged))
          --charged;
        REQUIRE((charged == granted || rule.shadow));
        REQUIRE(((result.shadowed >> i & 1) != 0) == (charged < granted));
        REQUIRE(states[i] == charge(rule, before[i], now, units(rule, sizes, charged)));
      }
      if (granted < sizes.size() && result.answer.reason != reason(refusal::too_large)) {
        // Told to come back then, the next event is admitted if nothing else is sent.
        const auto speaking = result.answer.limit;
        REQUIRE(speaking < count);
        const limit& rule = rules.limits[speaking];
        REQUIRE_FALSE(rule.shadow);
        const auto wait = wait_ns(rule, states[speaking], now,
                                  rule.cost == limit_cost::event ? 1 : sizes[granted]);
        if (wait != never)
          REQUIRE(result.answer.reset_s ==
                  static_cast<std::uint32_t>((wait + second_ns - 1) / second_ns));
      }
      now += random.between(0, 2) * random.between(0, second_ns);
    }
  }
}
