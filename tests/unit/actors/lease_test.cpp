// Leases: no interleaving of what owners and holders do admits more than the limit.
#include "actors/lease_desk.hpp"
#include "actors/lease_purse.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>

using namespace penstock;

namespace {

constexpr std::int64_t lease_ms = 1'000'000;
constexpr std::int64_t lease_s = 1000 * lease_ms;
constexpr std::int64_t lease_epoch = 1'700'000'040 * lease_s; // a whole minute, UTC

limit lease_limit(algorithm kind, std::uint32_t amount, std::int64_t window_ns,
                  std::uint32_t burst = 0) {
  limit out;
  out.name = "l";
  out.kind = kind;
  out.amount = amount;
  out.window_ns = window_ns;
  out.burst = burst;
  if (kind == algorithm::calendar) out.unit = calendar_unit::hour;
  return out;
}

plan_list lease_plan(const limit& rule) {
  return std::make_shared<const std::vector<plan>>(1, plan{"p", {rule}});
}

admit_item lease_item(std::uint32_t events = 1) {
  return {.client = 5, .plan = plan_id("p"), .events = events};
}

/// An owner and two holders with one client. Time passes when told.
class lease_world {
 public:
  explicit lease_world(const limit& rule)
      : ledger(lease_plan(rule), 100, std::make_shared<limit_labels>()), desk(ledger, 100, 7) {
    key = lease_key_of(*ledger.rules_of(plan_id("p")), {5, 0, plan_id("p"), 0, all_limits});
  }

  struct message {
    std::int64_t asked_ns = 0;
    std::uint32_t events = 0;
    std::uint32_t wish = 0;
  };
  struct answered {
    std::int64_t asked_ns = 0;
    bool wished = false;
    verdict told;
    lease_answer lease;
  };

  // The owner decides a question; what it grants counts as admitted at once, as the holder that
  // hears of it can only be later in the same window, or lose it.
  answered decide(const message& what) {
    const auto item = lease_item(what.events);
    const auto at = ledger.locate(item, now);
    const auto decided = ledger.decide(at, item, {}, now);
    admit(decided.answer.granted);
    answered out{what.asked_ns, what.wish != 0, decided.answer, {}};
    if (what.wish != 0) out.lease = desk.answer(at, item, decided, what.wish, now);
    return out;
  }
  void admit(std::uint32_t units) {
    for (std::uint32_t i = 0; i < units; ++i)
      admitted.push_back(now);
  }
  // The most that was admitted in any interval of that length, both ends included.
  std::size_t most_within(std::int64_t length_ns) const {
    std::size_t most = 0, first = 0;
    for (std::size_t i = 0; i < admitted.size(); ++i) {
      while (admitted[i] - admitted[first] > length_ns)
        ++first;
      most = std::max(most, i - first + 1);
    }
    return most;
  }
  std::size_t admitted_since(std::int64_t from) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(admitted, [&](auto at) { return at >= from; }));
  }

  limit_ledger ledger;
  lease_desk desk;
  lease_key key;
  lease_purse holders[2] = {lease_purse{10}, lease_purse{10}};
  std::int64_t now = lease_epoch;
  std::vector<std::int64_t> admitted;
};

