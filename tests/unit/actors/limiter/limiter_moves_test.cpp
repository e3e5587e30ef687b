// Limiters whose shards move while something else goes wrong.
#include "actors/base/shards.hpp"
#include "tests/unit/actors/limiter/limiter_world.hpp"

using namespace penstock;

namespace {

/// The client's first owner has left and is to come back; the second has admitted 6 of 10, and
/// streamed them to the third.
class second_owner : public small_limiters {
 public:
  second_owner() {
    nodes[first]->leaving = true;
    next_view();
    run();
    REQUIRE(second() != first);
    CHECK(ask_one(second(), some_client, 6)->granted == 6);
    pass_time(60);
    had = second();
    last = 3 - first - had;
    nodes[first]->leaving = false;
  }
  std::size_t second() const { return owner(); }

  std::size_t first = owner();
  std::size_t had = 0;
  std::size_t last = 0;
};

} // namespace

TEST_CASE_METHOD(second_owner, "limiters: who had the counters dies before it hands them over",
                 "[limiter_cluster]") {
  cut(first, had);
  next_view({first, last});
  run();
  CHECK(owner() == first);
  CHECK_FALSE(ask_one(first, some_client)); // it waits for them
  kill(had);
  confirmed = false;
  next_view();
  pass_time(200);
  CHECK(collect(first).empty()); // the dead one may decide yet
  confirmed = true;
  tell_view(first);
  tell_view(last);
  run();
  CHECK(collect(first).at(0).granted == 1);
  CHECK(ask_one(last, some_client, 9)->granted == 3);
  CHECK(nodes[first]->metrics->moves_incomplete.value() == 0);
}

TEST_CASE_METHOD(second_owner, "limiters: the last copy is sent by who missed the view between",
                 "[limiter_cluster]") {
  cut(first, had);
  next_view({first});
  run();
  kill(had);
  next_view();
  run();
  CHECK(ask_one(first, some_client, 9)->granted == 4);
}

TEST_CASE_METHOD(second_owner, "limiters: counters come by a view that the new owner never saw",
                 "[limiter_cluster]") {
  cut(first, had);
  next_view({had, last});
  next_view({first});
  run();
  CHECK_FALSE(ask_one(first, some_client));
  link(first, had);
  run();
  CHECK(collect(first).at(0).granted == 1);
  CHECK(ask_one(last, some_client, 9)->granted == 3);
}

TEST_CASE_METHOD(second_owner,
                 "limiters: counters that came by a view that was missed go on at once",
                 "[limiter_cluster]") {
  next_view({had, last});
  run();
  nodes[first]->leaving = true; // before it has heard that it was to be the owner
  next_view();
  run();
  CHECK(owner() == had);
  CHECK(ask_one(had, some_client, 9)->granted == 4);
  CHECK(nodes[had]->metrics->moves_incomplete.value() == 0);
}

TEST_CASE_METHOD(second_owner, "limiters: nor are they waited for for long", "[limiter_cluster]") {
  cut(first, had);
  next_view({had, last});
  next_view({first});
  pass_time(800);
  CHECK_FALSE(ask_one(first, some_client));
  pass_time(400);
  CHECK(collect(first).at(0).granted == 1);
  CHECK(nodes[first]->metrics->moves_incomplete.value() > 0);
}

TEST_CASE_METHOD(second_owner,
                 "limiters: what an owner that is taken out still admits gets to the new one",
                 "[limiter_cluster]") {
  nodes[had]->alive = false;
  confirmed = false;
  next_view({first, last});
  nodes[had]->alive = true;
  run();
  CHECK(owner() == first);
  CHECK_FALSE(ask_one(first, some_client));
  CHECK(ask_one(had, some_client, 2)->granted == 2); // it has not heard, and may decide
  pass_time(200);
  CHECK(collect(first).empty());
  confirmed = true;
  tell_view(last);
  pass_time(100);
  CHECK(collect(first).empty()); // it does not know yet that it is sure
  tell_view(first);
  run();
  CHECK(collect(first).at(0).granted == 1);
  CHECK(ask_one(first, some_client, 9)->granted == 1);
}

