// Leases that come back, are settled or move: what their owner does with them.
#include "actors/base/shards.hpp"
#include "tests/unit/actors/limits/lease_world.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

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
  auto& cache = world.holders[0];
  CHECK(world.got.lease.units == 192);
  CHECK(cache.units() == 192);
  world.spend(1);
  CHECK(cache.collect(world.now + 499 * lease_ms).empty());
  const auto back = cache.collect(world.now + 500 * lease_ms);
  REQUIRE(back.size() == 1);
  CHECK(back[0].owner == 3);
  CHECK(back[0].what.units == 191);
  CHECK(cache.units() == 0);
  CHECK(world.granter.take_back(back[0].what, world.now) == 191);
  CHECK(world.granter.take_back(back[0].what, world.now) == 0);
  CHECK(world.decide({world.now, 9998, 0}).told.granted == 9998); // 2 were spent
}

TEST_CASE("leases: what a client hardly needs any more comes back, too", "[lease]") {
  leased_world world(minute_limit());
  auto& cache = world.holders[0];
  const auto until_ms = [&](int end_ms) { // a request every 100 ms
    std::size_t came_back = 0;
    for (int ms = 100; ms <= end_ms && came_back == 0; ms += 100) {
      world.now += 100 * lease_ms;
      (void)cache.spend(world.key, 1, world.now);
      for (const auto& back : cache.collect(world.now))
        came_back += back.what.units;
    }
    return came_back;
  };
  // 1000 were sent in the first half second, 5 in the second.
  CHECK(until_ms(900) == 0);
  CHECK(until_ms(300) > 170);
}

TEST_CASE("leases: a client that gets lease after lease is looked after once", "[lease]") {
  leased_world world(minute_limit());
  auto& cache = world.holders[0];
  for (int i = 0; i < 20; ++i) {
    world.take(0, world.decide(world.ask(0)));
    CHECK(cache.units() > 0);
    CHECK(cache.collect(world.now).empty());
    CHECK(cache.leased() == 1);
  }
  world.spend(static_cast<std::uint32_t>(cache.units()));
  CHECK(cache.collect(world.now).empty());
  CHECK(cache.leased() == 0);
  world.take(0, world.decide(world.ask(0)));
  CHECK(cache.leased() == 1);
  CHECK(cache.collect(world.now + lease_s).size() == 1);
  CHECK(cache.leased() == 0);
}

TEST_CASE("leases: an answer to who was forgotten meanwhile", "[lease]") {
  leased_world world(minute_limit());
  auto& cache = world.holders[0];
  const auto take = [&](const lease_world::answered& got) {
    return cache.take(world.key, 3, got.told, got.lease, got.asked_ns, world.now);
  };
  const auto first = world.decide(world.ask(0));
  CHECK(cache.collect_all().size() == 1);
  CHECK_FALSE(take({})); // nothing was leased, nothing is returned
  SECTION("goes back if it does not come again") {
    const auto back = take(first);
    REQUIRE(back);
    CHECK(back->owner == 3);
    CHECK(back->what == lease_return{first.lease.lease, first.lease.units});
    CHECK(cache.clients() == 0);
    CHECK(cache.units() == 0);
  }
  SECTION("is replaced by the answer to its next question, and what is left of it goes back") {
    for (int i = 0; i < 1000; ++i)
      (void)cache.spend(world.key, 1, world.now);
    const auto second = world.decide(world.ask(0));
    CHECK_FALSE(take(first));
    world.spend(42);
    const auto back = take(second);
    REQUIRE(back);
    CHECK(back->what == lease_return{first.lease.lease, first.lease.units - 42});
    CHECK(cache.units() == second.lease.units);
    CHECK(cache.leased() == 1);
  }
}

