// Leases between limiters: what a question settles, what waits for the backup, and what becomes of
// leases whose holder or owner dies.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "tests/unit/actors/limiter/limiter_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

using namespace penstock;

namespace {

/// Of a client's owner, its backup and a third node this last one holds a lease.
class leased_limiters : public three_limiters {
 public:
  leased_limiters() {
    const auto places = place(view, [this](const std::string& at) { return number_of(at); });
    giver = owner();
    backup = places.shards[shard_of(some_client)].backup;
    holder = 3 - giver - backup;
    while (whole_lease == 0) {
      spend(1);
      whole_lease = held();
    }
    CHECK(whole_lease > 100);
  }
  std::uint32_t held() {
    pass_time(50); // figures are shown every so often
    return static_cast<std::uint32_t>(nodes[holder]->metrics->leased_units.value());
  }
  void spend(std::uint32_t units) {
    for (std::uint32_t i = 0; i < units; ++i)
      spent += ask_one(holder, some_client)->granted;
  }
  /// All that the limit still admits, through that node.
  std::uint32_t rest(std::size_t through) {
    std::uint32_t units = 0;
    for (std::uint32_t size = 4096; size > 0;) {
      ask(through, some_client, size);
      pass_time(5);
      std::uint32_t granted = 0;
      for (const auto& each : collect(through))
        granted += each.granted;
      units += granted;
      if (granted < size) size /= 2;
    }
    return units;
  }

  std::size_t holder = 0;
  std::size_t giver = 0;
  std::size_t backup = 0;
  std::uint32_t spent = 0;
  std::uint32_t whole_lease = 0;
};

/// The test plays a holder of a node with a number of its own, and the client's backup.
class played_neighbours : public three_limiters {
 public:
  played_neighbours() {
    const auto places = place(view, [this](const std::string& at) { return number_of(at); });
    tell(owner(), peer_up{places.shards[shard_of(some_client)].backup, {stand_in(backup)}});
    run();
    forget_backups();
  }
  void ask_for(std::uint32_t requested_units, lease_settlement settlement = {}) {
    owner_request request;
    request.version = settlements_wire_version;
    request.token = ++last_token;
    request.items = {{.client = some_client, .plan = plan_id("p"), .events = 1}};
    request.requested_units = {requested_units};
    request.holder = 77;
    request.settlements = {settlement};
    holder->send(nodes[owner()]->limiter, request);
    run();
  }
  std::optional<owner_reply> answer() {
    owner_reply reply;
    return take(holder, reply) ? std::optional{reply} : std::nullopt;
  }
  std::optional<backup_rows> streamed() {
    backup_rows rows;
    return take(backup, rows) ? std::optional{rows} : std::nullopt;
  }
  void confirm() {
    backup->send(nodes[owner()]->limiter, backup_taken{});
    run();
  }
  void forget_backups() {
    while (streamed())
      confirm();
  }

  caf::scoped_actor backup{system};
  caf::scoped_actor holder{system};
};

} // namespace

TEST_CASE_METHOD(played_neighbours, "limiters: a lease is told of when the backup has it",
                 "[limiter_cluster]") {
  ask_for(0);
  CHECK(answer()); // nothing to wait for
  forget_backups();
  ask_for(100);
  CHECK_FALSE(answer());
  const auto told = streamed();
  REQUIRE(told);
  REQUIRE(told->leases.size() == 1);
  CHECK(told->leases[0].units == 100);
  CHECK(told->origins.at(0) == lease_origin{77, last_token});
  CHECK(told->rows.size() == 1);
  confirm();
  const auto reply = answer();
  REQUIRE(reply);
  CHECK(reply->verdicts.at(0).granted == 1);
  CHECK(reply->leases.at(0).units == 100);
  CHECK(reply->leases.at(0).lease == told->leases[0].lease);

  // The next question ends it, and that is streamed too.
  ask_for(50, {reply->leases[0].lease, 40, 0});
  const auto next = streamed();
  REQUIRE(next);
  CHECK(next->ended == std::vector{told->leases[0].lease});
  CHECK(next->leases.at(0).units == 50);
  CHECK(nodes[owner()]->metrics->units_returned.value() == 40);
}