TEST_CASE_METHOD(small_limiters, "limiters: an owner is back before it is sure that it was gone",
                 "[limiter_cluster]") {
  // Its backup has all that it streamed, and waits until it can't decide any more.
  const auto had = owner();
  CHECK(ask_one(had, some_client, 9)->granted == 9);
  pass_time(60);
  kill(had);
  confirmed = false;
  next_view();
  run();
  const auto heir = owner();
  CHECK_FALSE(ask_one(heir, some_client));
  // Another process at its address is let in meanwhile.
  restart(had, minute_plan(10));
  next_view();
  pass_time(100);
  CHECK(owner() == had);
  CHECK_FALSE(ask_one(had, some_client)); // the counters are still to come
  confirmed = true;
  for (std::size_t i = 0; i < nodes.size(); ++i)
    tell_view(i);
  run();
  CHECK(collect(had).size() == 1);
  CHECK(nodes[had]->metrics->moves_incomplete.value() == 0);
  CHECK(ask_one(had, some_client, 9)->granted == 0);
}

namespace {

/// The owner has admitted 6 of 10; its backup is a node that has just joined, and who was the
/// backup until then has all.
class new_backup : public small_limiters {
 public:
  new_backup() {
    const auto places = place(view, [this](const std::string& at) { return number_of(at); });
    joins = places.shards[shard_of(some_client)].backup;
    had = owner();
    before = 3 - had - joins;
    kill(joins);
    next_view();
    run();
    REQUIRE(owner() == had);
    CHECK(ask_one(had, some_client, 6)->granted == 6);
    pass_time(60);
    restart(joins, minute_plan(10));
  }
  void owner_dies() {
    kill(had);
    next_view();
    run();
    REQUIRE(owner() == joins);
  }

  std::size_t had = 0, joins = 0, before = 0;
};

} // namespace

TEST_CASE_METHOD(new_backup, "limiters: an owner dies before its new backup is told anything",
                 "[limiter_cluster]") {
  cut(had, joins);
  next_view();
  pass_time(60);
  confirmed = false;
  owner_dies();
  CHECK_FALSE(ask_one(joins, some_client));
  confirmed = true;
  tell_view(joins);
  tell_view(before);
  run();
  CHECK(collect(joins).at(0).granted == 1);
  CHECK(ask_one(joins, some_client, 9)->granted == 3);
  CHECK(nodes[joins]->metrics->moves_incomplete.value() == 0);
}

TEST_CASE_METHOD(new_backup, "limiters: a new backup that was told all asks nobody",
                 "[limiter_cluster]") {
  next_view();
  run();
  cut(joins, before);
  owner_dies();
  CHECK(ask_one(joins, some_client, 9)->granted == 4);
}

TEST_CASE_METHOD(new_backup, "limiters: a backup that knows too little waits a second for another",
                 "[limiter_cluster]") {
  cut(had, joins);
  next_view();
  run();
  cut(joins, before);
  owner_dies();
  pass_time(800);
  CHECK_FALSE(ask_one(joins, some_client));
  pass_time(400);
  CHECK(collect(joins).at(0).granted == 1);
  CHECK(nodes[joins]->metrics->moves_incomplete.value() > 0);
}

TEST_CASE_METHOD(new_backup, "limiters: nor does it wait when that one is gone as well",
                 "[limiter_cluster]") {
  cut(had, joins);
  next_view();
  run();
  confirmed = false;
  owner_dies();
  kill(before);
  confirmed = true;
  next_view();
  run();
  CHECK(ask_one(joins, some_client)->granted == 1);
}

TEST_CASE_METHOD(new_backup,
                 "limiters: what was a backup's before counts as little when it is again",
                 "[limiter_cluster]") {
  // It was told all, was none for a while, and is one again when the owner dies.
  next_view();
  run();
  nodes[joins]->leaving = true;
  next_view();
  run();
  CHECK(ask_one(had, some_client, 2)->granted == 2);
  pass_time(60);
  cut(had, joins);
  nodes[joins]->leaving = false;
  next_view();
  run();
  owner_dies();
  CHECK(ask_one(joins, some_client, 9)->granted == 2);
}

TEST_CASE_METHOD(new_backup,
                 "limiters: an old copy comes after the shard, before the views for both",
                 "[limiter_cluster]") {
  next_view();
  run();
  CHECK(ask_one(had, some_client, 2)->granted == 2);
  pass_time(60);
  nodes[had]->leaving = true;
  next_view({had, before});
  run(); // it hands over
  nodes[had]->alive = false;
  next_view({before});
  run(); // who was its backup once thinks of what may have been lost
  tell_view(joins);
  run();
  CHECK(owner() == joins);
  CHECK(ask_one(joins, some_client, 9)->granted == 2);
}