TEST_CASE("leases: the next question settles the lease before", "[lease]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::sliding_window, algorithm::gcra}) {
    leased_world world(minute_limit(kind));
    CHECK(world.left() == 10'000 - 1 - 192);
    world.spend(190);
    CHECK_FALSE(world.holders[0].spend(world.key, 3, world.now));
    const auto question = world.ask(0, 3);
    CHECK(question.settlement == lease_settlement{world.got.lease.lease, 2, 0});
    CHECK(world.holders[0].units() == 0);
    CHECK(world.granter.settle(world.key, 1, question.settlement, world.now) == 2);
    CHECK(world.left() == 10'000 - 1 - 190);
    CHECK(world.granter.leases() == 0);
    CHECK(world.granter.settle(world.key, 1, question.settlement, world.now) == 0); // said again
    CHECK(world.left() == 10'000 - 1 - 190);
  }
}

TEST_CASE("leases: one whose answer was lost goes back whole with the next question", "[lease]") {
  leased_world world(minute_limit());
  auto& cache = world.holders[0];
  world.spend(192);
  CHECK_FALSE(cache.spend(world.key, 1, world.now));
  const auto lost = world.ask(0);
  CHECK(world.decide(lost).lease.units == 192);
  cache.lost(world.key, lost.from.token);
  cache.give_up(world.key);
  CHECK_FALSE(cache.spend(world.key, 1, world.now));
  const auto next = world.ask(0);
  CHECK(next.settlement == lease_settlement{world.got.lease.lease, 0, lost.from.token});
  CHECK(world.left() == 10'000 - 2 - 2 * 192);
  const auto got = world.decide(next);
  CHECK(got.lease.units == 192);
  CHECK(world.granter.leases() == 1);
  CHECK(world.left() == 10'000 - 3 - 2 * 192);
  world.take(0, got);
  world.spend(192);
  CHECK_FALSE(cache.spend(world.key, 1, world.now));
  CHECK(world.ask(0).settlement == lease_settlement{got.lease.lease, 0, 0});
}

TEST_CASE("leases: of another process of the same node nothing is settled", "[lease]") {
  leased_world world(minute_limit());
  const lease_settlement nothing{0, 0, 1};
  CHECK(world.granter.settle(world.key, 7, nothing, world.now) == 0);
  CHECK(world.granter.settle(world.key, 7, {world.got.lease.lease, 192, 0}, world.now) == 0);
  CHECK(world.granter.settle(world.key, 0, nothing, world.now) == 0);
  CHECK(world.granter.leases() == 1);
}

TEST_CASE("leases: half of a dead holder's is taken for spent", "[lease]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::sliding_window, algorithm::gcra}) {
    leased_world world(minute_limit(kind));
    const auto dead = [](std::uint64_t holder, std::uint64_t) { return holder == 1; };
    CHECK(world.granter.reclaim([](auto holder, auto) { return holder == 2; }, world.now) == 0);
    CHECK(world.granter.reclaim(dead, world.now) == 96);
    CHECK(world.left() == 10'000 - 1 - 96);
    CHECK(world.granter.reclaim(dead, world.now) == 0);
  }
}

TEST_CASE("leases: gcra units that are set aside don't come back by themselves", "[lease]") {
  // A unit every 6 ms.
  leased_world world(minute_limit(algorithm::gcra));
  world.now += lease_s; // the one that was charged at once is back
  CHECK(world.left() == 10'000 - 192);
  world.now += 10 * lease_s; // the lease is over: all of it was spent, then
  world.granter.collect(world.now);
  CHECK(world.granter.leases() == 0);
  CHECK(world.left() == 10'000 - 192);
  world.now += 192 * 6 * lease_ms;
  CHECK(world.left() == 10'000);
}

TEST_CASE("leases: counters that leave have what is set aside, and who takes the lease settles it",
          "[lease]") {
  for (const auto kind : {algorithm::fixed_window, algorithm::gcra}) {
    leased_world from(minute_limit(kind)), to(minute_limit(kind));
    (void)to.granter.take_back({to.got.lease.lease, 192}, to.now);
    const auto shard = shard_of(5);
    from.now += lease_s;
    const auto rows = from.ledger.rows_of(shard, from.now);
    const auto leases = from.granter.take_out(shard, from.now);
    REQUIRE(leases.size() == 1);
    CHECK(leases[0].origin.holder == 1);
    for (const auto& row : rows)
      to.ledger.take_in(row, from.now);
    to.now = from.now;
    CHECK(to.left() <= 10'000 - 192);
    for (const auto& lease : leases)
      to.granter.take_in(lease, to.now);
    to.granter.take_in(leases[0], to.now); // twice changes nothing
    const auto before = to.left();
    CHECK(to.granter.take_back({leases[0].lease, 92}, to.now) == 92);
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
  const auto leases = from.granter.take_out(shard, from.now);
  const auto move_to = [&](limit_ledger& ledger, lease_granter& granter) {
    for (const auto& row : rows)
      ledger.take_in(row, from.now);
    for (const auto& lease : leases)
      granter.take_in(lease, from.now);
  };
  const lease_return back{from.got.lease.lease, 192};

  // There the plan has changed already, and a new limit is the first.
  const auto plans =
      std::make_shared<const std::vector<plan>>(1, plan{"p", {named("b"), named("a")}});
  limit_ledger changed(plans, 100, std::make_shared<limit_labels>());
  lease_granter changed_granter(changed, 100, 8);
  move_to(changed, changed_granter);
  CHECK(changed.decide(lease_item(100), {}, from.now).answer.granted == 100);
  CHECK(changed_granter.take_back(back, from.now) == 0);
  const auto stand = changed.look_up({.client = 5, .plan = plan_id("p")}, from.now);
  REQUIRE(stand.limits.size() == 2);
  CHECK(stand.limits[0].used == 100);

  // Nor where it counts for others.
  auto by_key = named("a");
  by_key.scope = limit_scope::key;
  limit_ledger scoped(lease_plan(by_key), 100, std::make_shared<limit_labels>());
  lease_granter scoped_granter(scoped, 100, 9);
  move_to(scoped, scoped_granter);
  CHECK(scoped_granter.take_back(back, from.now) == 0);

  limit_ledger same(lease_plan(named("a")), 100, std::make_shared<limit_labels>());
  lease_granter same_granter(same, 100, 10);
  move_to(same, same_granter);
  CHECK(same_granter.take_back(back, from.now) == 192);
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
