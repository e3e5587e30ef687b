// Leases: no interleaving of what owners and holders do admits more than the limit.
#include "tests/unit/actors/limits/lease_world.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>

using namespace penstock;

namespace {

// Steps at random, with messages that take their time, are lost, and overtake returns.
void run_randomly(const limit& rule, std::uint64_t seed,
                  const std::function<void(lease_world&)>& check) {
  test_random random(seed);
  lease_world world(rule);
  std::deque<lease_world::message> questions[2];
  std::deque<lease_world::answered> answers[2];
  std::deque<lease_return> returns;
  for (int step = 0; step < 3000; ++step) {
    const auto who = static_cast<std::size_t>(random.between(0, 1));
    auto& cache = world.holders[who];
    switch (random.between(0, 9)) {
    case 0:
    case 1:
    case 2:
    case 3: { // a burst of requests
      for (auto left = random.between(1, 40); left > 0; --left) {
        if (const auto spent = cache.spend(world.key, 1, world.now)) {
          world.admit(spent->granted);
          continue;
        }
        questions[who].push_back(world.ask(who));
      }
      break;
    }
    case 4:
      while (!questions[who].empty()) {
        answers[who].push_back(world.decide(questions[who].front()));
        questions[who].pop_front();
        if (random.between(0, 30) == 0) break;
      }
      break;
    case 5:
      while (!answers[who].empty()) {
        const auto got = answers[who].front();
        answers[who].pop_front();
        if (!got.wanted) continue;
        if (random.between(0, 20) == 0) { // lost with its link
          cache.lost(world.key, got.token);
          cache.give_up(world.key);
          continue;
        }
        if (const auto back =
                cache.take(world.key, 0, got.told, got.lease, got.asked_ns, world.now))
          returns.push_back(back->what);
      }
      break;
    case 6:
      for (const auto& back : cache.collect(world.now))
        returns.push_back(back.what);
      break;
    case 7:
      if (!returns.empty()) {
        (void)world.granter.take_back(returns.front(), world.now);
        if (random.between(0, 3) != 0) returns.pop_front(); // twice changes nothing
      }
      world.granter.collect(world.now);
      break;
    default:
      world.now += random.between(0, 60) * (rule.window_ns > lease_s ? 10 : 1) * lease_ms;
    }
  }
  check(world);
}

} // namespace

TEST_CASE("leases: windows admit no more than their amount", "[lease]") {
  const auto window = 20 * lease_s;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    run_randomly(lease_limit(algorithm::fixed_window, 2000, window), seed, [&](auto& world) {
      // Its windows open with a first request, so they are found as it finds them.
      std::int64_t opened = -window;
      std::size_t used = 0;
      CHECK(world.admitted.size() > 1000);
      std::size_t most = 0;
      for (const auto at : world.admitted) {
        if (at - opened >= window) opened = at, used = 0;
        most = std::max(most, ++used);
      }
      CHECK(most <= 2000);
    });
  }
}

TEST_CASE("leases: gcra admits no more than burst and rate allow, in any interval",
          "[lease][slow]") {
  // 2000 a 20 s are a unit every 10 ms.
  const auto rule = lease_limit(algorithm::gcra, 2000, 20 * lease_s, 1800);
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    run_randomly(rule, seed, [&](auto& world) {
      CHECK(world.admitted.size() > 1000);
      for (const std::int64_t length :
           {0 * lease_s, lease_s / 10, lease_s, 3 * lease_s, 20 * lease_s, 60 * lease_s})
        CHECK(world.most_within(length) <=
              1800 + static_cast<std::size_t>(length / (10 * lease_ms)));
    });
  }
}

TEST_CASE("leases: a sliding window's estimate is never above its amount", "[lease][slow]") {
  const auto window = 20 * lease_s;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    run_randomly(lease_limit(algorithm::sliding_window, 2000, window), seed, [&](auto& world) {
      CHECK(world.admitted.size() > 1000);
      std::map<std::int64_t, std::size_t> used;
      std::size_t most = 0;
      for (const auto at : world.admitted) {
        const auto start = at - at % window;
        ++used[start];
        const auto weighed = used[start - window] * static_cast<std::size_t>(start + window - at) /
                             static_cast<std::size_t>(window);
        most = std::max(most, used[start] + weighed);
      }
      CHECK(most <= 2000);
    });
  }
}