namespace {

/// A client that is the first node's and, as others join one after the other, each one's after it.
/// The first has admitted 6 of 10.
class passed_on : public limiter_world {
 public:
  passed_on() {
    add(minute_plan(10));
    add(minute_plan(10));
    link(0, 1);
    next_view();
    run();
    while (owner_among(2) != 0 || owner_among(3) != 2 || owner_among(4) != 3)
      client += std::uint64_t{1} << 56;
    CHECK(ask_one(0, client, 6)->granted == 6);
  }
  std::size_t owner_among(std::size_t count) const {
    cluster_view of;
    for (std::size_t i = 0; i < count; ++i)
      of.members.push_back({std::string(1, static_cast<char>('a' + i)), "", false});
    const auto places = place(of, [this](const std::string& at) { return number_of(at); });
    return places.shards[shard_of(client)].owner;
  }
  void check_all_exact(std::size_t last) {
    pass_time(60);
    CHECK_FALSE(ask_one(last, client)); // they have not come
    for (std::size_t i = 1; i < nodes.size(); ++i)
      link(0, i);
    pass_time(60);
    CHECK(collect(last).at(0).granted == 1);
    CHECK(ask_one(1, client, 9)->granted == 3);
    for (const auto& each : nodes)
      CHECK(each->metrics->moves_incomplete.value() == 0);
  }

  std::uint64_t client = 7;
};

} // namespace

TEST_CASE_METHOD(passed_on, "limiters: a node whose first view is not the one that let it in",
                 "[limiter_cluster]") {
  add(minute_plan(10));
  next_view({0, 1}); // the third was let in, and does not know yet
  add(minute_plan(10));
  next_view();
  run();
  link(1, 2);
  link(1, 3);
  link(2, 3);
  check_all_exact(3);
}

TEST_CASE_METHOD(passed_on, "limiters: what comes late goes the way that the views say",
                 "[limiter_cluster]") {
  while (owner_among(2) != 0 || owner_among(3) != 2 || owner_among(4) != 3 || owner_among(5) != 4)
    client += std::uint64_t{1} << 56;
  CHECK(ask_one(0, client, 6)->granted == 6);
  for (std::size_t i = 2; i < 5; ++i) {
    add(minute_plan(10));
    for (std::size_t j = 1; j < i; ++j)
      link(i, j);
    next_view();
    run();
  }
  check_all_exact(4);
}

TEST_CASE_METHOD(passed_on,
                 "limiters: a new owner and its backup join, and it goes before it has any",
                 "[limiter_cluster]") {
  const auto place_among = [this](const std::vector<std::string>& those) {
    cluster_view of;
    for (const auto& name : those)
      of.members.push_back({name, "", false});
    return place(of, [this](const std::string& at) { return number_of(at); })
        .shards[shard_of(client)];
  };
  const auto is_wanted = [&] {
    const auto all = place_among({"a", "b", "c", "d", "e"});
    const auto next = place_among({"a", "b", "d", "e"});
    return owner_among(2) == 0 && all.owner == 2 && all.backup == 3 && next.owner == 3 &&
           next.backup == 4;
  };
  for (int i = 0; i < 3; ++i)
    add(minute_plan(10));
  while (!is_wanted())
    client += std::uint64_t{1} << 56;
  CHECK(ask_one(0, client, 6)->granted == 6);
  next_view();
  run(); // nobody is linked with who had them
  kill(2);
  link(0, 3);
  next_view();
  run();
  REQUIRE(owner_of_client(client) == 3);
  pass_time(1200);
  CHECK(ask_one(3, client, 9)->granted == 4);
}

TEST_CASE_METHOD(small_limiters, "limiters: owner and backup die at once: it is told",
                 "[limiter_cluster]") {
  const auto places = place(view, [this](const std::string& at) { return number_of(at); });
  const auto had = owner(), backup = std::size_t{places.shards[shard_of(some_client)].backup};
  const auto last = 3 - had - backup;
  // The third was the owner's backup once, and has an old copy.
  kill(backup);
  next_view();
  run();
  CHECK(ask_one(had, some_client, 4)->granted == 4);
  pass_time(60);
  restart(backup, minute_plan(10));
  next_view();
  pass_time(60);
  CHECK(ask_one(had, some_client, 5)->granted == 5);
  pass_time(60);
  CHECK(nodes[last]->metrics->moves_incomplete.value() == 0);
  kill(had);
  kill(backup);
  next_view();
  run();
  REQUIRE(owner() == last);
  CHECK(nodes[last]->metrics->moves_incomplete.value() > 0);
}