// Steps at random, with messages that take their time, are lost, and overtake returns.
void run_randomly(const limit& rule, std::uint64_t seed,
                  const std::function<void(lease_world&)>& check) {
  test_random random(seed);
  lease_world world(rule);
  const auto terms = terms_of(*world.ledger.rules_of(plan_id("p")), all_limits);
  std::deque<lease_world::message> questions[2];
  std::deque<lease_world::answered> answers[2];
  std::deque<lease_return> returns;
  for (int step = 0; step < 3000; ++step) {
    const auto who = static_cast<std::size_t>(random.between(0, 1));
    auto& purse = world.holders[who];
    switch (random.between(0, 9)) {
    case 0:
    case 1:
    case 2:
    case 3: { // a burst of requests
      for (auto left = random.between(1, 40); left > 0; --left) {
        if (const auto spent = purse.spend(world.key, 1, world.now)) {
          world.admit(spent->granted);
          continue;
        }
        questions[who].push_back({world.now, 1, purse.wish(world.key, terms)});
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
        if (!got.wished) continue;
        if (random.between(0, 20) == 0) { // lost with its link
          purse.give_up(world.key);
          continue;
        }
        if (const auto back =
                purse.take(world.key, 0, got.told, got.lease, got.asked_ns, world.now))
          returns.push_back(back->what);
      }
      break;
    case 6:
      for (const auto& back : purse.collect(world.now))
        returns.push_back(back.what);
      break;
    case 7:
      if (!returns.empty()) {
        (void)world.desk.take_back(returns.front(), world.now);
        if (random.between(0, 3) != 0) returns.pop_front(); // twice changes nothing
      }
      world.desk.collect(world.now);
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

TEST_CASE("leases: gcra admits no more than burst and rate allow, in any interval", "[lease]") {
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

TEST_CASE("leases: a sliding window's estimate is never above its amount", "[lease]") {
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
    const auto terms = terms_of(*world.ledger.rules_of(plan_id("p")), all_limits);
    for (auto& purse : world.holders) {
      for (int i = 0; i < 5; ++i)
        (void)purse.spend(world.key, 1, world.now);
      const auto got = world.decide({world.now, 1, purse.wish(world.key, terms)});
      CHECK(got.lease.units > 0);
      CHECK(got.lease.lifetime_ns == 50 * lease_ms);
      (void)purse.take(world.key, 0, got.told, got.lease, got.asked_ns, world.now);
    }
    world.now += 50 * lease_ms + random.between(0, 10) * lease_ms;
    for (auto& purse : world.holders)
      CHECK_FALSE(purse.spend(world.key, 1, world.now));
  }
}

TEST_CASE("leases: what is small, counts bytes, or is in shadow is not leased", "[lease]") {
  const auto terms = [](limit rule) { return terms_of(plan{"p", {std::move(rule)}}, all_limits); };
  CHECK(terms(lease_limit(algorithm::fixed_window, 10'000, 60 * lease_s)).max_units == 66);
  CHECK(terms(lease_limit(algorithm::fixed_window, 10'000, 60 * lease_s)).interval_ns ==
        500 * lease_ms);
  CHECK(terms(lease_limit(algorithm::fixed_window, 10'000, lease_s)).interval_ns == 10 * lease_ms);
  CHECK(terms(lease_limit(algorithm::fixed_window, 1200, lease_s)).max_units == 8);
  CHECK(terms(lease_limit(algorithm::fixed_window, 1199, lease_s)).max_units == 0);
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
  CHECK(terms_of(both, 1).max_units == 66);
  CHECK(terms_of(both, 3).max_units == 0);
  CHECK(terms_of(both, 0).max_units == 0);
}

TEST_CASE("leases: a refusal is remembered until the owner could admit again", "[lease]") {
  lease_world world(lease_limit(algorithm::fixed_window, 10, 60 * lease_s));
  const auto terms = terms_of(*world.ledger.rules_of(plan_id("p")), all_limits);
  auto& purse = world.holders[0];
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  CHECK(purse.wish(world.key, terms) == 0); // seen once
  (void)world.decide({world.now, 10, 0});
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  REQUIRE(purse.wish(world.key, terms) == 1);
  CHECK(purse.wish(world.key, terms) == 0); // one question at a time
  const auto got = world.decide({world.now, 1, 1});
  CHECK(got.told.granted == 0);
  CHECK(got.lease.again_ns == max_refusal_ns);
  CHECK_FALSE(purse.take(world.key, 0, got.told, got.lease, got.asked_ns, world.now));
  world.now += 400 * lease_ms;
  const auto refused = purse.spend(world.key, 1, world.now);
  REQUIRE(refused);
  CHECK(refused->granted == 0);
  CHECK(refused->reason == static_cast<std::uint8_t>(refusal::quota));
  CHECK(refused->reset_s == 60);
  CHECK(refused->limit == 0);
  world.now += 600 * lease_ms;
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
}

TEST_CASE("leases: what lies idle comes back and can be had by others", "[lease]") {
  lease_world world(lease_limit(algorithm::fixed_window, 10'000, 60 * lease_s));
  const auto terms = terms_of(*world.ledger.rules_of(plan_id("p")), all_limits);
  auto& purse = world.holders[0];
  for (int i = 0; i < 100; ++i)
    (void)purse.spend(world.key, 1, world.now);
  const auto got = world.decide({world.now, 1, purse.wish(world.key, terms)});
  CHECK(got.lease.units == 66);
  (void)purse.take(world.key, 3, got.told, got.lease, got.asked_ns, world.now);
  CHECK(purse.units() == 66);
  CHECK(purse.spend(world.key, 1, world.now)->granted == 1);
  CHECK(purse.collect(world.now + 499 * lease_ms).empty());
  const auto back = purse.collect(world.now + 500 * lease_ms);
  REQUIRE(back.size() == 1);
  CHECK(back[0].owner == 3);
  CHECK(back[0].what.units == 65);
  CHECK(purse.units() == 0);
  CHECK(world.desk.take_back(back[0].what, world.now) == 65);
  CHECK(world.desk.take_back(back[0].what, world.now) == 0);
  CHECK(world.decide({world.now, 9998, 0}).told.granted == 9998); // 2 were spent
}

TEST_CASE("leases: of gcra what has come back by itself is not refunded too", "[lease]") {
  // A unit a millisecond. A lease of 8 is charged as if it came at its end, 24 ms on; 6 ms later
  // six of its units have come back as the bucket filled, and only two can be refunded.
  const auto rule = lease_limit(algorithm::gcra, 1200, 1200 * lease_ms);
  for (const std::int64_t late_ms : {0, 6, 8, 9}) {
    INFO(late_ms << " ms late");
    lease_world world(rule);
    const auto terms = terms_of(*world.ledger.rules_of(plan_id("p")), all_limits);
    for (int i = 0; i < 1000; ++i)
      (void)world.holders[0].spend(world.key, 1, world.now);
    const auto got = world.decide({world.now, 1, world.holders[0].wish(world.key, terms)});
    REQUIRE(got.lease.units == 8);
    REQUIRE(got.lease.lifetime_ns == 24 * lease_ms);
    world.now += (24 + late_ms) * lease_ms;
    const auto rest = static_cast<std::uint32_t>(std::min<std::int64_t>(1192 + late_ms, 1200));
    CHECK(world.decide({world.now, 1200, 0}).told.granted == rest);
    (void)world.desk.take_back({got.lease.lease, 8}, world.now);
    CHECK(world.decide({world.now, 1200, 0}).told.granted == 1200 - rest);
  }
}

TEST_CASE("leases: one that moves to a node with other limits is not refunded there", "[lease]") {
  const auto named = [](const char* name) {
    auto rule = lease_limit(algorithm::gcra, 1200, 60 * lease_s);
    rule.name = name;
    return rule;
  };
  lease_world from(named("a"));
  const auto terms = terms_of(*from.ledger.rules_of(plan_id("p")), all_limits);
  auto& purse = from.holders[0];
  for (int i = 0; i < 100; ++i)
    (void)purse.spend(from.key, 1, from.now);
  const auto got = from.decide({from.now, 1, purse.wish(from.key, terms)});
  REQUIRE(got.lease.units == 8);
  const auto shard = shard_of(5);
  const auto move_to = [&](limit_ledger& ledger, lease_desk& desk) {
    for (const auto& row : from.ledger.rows_of(shard, from.now))
      ledger.take_in(row, from.now);
    const auto leases = from.desk.take_out(shard, from.now);
    for (const auto& lease : leases) {
      from.desk.take_in(lease, from.now);
      desk.take_in(lease, from.now);
    }
  };
  const lease_return back{got.lease.lease, 8};

  // There the plan has changed already, and a new limit is the first.
  const auto plans =
      std::make_shared<const std::vector<plan>>(1, plan{"p", {named("b"), named("a")}});
  limit_ledger changed(plans, 100, std::make_shared<limit_labels>());
  lease_desk changed_desk(changed, 100, 8);
  move_to(changed, changed_desk);
  CHECK(changed.decide(lease_item(100), {}, from.now).answer.granted == 100);
  CHECK(changed_desk.take_back(back, from.now) == 0);
  const auto stand = changed.look_up({.client = 5, .plan = plan_id("p")}, from.now);
  REQUIRE(stand.limits.size() == 2);
  CHECK(stand.limits[0].used == 100);

  // Nor where it counts for others.
  auto by_key = named("a");
  by_key.scope = limit_scope::key;
  limit_ledger scoped(lease_plan(by_key), 100, std::make_shared<limit_labels>());
  lease_desk scoped_desk(scoped, 100, 9);
  move_to(scoped, scoped_desk);
  CHECK(scoped_desk.take_back(back, from.now) == 0);

  limit_ledger same(lease_plan(named("a")), 100, std::make_shared<limit_labels>());
  lease_desk same_desk(same, 100, 10);
  move_to(same, same_desk);
  CHECK(same_desk.take_back(back, from.now) == 8);
}