TEST_CASE("leases: a calendar's hour admits no more than its amount", "[lease]") {
  auto rule = lease_limit(algorithm::calendar, 2000, 0);
  const auto hour = 3600 * lease_s;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    test_random random(seed);
    lease_world world(rule);
    // Both holders lease right before the hour ends, and spend right after it began.
    world.now = (lease_epoch / hour + 1) * hour - 50 * lease_ms;
    for (std::size_t who = 0; who < 2; ++who) {
      for (int i = 0; i < 5; ++i)
        (void)world.holders[who].spend(world.key, 1, world.now);
      const auto got = world.decide(world.ask(who));
      CHECK(got.lease.units > 0);
      CHECK(got.lease.lifetime_ns == 50 * lease_ms);
      world.take(who, got);
    }
    world.now += 50 * lease_ms + random.between(0, 10) * lease_ms;
    for (auto& cache : world.holders)
      CHECK_FALSE(cache.spend(world.key, 1, world.now));
  }
}

TEST_CASE("leases: what is small, counts bytes, or is in shadow is not leased", "[lease]") {
  const auto terms = [](limit rule) { return terms_of(plan{"p", {std::move(rule)}}, all_limits); };
  const auto minute = terms(lease_limit(algorithm::fixed_window, 10'000, 60 * lease_s));
  CHECK(minute.max_units == 192);
  CHECK(minute.max_units / 2 < 10'000 / 100); // what a dead holder's lease can be wrong by
  CHECK(minute.lifetime_ns == 4 * lease_s);
  CHECK(minute.interval_ns == 500 * lease_ms);
  const auto second = terms(lease_limit(algorithm::fixed_window, 10'000, lease_s));
  CHECK(second.lifetime_ns == lease_s / 15);
  CHECK(second.interval_ns == 10 * lease_ms);
  CHECK(terms(lease_limit(algorithm::gcra, 10'000, 60 * lease_s, 1000)).lifetime_ns ==
        400 * lease_ms);
  CHECK(terms(lease_limit(algorithm::fixed_window, 416, lease_s)).max_units == 8);
  CHECK(terms(lease_limit(algorithm::fixed_window, 415, lease_s)).max_units == 0);
  CHECK(terms(lease_limit(algorithm::gcra, 10'000, 60 * lease_s, 40)).max_units == 0);
  CHECK(terms(lease_limit(algorithm::interval, 10'000, 60 * lease_s)).max_units == 0);
  auto bytes = lease_limit(algorithm::fixed_window, 10'000, lease_s);
  bytes.cost = limit_cost::byte;
  CHECK(terms(bytes).max_units == 0);
  auto shadow = lease_limit(algorithm::fixed_window, 10'000, lease_s);
  shadow.shadow = true;
  CHECK(terms(shadow).max_units == 0);
  const plan both{"p",
                  {lease_limit(algorithm::fixed_window, 10'000, 60 * lease_s),
                   lease_limit(algorithm::fixed_window, 100, lease_s)}};
  CHECK(terms_of(both, 1).max_units == 192);
  CHECK(terms_of(both, 3).max_units == 0);
  CHECK(terms_of(both, 0).max_units == 0);
}

TEST_CASE("leases: a refusal is remembered until the owner could admit again", "[lease]") {
  lease_world world(lease_limit(algorithm::fixed_window, 10, 60 * lease_s));
  auto& cache = world.holders[0];
  CHECK_FALSE(cache.spend(world.key, 1, world.now));
  CHECK(world.ask(0).requested_units == 0); // seen once
  (void)world.decide({world.now, 10, 0});
  CHECK_FALSE(cache.spend(world.key, 1, world.now));
  const auto question = world.ask(0);
  REQUIRE(question.requested_units == 1);
  CHECK(world.ask(0).requested_units == 0); // one question at a time
  const auto got = world.decide(question);
  CHECK(got.told.granted == 0);
  CHECK(got.lease.again_ns == max_refusal_ns);
  world.take(0, got);
  world.now += 400 * lease_ms;
  const auto refused = cache.spend(world.key, 1, world.now);
  REQUIRE(refused);
  CHECK(refused->granted == 0);
  CHECK(refused->reason == static_cast<std::uint8_t>(refusal::quota));
  CHECK(refused->reset_s == 60);
  CHECK(refused->limit == 0);
  world.now += 600 * lease_ms;
  CHECK_FALSE(cache.spend(world.key, 1, world.now));
}