namespace {

/// The client's counters go to a second node and a third, and back to the second, while the link
/// from who has them is cut.
class crossing_moves : public small_limiters {
 public:
  crossing_moves() {
    CHECK(ask_one(first, some_client, 6)->granted == 6);
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (i != first) cut(first, i);
    leave_to(first, {first});
    run();
    second = owner();
    third = 3 - first - second;
  }
  void leave_to(std::size_t who, const std::vector<std::size_t>& told) {
    nodes[who]->leaving = true;
    next_view(told);
  }
  std::size_t first = owner();
  std::size_t second = 0;
  std::size_t third = 0;
};

} // namespace

TEST_CASE_METHOD(crossing_moves, "limiters: who waits for a shard goes on to when others are named",
                 "[limiter_cluster]") {
  tell_view(second);
  leave_to(second, {second});
  run();
  REQUIRE(owner() == third);
  nodes[second]->leaving = false;
  next_view({second});
  run();
  REQUIRE(owner() == second);
  link(first, second);
  run();
  CHECK(ask_one(second, some_client, 9)->granted == 4);
  CHECK(nodes[second]->metrics->moves_incomplete.value() == 0);
}

namespace {

/// The test plays those who get a node's shards.
class played_heirs : public small_limiters {
 public:
  played_heirs() {
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (i != had) link_to(i);
    nodes[had]->leaving = true;
    next_view({had});
    heir = owner();
  }
  void link_to(std::size_t who) {
    tell(had, peer_up{static_cast<std::uint16_t>(who), {stand_in(played)}});
  }
  void send(const shard_rows& rows) {
    played->send(nodes[had]->limiter, rows);
    run();
  }
  /// Takes all that is sent, and says so of all shards but the client's, of which it gives how
  /// often it came.
  int take_shards() {
    int came = 0;
    run();
    for (shard_rows rows; take(played, rows); run()) {
      if (!rows.last) continue;
      if (rows.shard == shard_of(some_client)) {
        ++came;
        last_came = rows;
        continue;
      }
      shard_taken done;
      done.epoch = rows.epoch;
      done.shard = rows.shard;
      played->send(nodes[had]->limiter, done);
    }
    return came;
  }
  caf::scoped_actor played{system};
  std::size_t had = owner();
  std::size_t heir = 0;
  shard_rows last_came;
};

} // namespace

TEST_CASE_METHOD(played_heirs, "limiters: a shard that came back is not sent once more",
                 "[limiter_cluster]") {
  REQUIRE(take_shards() == 1);
  tell(had, peer_down{static_cast<std::uint16_t>(heir)});
  link_to(heir);
  CHECK(take_shards() == 1); // nobody said that it came
  // It has come all the same, and comes back by a view that is still to come.
  last_came.epoch = view.epoch + 1;
  last_came.from = nodes[heir]->address;
  send(last_came);
  tell(had, peer_down{static_cast<std::uint16_t>(heir)});
  link_to(heir);
  CHECK(take_shards() == 0);
}

TEST_CASE_METHOD(played_heirs, "limiters: an answer to an earlier move ends no later one",
                 "[limiter_cluster]") {
  REQUIRE(take_shards() == 1);
  const shard_rows earlier = last_came; // that it came is still to be said
  nodes[had]->leaving = false;
  next_view({had});
  last_came.epoch = view.epoch;
  last_came.from = nodes[heir]->address;
  send(last_came);
  nodes[had]->leaving = true;
  next_view({had});
  REQUIRE(owner() == heir);
  REQUIRE(take_shards() == 1);
  REQUIRE(last_came.epoch > earlier.epoch);
  const auto comes_again_after = [&](std::uint64_t epoch) {
    shard_taken done;
    done.epoch = epoch;
    done.shard = earlier.shard;
    played->send(nodes[had]->limiter, done);
    run();
    tell(had, peer_down{static_cast<std::uint16_t>(heir)});
    link_to(heir);
    return take_shards() == 1;
  };
  CHECK(comes_again_after(earlier.epoch));
  CHECK_FALSE(comes_again_after(last_came.epoch));
}

