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
    lease_origin from{};
    lease_claim claim{};
  };
  struct answered {
    std::int64_t asked_ns = 0;
    bool wished = false;
    verdict told;
    lease_answer lease;
    std::uint64_t token = 0;
  };

  /// What that holder asks after a spend() that gave nothing.
  message ask(std::size_t holder, std::uint32_t events = 1) {
    lease_purse& purse = holders[holder];
    const auto terms = terms_of(*ledger.rules_of(plan_id("p")), all_limits);
    message out{now, events, purse.wish(key, terms, now), {holder + 1, ++last_token}, {}};
    if (out.wish != 0) out.claim = purse.claim(key);
    return out;
  }
  void take(std::size_t holder, const answered& got) {
    (void)holders[holder].take(key, 3, got.told, got.lease, got.asked_ns, now);
  }

  // The owner decides a question; what it grants counts as admitted at once, as the holder that
  // hears of it can only be later in the same window, or lose it.
  answered decide(const message& what) {
    const auto item = lease_item(what.events);
    const auto at = ledger.locate(item, now);
    if (what.wish != 0) (void)desk.settle(key, what.from.holder, what.claim, now);
    const auto decided = ledger.decide(at, item, {}, now);
    admit(decided.answer.granted);
    answered out{what.asked_ns, what.wish != 0, decided.answer, {}, what.from.token};
    if (what.wish != 0) out.lease = desk.answer(at, item, decided, what.wish, what.from, now);
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
  std::uint64_t last_token = 0;
};

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
        if (!got.wished) continue;
        if (random.between(0, 20) == 0) { // lost with its link
          purse.lost(world.key, got.token);
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
    for (std::size_t who = 0; who < 2; ++who) {
      for (int i = 0; i < 5; ++i)
        (void)world.holders[who].spend(world.key, 1, world.now);
      const auto got = world.decide(world.ask(who));
      CHECK(got.lease.units > 0);
      CHECK(got.lease.lifetime_ns == 50 * lease_ms);
      world.take(who, got);
    }
    world.now += 50 * lease_ms + random.between(0, 10) * lease_ms;
    for (auto& purse : world.holders)
      CHECK_FALSE(purse.spend(world.key, 1, world.now));
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
  auto& purse = world.holders[0];
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  CHECK(world.ask(0).wish == 0); // seen once
  (void)world.decide({world.now, 10, 0});
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  const auto question = world.ask(0);
  REQUIRE(question.wish == 1);
  CHECK(world.ask(0).wish == 0); // one question at a time
  const auto got = world.decide(question);
  CHECK(got.told.granted == 0);
  CHECK(got.lease.again_ns == max_refusal_ns);
  world.take(0, got);
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

namespace {

/// Of a world with this limit the first holder has a lease.
struct leased_world : lease_world {
  explicit leased_world(const limit& rule) : lease_world(rule) {
    for (int i = 0; i < 1000; ++i)
      (void)holders[0].spend(key, 1, now);
    got = decide(ask(0));
    take(0, got);
  }
  std::uint32_t left() {
    return ledger.look_up({.client = 5, .plan = plan_id("p")}, now).limits.at(0).remaining;
  }
  void spend(std::uint32_t units) {
    for (std::uint32_t i = 0; i < units; ++i)
      REQUIRE(holders[0].spend(key, 1, now)->granted == 1);
  }
  answered got;
};

limit minute_limit(algorithm kind = algorithm::fixed_window) {
  return lease_limit(kind, 10'000, 60 * lease_s);
}

} // namespace

TEST_CASE("leases: what lies idle comes back and can be had by others", "[lease]") {
  leased_world world(minute_limit());
  auto& purse = world.holders[0];
  CHECK(world.got.lease.units == 192);
  CHECK(purse.units() == 192);
  world.spend(1);
  CHECK(purse.collect(world.now + 499 * lease_ms).empty());
  const auto back = purse.collect(world.now + 500 * lease_ms);
  REQUIRE(back.size() == 1);
  CHECK(back[0].owner == 3);
  CHECK(back[0].what.units == 191);
  CHECK(purse.units() == 0);
  CHECK(world.desk.take_back(back[0].what, world.now) == 191);
  CHECK(world.desk.take_back(back[0].what, world.now) == 0);
  CHECK(world.decide({world.now, 9998, 0}).told.granted == 9998); // 2 were spent
}

TEST_CASE("leases: what a client hardly needs any more comes back, too", "[lease]") {
  leased_world world(minute_limit());
  auto& purse = world.holders[0];
  const auto until_ms = [&](int end_ms) { // a request every 100 ms
    std::size_t came_back = 0;
    for (int ms = 100; ms <= end_ms && came_back == 0; ms += 100) {
      world.now += 100 * lease_ms;
      (void)purse.spend(world.key, 1, world.now);
      for (const auto& back : purse.collect(world.now))
        came_back += back.what.units;
    }
    return came_back;
  };
  // 1000 were sent in the first half second, 5 in the second.
  CHECK(until_ms(900) == 0);
  CHECK(until_ms(300) > 170);
}

TEST_CASE("leases: the next question settles the lease before", "[lease]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::sliding_window, algorithm::gcra}) {
    leased_world world(minute_limit(kind));
    CHECK(world.left() == 10'000 - 1 - 192);
    world.spend(190);
    CHECK_FALSE(world.holders[0].spend(world.key, 3, world.now));
    const auto question = world.ask(0, 3);
    CHECK(question.claim == lease_claim{world.got.lease.lease, 2, 0});
    CHECK(world.holders[0].units() == 0);
    CHECK(world.desk.settle(world.key, 1, question.claim, world.now) == 2);
    CHECK(world.left() == 10'000 - 1 - 190);
    CHECK(world.desk.leases() == 0);
    CHECK(world.desk.settle(world.key, 1, question.claim, world.now) == 0); // said again
    CHECK(world.left() == 10'000 - 1 - 190);
  }
}

TEST_CASE("leases: one whose answer was lost goes back whole with the next question", "[lease]") {
  leased_world world(minute_limit());
  auto& purse = world.holders[0];
  world.spend(192);
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  const auto lost = world.ask(0);
  CHECK(world.decide(lost).lease.units == 192);
  purse.lost(world.key, lost.from.token);
  purse.give_up(world.key);
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  const auto next = world.ask(0);
  CHECK(next.claim == lease_claim{world.got.lease.lease, 0, lost.from.token});
  CHECK(world.left() == 10'000 - 2 - 2 * 192);
  const auto got = world.decide(next);
  CHECK(got.lease.units == 192);
  CHECK(world.desk.leases() == 1);
  CHECK(world.left() == 10'000 - 3 - 2 * 192);
  world.take(0, got);
  world.spend(192);
  CHECK_FALSE(purse.spend(world.key, 1, world.now));
  CHECK(world.ask(0).claim == lease_claim{got.lease.lease, 0, 0});
}

TEST_CASE("leases: of another process of the same node nothing is settled", "[lease]") {
  leased_world world(minute_limit());
  const lease_claim nothing{0, 0, 1};
  CHECK(world.desk.settle(world.key, 7, nothing, world.now) == 0);
  CHECK(world.desk.settle(world.key, 7, {world.got.lease.lease, 192, 0}, world.now) == 0);
  CHECK(world.desk.settle(world.key, 0, nothing, world.now) == 0);
  CHECK(world.desk.leases() == 1);
}

TEST_CASE("leases: half of a dead holder's is taken for spent", "[lease]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::sliding_window, algorithm::gcra}) {
    leased_world world(minute_limit(kind));
    const auto dead = [](std::uint64_t holder) { return holder == 1; };
    CHECK(world.desk.reclaim([](std::uint64_t holder) { return holder == 2; }, world.now) == 0);
    CHECK(world.desk.reclaim(dead, world.now) == 96);
    CHECK(world.left() == 10'000 - 1 - 96);
    CHECK(world.desk.reclaim(dead, world.now) == 0);
  }
}

TEST_CASE("leases: gcra units that are set aside don't come back by themselves", "[lease]") {
  // A unit every 6 ms.
  leased_world world(minute_limit(algorithm::gcra));
  world.now += lease_s; // the one that was charged at once is back
  CHECK(world.left() == 10'000 - 192);
  world.now += 10 * lease_s; // the lease is over: all of it was spent, then
  world.desk.collect(world.now);
  CHECK(world.desk.leases() == 0);
  CHECK(world.left() == 10'000 - 192);
  world.now += 192 * 6 * lease_ms;
  CHECK(world.left() == 10'000);
}

TEST_CASE("leases: counters that leave have what is set aside, and who takes the lease settles it",
          "[lease]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::gcra}) {
    leased_world from(minute_limit(kind)), to(minute_limit(kind));
    (void)to.desk.take_back({to.got.lease.lease, 192}, to.now);
    const auto shard = shard_of(5);
    from.now += lease_s;
    const auto rows = from.ledger.rows_of(shard, from.now);
    const auto leases = from.desk.take_out(shard, from.now);
    REQUIRE(leases.size() == 1);
    CHECK(leases[0].origin.holder == 1);
    for (const auto& row : rows)
      to.ledger.take_in(row, from.now);
    to.now = from.now;
    CHECK(to.left() <= 10'000 - 192);
    for (const auto& lease : leases)
      to.desk.take_in(lease, to.now);
    to.desk.take_in(leases[0], to.now); // twice changes nothing
    const auto before = to.left();
    CHECK(to.desk.take_back({leases[0].lease, 92}, to.now) == 92);
    CHECK(to.left() == before + 92);
    // Here there is nothing left that would never be forgotten.
    from.now += 70 * lease_s;
    CHECK(from.ledger.sweep(from.now, 10) == 1);
  }
}

TEST_CASE("leases: one that moves to a node with other limits is not refunded there", "[lease]") {
  const auto named = [](const char* name) {
    auto rule = lease_limit(algorithm::fixed_window, 10'000, 60 * lease_s);
    rule.name = name;
    return rule;
  };
  leased_world from(named("a"));
  const auto shard = shard_of(5);
  const auto rows = from.ledger.rows_of(shard, from.now);
  const auto leases = from.desk.take_out(shard, from.now);
  const auto move_to = [&](limit_ledger& ledger, lease_desk& desk) {
    for (const auto& row : rows)
      ledger.take_in(row, from.now);
    for (const auto& lease : leases)
      desk.take_in(lease, from.now);
  };
  const lease_return back{from.got.lease.lease, 192};

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
  CHECK(same_desk.take_back(back, from.now) == 192);
}

TEST_CASE("leases: copies of another owner's are kept until they are over", "[lease]") {
  lease_copies copies(2);
  moved_lease lease;
  lease.client = std::uint64_t{9} << 56;
  lease.left_ns = lease_s;
  for (lease.lease = 1; lease.lease <= 3; ++lease.lease)
    copies.add(lease, lease_epoch);
  CHECK(copies.size() == 2); // no more are kept
  copies.end(2);
  CHECK(copies.take_out(8, lease_epoch).empty());
  const auto out = copies.take_out(9, lease_epoch + lease_s / 4);
  REQUIRE(out.size() == 1);
  CHECK(out[0].lease == 1);
  CHECK(out[0].left_ns == lease_s * 3 / 4);
  CHECK(copies.size() == 0);
  copies.add(lease, lease_epoch);
  copies.collect(lease_epoch + 2 * lease_s);
  CHECK(copies.size() == 0);
}