TEST_CASE_METHOD(played_neighbours, "limiters: a verdict does not wait long for the backup",
                 "[limiter_cluster]") {
  ask_for(100);
  pass_time(50);
  CHECK_FALSE(answer());
  pass_time(100);
  const auto reply = answer();
  REQUIRE(reply);
  CHECK(reply->verdicts.at(0).granted == 1);
  CHECK(reply->leases.empty());
  CHECK(nodes[owner()]->metrics->leases_withheld.value() == 1);
  CHECK(ask_one(owner(), some_client, 9'999)->granted == 9'999); // and nothing is set aside
}

TEST_CASE_METHOD(played_neighbours, "limiters: a lost backup is not waited for",
                 "[limiter_cluster]") {
  ask_for(100);
  CHECK_FALSE(answer());
  const auto places = place(view, [this](const std::string& at) { return number_of(at); });
  tell(owner(), peer_down{places.shards[shard_of(some_client)].backup});
  run();
  const auto reply = answer();
  REQUIRE(reply);
  CHECK(reply->leases.at(0).units == 100);
  ask_for(100);
  CHECK(answer());
}

TEST_CASE_METHOD(played_neighbours,
                 "limiters: a lease that was not told of stays when its shard goes",
                 "[limiter_cluster]") {
  const auto giver = owner();
  ask_for(100);
  CHECK_FALSE(answer());
  nodes[giver]->leaving = true;
  next_view();
  run();
  for (std::size_t i = 0; i < 3; ++i) {
    if (i == giver) continue;
    tell(giver, peer_down{static_cast<std::uint16_t>(i)});
    tell(giver, peer_up{static_cast<std::uint16_t>(i), {stand_in(nodes[i]->limiter)}});
  }
  run();
  const auto reply = answer();
  REQUIRE(reply);
  CHECK(reply->leases.empty());
  CHECK(ask_one(owner(), some_client, 9'999)->granted == 9'999);
}

TEST_CASE_METHOD(played_neighbours, "limiters: what a crash would admit again has a bound",
                 "[limiter_cluster]") {
  forget_backups();
  const auto granted = [this] {
    std::uint32_t units = 0;
    for (const auto& each : collect(owner()))
      units += each.granted;
    return units;
  };
  for (int i = 0; i < 60; ++i) {
    ask(owner(), some_client);
    run();
  }
  CHECK(granted() == 10'000 / unconfirmed_part); // the rest waits
  ask_for(0);
  CHECK_FALSE(answer()); // as does what others ask
  pass_time(60);
  CHECK(granted() == 0);
  CHECK(nodes[owner()]->metrics->unsent_units.value() == 51);
  ask(owner(), some_client + 1); // another client does not
  CHECK(granted() == 1);
  forget_backups();
  CHECK(granted() == 10);
  CHECK(answer());
}

TEST_CASE_METHOD(played_neighbours, "limiters: what waits for a backup that is lost goes on",
                 "[limiter_cluster]") {
  for (int i = 0; i < 60; ++i)
    ask(owner(), some_client);
  CHECK(collect(owner()).size() < 60);
  const auto places = place(view, [this](const std::string& at) { return number_of(at); });
  tell(owner(), peer_down{places.shards[shard_of(some_client)].backup});
  pass_time(10);
  CHECK(collect(owner()).size() == 60 - 10'000 / unconfirmed_part);
}

TEST_CASE_METHOD(leased_limiters, "limiters: half of a dead holder's lease comes back",
                 "[limiter_cluster]") {
  spend(50);
  kill(holder);
  CHECK(rest(giver) == 10'000 - spent - (whole_lease - 50));
  next_view();
  run();
  CHECK(nodes[giver]->metrics->units_reclaimed.value() == whole_lease / 2);
  CHECK(rest(giver) == whole_lease / 2);
}

TEST_CASE_METHOD(leased_limiters, "limiters: but not before it can't decide any more",
                 "[limiter_cluster]") {
  kill(holder);
  confirmed = false;
  next_view();
  pass_time(100);
  CHECK(nodes[giver]->metrics->units_reclaimed.value() == 0);
  confirmed = true;
  tell_view(giver);
  run();
  CHECK(nodes[giver]->metrics->units_reclaimed.value() == whole_lease / 2);
}

TEST_CASE_METHOD(leased_limiters, "limiters: a lease outlives its owner", "[limiter_cluster]") {
  spend(42);
  kill(giver);
  spend(50); // without asking anybody
  next_view();
  run();
  pass_time(700); // idle: the rest goes to the new owner
  const auto heir = owner();
  CHECK(heir != giver);
  CHECK(rest(heir) == 10'000 - spent);
}

TEST_CASE_METHOD(leased_limiters, "limiters: what went back to an owner that died is said again",
                 "[limiter_cluster]") {
  kill(giver);
  pass_time(700); // it lies idle, and nobody is there to take it
  CHECK(held() == 0);
  next_view();
  run();
  CHECK(rest(owner()) == 10'000 - spent);
}

TEST_CASE_METHOD(leased_limiters, "limiters: of a dead node's lease half comes back to a new owner",
                 "[limiter_cluster]") {
  nodes[holder]->alive = false;
  caf::anon_send_exit(nodes[holder]->limiter, caf::exit_reason::kill);
  kill(giver);
  next_view();
  run();
  CHECK(owner() == backup);
  CHECK(rest(backup) == 10'000 - spent - (whole_lease - whole_lease / 2));
}

TEST_CASE_METHOD(leased_limiters, "limiters: who may not decide spends no lease",
                 "[limiter_cluster]") {
  const auto asked = nodes[holder]->metrics->requests_sent.value();
  nodes[holder]->decides_until->store(0);
  CHECK(ask_one(holder, some_client)->granted == 1); // the owner is in reach
  CHECK(nodes[holder]->metrics->requests_sent.value() == asked + 1);
  CHECK(held() == whole_lease);
}

TEST_CASE_METHOD(leased_limiters, "limiters: who was taken out has no lease any more",
                 "[limiter_cluster]") {
  go_on_without(holder);
  CHECK(nodes[giver]->metrics->units_reclaimed.value() == whole_lease / 2);
  tell_view(holder);
  run();
  CHECK(held() == 0);
  CHECK(rest(giver) == 10'000 - spent - (whole_lease - whole_lease / 2));
}

TEST_CASE_METHOD(leased_limiters, "limiters: who may have been taken out gives its leases back",
                 "[limiter_cluster]") {
  next_view({giver});
  next_view({giver});
  tell_view(holder);
  run();
  CHECK(held() == 0);
  CHECK(rest(giver) == 10'000 - spent);
}

TEST_CASE_METHOD(leased_limiters, "limiters: who leaves says also that its lease is spent",
                 "[limiter_cluster]") {
  const bool shard_moves = GENERATE(false, true);
  spend(whole_lease);
  REQUIRE(held() == 0);
  nodes[holder]->leaving = true;
  if (shard_moves) { // to a node that gets it later than the holder's word
    nodes[giver]->leaving = true;
    cut(giver, backup);
  }
  next_view();
  run();
  CHECK(owner() == (shard_moves ? backup : giver));
  self->send(nodes[holder]->limiter, leave_shards{});
  pass_time(60);
  if (shard_moves) link(giver, backup);
  pass_time(60);
  shards_gone gone;
  CHECK(take(self, gone));
  kill(holder);
  next_view();
  pass_time(60);
  for (const auto& each : nodes)
    CHECK(each->metrics->units_reclaimed.value() == 0);
  CHECK(rest(owner()) == 10'000 - spent);
}

TEST_CASE_METHOD(leased_limiters,
                 "limiters: of a lease that is to go with its shard nothing is reclaimed",
                 "[limiter_cluster]") {
  spend(whole_lease);
  nodes[holder]->leaving = nodes[giver]->leaving = true;
  cut(giver, backup);
  next_view();
  run();
  REQUIRE(owner() == backup);
  self->send(nodes[holder]->limiter, leave_shards{});
  pass_time(60);
  shards_gone gone;
  CHECK(take(self, gone)); // the new owner has heard of the lease, and not got it yet
  kill(holder);
  next_view();
  pass_time(60);
  link(giver, backup);
  pass_time(60);
  for (const auto& each : nodes)
    CHECK(each->metrics->units_reclaimed.value() == 0);
  CHECK(rest(owner()) == 10'000 - spent);
}

namespace {

/// The holder leaves, and has handed over its shards; the test plays the client's owner.
class leaving_holder : public leased_limiters {
 public:
  leaving_holder() {
    link_played();
    nodes[holder]->leaving = true;
    next_view();
    self->send(nodes[holder]->limiter, leave_shards{});
    run();
    shard_rows moved;
    while (take(played, moved)) {
      shard_taken done;
      done.epoch = moved.epoch;
      done.shard = moved.shard;
      answer(done);
    }
    CHECK_FALSE(has_left());
  }
  void link_played() {
    tell(holder, peer_up{static_cast<std::uint16_t>(giver), {stand_in(played)}});
    run();
  }
  bool has_left() {
    shards_gone gone;
    return take(self, gone);
  }
  /// Its number, if the holder has returned its lease.
  std::uint64_t returned() {
    leases_returned back;
    if (!take(played, back)) return 0;
    CHECK(back.leases.at(0).units > 0);
    CHECK(back.clients == std::vector{some_client});
    return back.token;
  }
  template <class T>
  void answer(const T& what) {
    played->send(nodes[holder]->limiter, what);
    run();
  }
  static returns_taken taken(std::uint64_t token, bool moved = false) {
    returns_taken done;
    done.token = token;
    done.moved = moved;
    return done;
  }

  caf::scoped_actor played{system};
};

} // namespace

TEST_CASE_METHOD(leaving_holder, "limiters: who leaves waits until its leases are with their owner",
                 "[limiter_cluster]") {
  const auto token = returned();
  REQUIRE(token != 0);
  answer(taken(token + 1));
  CHECK_FALSE(has_left());
  answer(taken(token));
  CHECK(has_left());
  pass_time(60);
  CHECK(returned() == 0);
}

TEST_CASE_METHOD(leaving_holder,
                 "limiters: a return to who is not the owner any more is said again",
                 "[limiter_cluster]") {
  const auto first = returned();
  REQUIRE(first != 0);
  answer(taken(first, true));
  CHECK_FALSE(has_left());
  pass_time(50);
  const auto second = returned();
  REQUIRE(second > first);
  answer(taken(second));
  CHECK(has_left());
}

TEST_CASE_METHOD(leaving_holder, "limiters: a return that was lost with its link is said again",
                 "[limiter_cluster]") {
  REQUIRE(returned() != 0);
  tell(holder, peer_down{static_cast<std::uint16_t>(giver)});
  pass_time(50);
  CHECK_FALSE(has_left());
  link_played();
  const auto again = returned();
  REQUIRE(again != 0);
  answer(taken(again));
  CHECK(has_left());
}

TEST_CASE_METHOD(leased_limiters, "limiters: who is no owner takes no returns",
                 "[limiter_cluster]") {
  leases_returned back;
  back.version = returns_wire_version;
  back.token = 5;
  back.leases = {{99, 1}};
  back.clients = {some_client};
  for (const auto& [who, moved] : {std::pair{holder, true}, std::pair{giver, false}}) {
    self->send(nodes[who]->limiter, back);
    run();
    returns_taken done;
    REQUIRE(take(self, done));
    CHECK(done.token == 5);
    CHECK(done.moved == moved);
  }
}

TEST_CASE_METHOD(leased_limiters, "limiters: a lease that comes back before its shard came",
                 "[limiter_cluster]") {
  cut(giver, backup); // so that the shard is on its way for long
  nodes[giver]->leaving = true;
  next_view();
  pass_time(700); // the holder gives back what lies idle
  CHECK(owner() == backup);
  CHECK(held() == 0);
  link(giver, backup);
  run();
  CHECK(rest(backup) == 10'000 - spent);
}

TEST_CASE_METHOD(leased_limiters, "limiters: a lease whose answer comes too late goes back",
                 "[limiter_cluster]") {
  owner_reply late;
  late.token = 999;
  late.leases = {{.item = 0, .lease = 5, .units = 7, .lifetime_ns = world_s}};
  self->send(nodes[holder]->limiter, late);
  run();
  leases_returned back;
  REQUIRE(take(self, back));
  CHECK(back.leases == std::vector{lease_return{5, 7}});
}

TEST_CASE_METHOD(leased_limiters, "limiters: peers of an earlier version get no settlements",
                 "[limiter_cluster]") {
  caf::scoped_actor earlier{system};
  tell(holder, peer_up{static_cast<std::uint16_t>(giver),
                       {stand_in(earlier)},
                       {},
                       {},
                       {},
                       {},
                       {},
                       settlements_wire_version - 1});
  spend(whole_lease - 2);
  ask(holder, some_client, 3);
  run();
  leases_returned back;
  REQUIRE(take(earlier, back)); // what a settlement would have said
  CHECK(back.leases.at(0).units == 2);
  owner_request request;
  REQUIRE(take(earlier, request));
  CHECK(request.version == 4);
  CHECK(request.requested_units.at(0) > 0);
  CHECK(request.settlements.empty());
}