namespace {

/// All of three nodes have ended. Of the client's limit of 10, 6 were used, and one node's disk
/// says so.
class all_ended : public small_limiters {
 public:
  all_ended() {
    CHECK(ask_one(owner(), some_client, 6)->granted == 6);
    latest.rows = nodes[owner()]->ledger->rows_of(shard_of(some_client), now);
    REQUIRE(latest.rows.size() == 1);
    old = latest;
    old.rows[0].used = 2;
    old.handed_over.set(shard_of(some_client));
    for (std::size_t i = 0; i < 3; ++i)
      kill(i);
  }
  void start(std::size_t who, const found_counters& found = {}) {
    restart(who, minute_plan(10), found);
    next_view();
    run();
  }

  found_counters latest, old;
};

} // namespace

TEST_CASE_METHOD(small_limiters,
                 "limiters: who takes a dead node's shard over saves what it has of it",
                 "[limiter_cluster]") {
  // Or an end of all nodes but the dead one would lose it, if nobody asked meanwhile.
  CHECK(ask_one(owner(), some_client, 6)->granted == 6);
  pass_time(60);
  kill(owner());
  next_view();
  run();
  auto& ledger = *nodes[owner()]->ledger;
  REQUIRE(ledger.has_changed());
  const auto rows = ledger.take_changed(100, now);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].used == 6);
}

TEST_CASE_METHOD(all_ended, "limiters: what was handed over before is no later than what is saved",
                 "[limiter_cluster]") {
  const auto first = other(), had = owner();
  start(first, old); // and owns all
  start(had, latest);
  REQUIRE(owner() == had);
  CHECK(ask_one(had, some_client, 9)->granted == 4);
  CHECK(nodes[had]->metrics->moves_incomplete.value() == 0);
}

TEST_CASE_METHOD(all_ended, "limiters: a node that comes back gets what is later than its disk",
                 "[limiter_cluster]") {
  const auto first = other(), had = owner();
  start(first, latest);
  CHECK(ask_one(first, some_client, 1)->granted == 1);
  // It handed the shard over before it ended; units came back since.
  latest.rows[0].used = 9;
  latest.handed_over.set(shard_of(some_client));
  start(had, latest);
  REQUIRE(owner() == had);
  CHECK(ask_one(had, some_client, 9)->granted == 3);
}

TEST_CASE_METHOD(all_ended, "limiters: what one saved is offered to whoever owns it by now",
                 "[limiter_cluster]") {
  const auto had = third(), new_owner = owner();
  start(new_owner);
  CHECK(ask_one(new_owner, some_client, 1)->granted == 1);
  start(had, latest);
  REQUIRE(owner() == new_owner);
  CHECK(ask_one(new_owner, some_client, 9)->granted == 4);
  pass_time(600);
  const auto shard = static_cast<std::uint8_t>(shard_of(some_client));
  CHECK(nodes[had]->marks == std::vector<shard_mark>{{shard, true}});
  CHECK(nodes[had]->metrics->leaving_shards.value() == 0);
  // It is saved as this node's again once that owns it.
  kill(new_owner);
  next_view();
  pass_time(600);
  if (owner() == had)
    CHECK(nodes[had]->marks.back() == shard_mark{shard, false});
  else
    CHECK(nodes[owner()]->marks.empty());
}

TEST_CASE_METHOD(all_ended, "limiters: an offer waits for its owner, and is not merged elsewhere",
                 "[limiter_cluster]") {
  const auto had = third(), new_owner = owner(), first = other();
  start(first, old);
  start(had, latest); // `had` or `first` owns it until its owner is back
  restart(new_owner, minute_plan(10));
  view.before = view.members;
  next_view({had, first}); // the new owner does not know yet
  run();
  CHECK_FALSE(ask_one(new_owner, some_client, 9));
  tell_view(new_owner);
  run();
  REQUIRE(owner() == new_owner);
  const auto all = collect(new_owner);
  REQUIRE(all.size() == 1);
  CHECK(all[0].granted == 4);
}

TEST_CASE_METHOD(all_ended, "limiters: nothing is offered to an earlier program",
                 "[limiter_cluster]") {
  const auto had = third(), new_owner = owner();
  start(new_owner);
  restart(had, minute_plan(10), latest);
  peer_up earlier{static_cast<std::uint16_t>(new_owner), {stand_in(nodes[new_owner]->limiter)}};
  earlier.version = offers_wire_version - 1;
  tell(had, earlier);
  next_view();
  pass_time(100);
  CHECK(nodes[had]->metrics->settled_epoch.value() == static_cast<std::int64_t>(view.epoch));
  CHECK(ask_one(new_owner, some_client, 9)->granted == 9);
}
