// What a peer may say that no limiter would: it is passed over, and ends nothing.
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_mover.hpp"
#include "tests/unit/actors/limiter/limiter_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

using namespace penstock;

namespace {

/// The test plays the owner of a client's shard, to a node that asks it.
class played_owner : public three_limiters {
 public:
  played_owner() : asking(other()) {
    tell(asking, peer_up{static_cast<std::uint16_t>(owner()), {stand_in(played)}});
    run();
  }
  owner_request question() {
    owner_request request;
    run();
    REQUIRE(take(played, request));
    return request;
  }
  void answer(const owner_reply& reply) {
    played->send(nodes[asking]->limiter, reply);
    run();
  }

  std::size_t asking;
  caf::scoped_actor played{system};
};

} // namespace

TEST_CASE_METHOD(played_owner, "limiters: a verdict on more than was asked is none",
                 "[limiter_cluster]") {
  ask(asking, some_client, 2);
  owner_reply reply;
  reply.token = question().token;
  reply.verdicts = {verdict{.granted = 3}};
  answer(reply);
  CHECK(collect(asking).empty());
  reply.verdicts = {verdict{.reason = verdict::pending}};
  answer(reply);
  CHECK(collect(asking).empty());
  reply.verdicts = {verdict{.granted = 2}};
  answer(reply);
  const auto verdicts = collect(asking);
  REQUIRE(verdicts.size() == 1);
  CHECK(verdicts[0].granted == 2);
}

TEST_CASE_METHOD(played_owner, "limiters: a lease for ever is one for as long as leases last",
                 "[limiter_cluster]") {
  owner_reply reply;
  std::uint32_t requested = 0;
  while (requested == 0) {
    ask(asking, some_client);
    const auto request = question();
    if (!request.requested_units.empty()) requested = request.requested_units[0];
    reply.token = request.token;
    reply.verdicts = {verdict{.granted = 1}};
    reply.leases.clear();
    if (requested != 0)
      reply.leases = {{.lease = 9, .units = UINT32_MAX, .lifetime_ns = INT64_MAX, .again_ns = -1}};
    answer(reply);
    CHECK(collect(asking).size() == 1);
  }
  CHECK(ask_one(asking, some_client)->granted == 1); // from the lease
  now += max_lease_lifetime_ns;
  ask(asking, some_client);
  const auto next = question();
  // The owner is told what is left, of which the rest of the lease is a part.
  CHECK(next.items.size() == 1);
}

TEST_CASE_METHOD(three_limiters, "limiters: rows and leases with numbers that none has",
                 "[limiter_cluster]") {
  caf::scoped_actor stranger{system};
  const std::size_t to = owner();
  backup_rows copies;
  copies.version = whole_wire_version;
  shard_rows moved;
  moved.version = settlements_wire_version;
  moved.epoch = UINT64_MAX;
  moved.last = true;
  const limit rule = minute_plan(1).limits[0];
  for (const std::int64_t at : {INT64_MIN, std::int64_t{-1}, INT64_MAX}) {
    for (const std::uint64_t client : {some_client, ~some_client}) {
      counter_row row{client, plan_id("p"), limit_id(rule), 0, at, UINT32_MAX, UINT32_MAX, at};
      copies.rows.push_back(row);
      moved.rows.push_back(row);
      moved_lease lease;
      lease.lease = client;
      lease.client = client;
      lease.plan = plan_id("p");
      lease.units = UINT32_MAX;
      lease.left_ns = at;
      lease.marks.assign(100, at);
      lease.plan_digest = nodes[to]->ledger->digest_of(lease.plan);
      copies.leases.push_back(lease);
      moved.leases.push_back(lease);
    }
  }
  copies.whole = {0, shard_count, UINT32_MAX};
  copies.ended = {0, 1, UINT64_MAX};
  stranger->send(nodes[to]->limiter, copies);
  for (const std::uint32_t shard : {std::uint32_t{0}, shard_of(some_client), UINT32_MAX}) {
    moved.shard = shard;
    for (const auto& each : nodes)
      stranger->send(each->limiter, moved);
  }
  stranger->send(nodes[to]->limiter, shard_taken{4, UINT64_MAX, UINT32_MAX});
  stranger->send(nodes[to]->limiter, backup_taken{});
  leases_returned back;
  back.leases = {{7, UINT32_MAX}, {some_client, UINT32_MAX}};
  back.clients = {~some_client};
  stranger->send(nodes[to]->limiter, back);
  run();
  pass_time(200);
  CHECK(ask_one(to, some_client)->granted == 1);
}

namespace {

/// A stranger that sends a shard of which nothing is known, by a view that is still to come.
class false_mover : public small_limiters {
 public:
  void send_nothing(std::size_t to, std::uint64_t epoch) {
    caf::scoped_actor stranger{system};
    shard_rows none;
    none.epoch = epoch;
    none.shard = shard_of(some_client);
    none.last = true;
    stranger->send(nodes[to]->limiter, none);
    run();
  }
  /// The new owner sees the view first, and has to wait for who had the counters.
  void check_waits_for(std::size_t had) {
    const auto to = owner();
    REQUIRE(to != had);
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (i != had) tell_view(i);
    run();
    CHECK_FALSE(ask_one(to, some_client));
    tell_view(had);
    run();
    CHECK(collect(to).at(0).granted == 1);
    CHECK(ask_one(to, some_client, 9)->granted == 3);
  }
};

} // namespace

TEST_CASE_METHOD(false_mover, "limiters: a shard that came by a view that never was has not come",
                 "[limiter_cluster]") {
  const std::uint64_t epoch = GENERATE(0ull, UINT64_MAX - 1, UINT64_MAX);
  const auto had = owner();
  CHECK(ask_one(had, some_client, 6)->granted == 6);
  for (std::size_t i = 0; i < nodes.size(); ++i)
    send_nothing(i, epoch == 0 ? view.epoch + max_views_ahead + 1 : epoch);
  nodes[had]->leaving = true;
  next_view({other()});
  check_waits_for(had);
}

TEST_CASE_METHOD(false_mover, "limiters: nor does it to a node that has no view yet",
                 "[limiter_cluster]") {
  const auto first = owner();
  CHECK(ask_one(first, some_client, 6)->granted == 6);
  pass_time(60);
  kill(first);
  next_view();
  run();
  const auto had = owner();
  restart(first, minute_plan(10));
  send_nothing(first, UINT64_MAX);
  next_view({first});
  check_waits_for(had);
}

TEST_CASE_METHOD(played_owner, "limiters: plans that change while a lease is asked for",
                 "[limiter_cluster]") {
  const auto change_plan = [&](limit_scope scope) {
    plan rules = minute_plan(10'000);
    rules.limits[0].scope = scope;
    tell(asking, plans_changed{std::make_shared<const std::vector<plan>>(1, rules)});
    run();
  };
  const auto ask_until_units_are_wanted = [&] {
    for (int i = 0; i < 10; ++i) {
      ask(asking, some_client);
      const auto request = question();
      if (!request.requested_units.empty()) return request.token;
      answer({.token = request.token, .verdicts = {verdict{.granted = 1}}});
    }
    FAIL("no lease is asked for");
    return std::uint64_t{0};
  };
  const auto token = ask_until_units_are_wanted();
  change_plan(limit_scope::stream);
  SECTION("the answer comes") {
    answer({.token = token, .verdicts = {verdict{.granted = 1}}});
  }
  SECTION("the answer does not come") {
    pass_time(5000);
    tell(asking, peer_up{static_cast<std::uint16_t>(owner()), {stand_in(played)}});
    run();
  }
  CHECK(collect(asking).size() >= 1);
  change_plan(limit_scope::account);
  (void)ask_until_units_are_wanted();
}
