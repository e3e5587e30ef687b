// Who is a member, and who may decide when: never two for the same shard.
#include "actors/cluster/membership.hpp"
#include "actors/cluster/placement.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

using namespace penstock;

namespace {

constexpr std::int64_t member_ms = 1'000'000;

member_record record_for(const std::string& address, const std::string& incarnation = "1",
                         bool leaving = false) {
  member_record out;
  out.address = address;
  out.incarnation = incarnation;
  out.leaving = leaving;
  return out;
}

std::vector<std::string> addresses_in(const std::vector<view_member>& members) {
  std::vector<std::string> out;
  for (const auto& member : members)
    out.push_back(member.address + (member.leaving ? "-" : ""));
  return out;
}

using names = std::vector<std::string>;

/// One node's membership, with a store that always works.
class one_member {
 public:
  void hear(const std::string& address) {
    auto record = record_for(address);
    record.epoch = members.view().epoch;
    members.on_record(record, now);
  }
  void pass(std::int64_t time_ms, const names& alive) {
    for (std::int64_t end = now + time_ms * member_ms; now < end; now += 100 * member_ms) {
      members.on_renewed(now, revision);
      for (const auto& each : alive)
        hear(each);
      settle();
    }
  }
  void settle() {
    if (auto next = members.proposal(now)) {
      members.on_view(*next, ++revision, now);
      views.push_back(addresses_in(next->members));
    }
  }
  membership members{{"a", "1", false}};
  std::int64_t now = 1000 * member_ms;
  std::uint64_t revision = 0;
  std::vector<names> views;
};

} // namespace

TEST_CASE_METHOD(one_member, "membership: joins that come together are one change",
                 "[membership]") {
  pass(100, {"a"});
  hear("a");
  hear("b");
  CHECK_FALSE(members.proposal(now));
  now += 100 * member_ms;
  hear("c");
  CHECK_FALSE(members.proposal(now)); // another may follow
  now += 140 * member_ms;
  CHECK_FALSE(members.proposal(now));
  now += 10 * member_ms;
  settle();
  CHECK(views == std::vector<names>{{"a"}, {"a", "b", "c"}});
}

TEST_CASE_METHOD(one_member, "membership: they are not gathered for ever", "[membership]") {
  pass(100, {"a"});
  const auto began = now;
  for (char name = 'b'; views.size() == 1; now += 100 * member_ms, ++name) {
    REQUIRE(name <= 'g');
    members.on_renewed(now, revision);
    hear("a");
    hear(std::string(1, name));
    settle();
  }
  CHECK(now - began == 600 * member_ms);
}

TEST_CASE_METHOD(one_member, "membership: what is planned waits for the moves of the view before",
                 "[membership]") {
  pass(300, {"a", "b"});
  pass(300, {"a", "b", "c"});
  REQUIRE(views.back() == names{"a", "b", "c"});
  const auto hear_all = [&](std::uint64_t settled_of_c, bool b_leaves) {
    for (const char* each : {"a", "b", "c", "d"}) {
      auto record = record_for(each, "1", b_leaves && *each == 'b');
      record.epoch = members.view().epoch;
      record.settled_epoch = *each == 'c' ? settled_of_c : record.epoch;
      members.on_record(record, now);
    }
  };
  const auto epoch = members.view().epoch;
  for (int i = 0; i < 20; ++i) {
    now += 100 * member_ms;
    members.on_renewed(now, revision);
    hear_all(epoch - 1, i >= 10);
    settle();
  }
  CHECK(members.view().epoch == epoch);
  SECTION("and is done when they are over") {
    hear_all(epoch, true);
    settle();
    CHECK(views.back() == names{"a", "b-", "c", "d"});
  }
  SECTION("or who has them is dead") {
    for (int i = 0; i < 9; ++i) {
      now += 100 * member_ms;
      members.on_renewed(now, revision);
      for (const char* each : {"a", "b", "d"})
        hear(each);
      settle();
    }
    CHECK(addresses_in(members.view().members) == names{"a", "b", "d"});
  }
  SECTION("but not for one that never ends") {
    for (int i = 0; i < 40; ++i) {
      now += 100 * member_ms;
      members.on_renewed(now, revision);
      hear_all(epoch - 1, true);
      settle();
    }
    CHECK(views.back() == names{"a", "b-", "c", "d"});
  }
  SECTION("another process of a member does not wait") {
    members.on_record(record_for("c", "2"), now);
    settle();
    CHECK(views.back() == names{"a", "b", "c"});
    CHECK(members.view().members[2].incarnation == "2");
  }
}

TEST_CASE("membership: who has another secret is not let in, and lets nobody in", "[membership]") {
  std::int64_t now = 1000 * member_ms;
  const auto record = [](const std::string& address, const std::string& secret_check) {
    auto out = record_for(address);
    out.secret_check = secret_check;
    return out;
  };
  membership a{{"a", "1", false}, {}, "ours"};
  a.on_renewed(now, 0);
  a.on_record(record("a", "ours"), now);
  auto view = a.proposal(now);
  REQUIRE(view);
  REQUIRE(a.on_view(*view, 1, now));
  a.on_record(record("b", "theirs"), now);
  a.on_record(record("c", ""), now); // an earlier program
  for (int i = 0; i < 3; ++i, now += 100 * member_ms) {
    a.on_renewed(now, 1);
    auto own = record("a", "ours");
    own.epoch = 1;
    a.on_record(own, now);
    a.on_record(record("c", ""), now);
    view = a.proposal(now);
  }
  REQUIRE(view);
  CHECK(addresses_in(view->members) == names{"a", "c"});
  CHECK(a.is_other("b"));
  CHECK_FALSE(a.is_stranger(now));

  membership b{{"b", "1", false}, {}, "theirs"};
  REQUIRE(b.on_view(*view, 2, now));
  b.on_record(record("b", "theirs"), now);
  b.on_record(record("a", "ours"), now);
  for (int i = 0; i < 30; ++i, now += 100 * member_ms) {
    b.on_renewed(now, 2);
    b.on_record(record("b", "theirs"), now);
    b.on_record(record("a", "ours"), now);
    CHECK_FALSE(b.proposal(now));
  }
  CHECK(b.is_stranger(now));
  // The others are gone, or have the secret by now.
  std::uint64_t revision = 2;
  for (int i = 0; i < 700 && !b.is_in({"b", "1", false}); ++i, now += 100 * member_ms) {
    b.on_renewed(now, revision);
    b.on_record(record("b", "theirs"), now);
    if (const auto next = b.proposal(now)) b.on_view(*next, ++revision, now);
  }
  CHECK(addresses_in(b.view().members) == names{"b"});
}

TEST_CASE_METHOD(one_member, "membership: who does not know the members' time is not let in yet",
                 "[membership]") {
  pass(300, {"a"});
  for (int i = 0; i < 6; ++i, now += 100 * member_ms) {
    auto b = record_for("b");
    b.clocks = {.system_ns = 5, .cluster_ns = i < 3 ? 0 : 5};
    members.on_renewed(now, revision);
    hear("a");
    members.on_record(b, now);
    settle();
    CHECK(views.back().size() == (i < 5 ? 1 : 2));
  }
}

namespace {

/// A node "b" that starts where the view of the store names "a", and itself as it was before.
struct after_an_end {
  after_an_end() {
    view.members = {{"a", "1", false}, {"b", "0", false}};
    REQUIRE(b.on_view(view, 1, now));
  }
  std::optional<cluster_view> renewed() {
    b.on_renewed(now, 1);
    b.on_record(record_for("b"), now);
    return b.proposal(now);
  }
  cluster_view view{7, {}, {}, {}};
  std::int64_t now = 1000 * member_ms;
  membership b{{"b", "1", false}};
};

} // namespace

TEST_CASE_METHOD(after_an_end, "membership: nodes that begin anew together have one time",
                 "[membership]") {
  // Both were killed, and start again at their addresses with clocks that are 30 s apart.
  constexpr std::int64_t apart_ns = 30'000 * member_ms;
  REQUIRE(b.on_view({8, {{"a", "0", false}, {"b", "0", false}}, {}, {}}, 2, now));
  const auto hear = [this](const std::string& address, std::int64_t ahead_ns) {
    auto record = record_for(address);
    record.epoch = b.view().epoch;
    record.clocks = {now, now + ahead_ns};
    b.on_record(record, now);
  };
  std::uint64_t revision = 2;
  const auto propose = [&] {
    b.on_renewed(now, revision);
    if (const auto next = b.proposal(now)) b.on_view(*next, ++revision, now);
  };
  hear("a", apart_ns);
  propose();
  CHECK_FALSE(b.is_in({"a", "1", false})); // nor if this node's own record did not come back yet
  for (int i = 0; i < 10; ++i, now += 100 * member_ms) {
    hear("a", apart_ns);
    hear("b", 0);
    propose();
    CHECK(b.is_in({"b", "1", false}));
    CHECK_FALSE(b.is_in({"a", "1", false}));
  }
  for (int i = 0; i < 10; ++i, now += 100 * member_ms) {
    hear("a", 0);
    hear("b", 0);
    propose();
  }
  CHECK(b.is_in({"a", "1", false}));
}

TEST_CASE_METHOD(after_an_end, "membership: who begins anew waits for nobody who ended after it",
                 "[membership]") {
  // "c" was taken out and may not have known; then all ended, and "a" and "b" are anew.
  cluster_view last{8, {{"a", "0", false}, {"b", "0", false}}, {}, {}};
  last.removals = {{8, {{"a", "b", "c"}}}};
  REQUIRE(b.on_view(last, 2, now));
  CHECK_FALSE(b.confirmed(now));
  b.on_record(record_for("a"), now);
  CHECK_FALSE(b.confirmed(now));
  CHECK(b.confirmed(now + membership_times{}.fence_ns));
}

TEST_CASE_METHOD(after_an_end, "membership: who joins waits for members that are not back yet",
                 "[membership]") {
  // They reach the directory a little later than who is new, and have a time.
  REQUIRE(b.on_view({8, {{"a", "1", false}}, {}, {}}, 2, now));
  b.on_record(record_for("a"), now);
  now += member_ms;
  b.on_watching(now);
  const auto is_in_after = [this](std::int64_t time_ms, bool is_heard) {
    bool is_in = false;
    for (const auto end = now + time_ms * member_ms; now < end; now += 100 * member_ms) {
      auto own = record_for("b"), other = record_for("a");
      own.clocks = {now, now};
      other.clocks = own.clocks;
      other.epoch = b.view().epoch;
      b.on_record(own, now);
      if (is_heard) b.on_record(other, now);
      b.on_renewed(now, 2);
      const auto next = b.proposal(now);
      is_in = next && std::ranges::count(next->members, view_member{"b", "1", false}) == 1;
    }
    return is_in;
  };
  CHECK_FALSE(is_in_after(2000, false));
  SECTION("they are heard") {
    CHECK(is_in_after(1000, true));
  }
  SECTION("or are not for long") {
    CHECK(is_in_after(membership_times{}.back_ns / member_ms, false));
  }
}

TEST_CASE_METHOD(after_an_end, "membership: who has left need not see that another was taken out",
                 "[membership]") {
  cluster_view last{8, {{"a", "1", true}, {"b", "1", false}, {"c", "1", true}}, {}, {}};
  last.removals = {{8, {{"a", "b", "c", "d"}}}};
  REQUIRE(b.on_view(last, 2, now));
  CHECK_FALSE(b.confirmed(now));
  b.on_gone("a", now);
  CHECK_FALSE(b.confirmed(now));
  CHECK(b.confirmed(now + membership_times{}.fence_ns));
}

TEST_CASE_METHOD(after_an_end,
                 "membership: who begins anew is not in before it has the first's time",
                 "[membership]") {
  REQUIRE(b.on_view({8, {{"a", "1", false}, {"b", "0", false}}, {}, {}}, 2, now));
  const auto is_in_with = [this](std::int64_t ahead_ns) {
    now += 100 * member_ms;
    for (const auto* address : {"a", "b"}) {
      auto record = record_for(address);
      record.clocks = {now, now + (*address == 'b' ? ahead_ns : 0)};
      b.on_record(record, now);
    }
    b.on_renewed(now, 2);
    const auto next = b.proposal(now);
    return next && std::ranges::count(next->members, view_member{"b", "1", false}) == 1;
  };
  CHECK_FALSE(is_in_with(30'000 * member_ms));
  CHECK(is_in_with(0));
}

TEST_CASE_METHOD(after_an_end, "membership: a cluster that has ended is begun anew at once",
                 "[membership]") {
  b.on_watching(now); // there is no record at all
  const auto next = renewed();
  REQUIRE(next);
  CHECK(addresses_in(next->members) == names{"b"});
}

TEST_CASE_METHOD(after_an_end, "membership: not while one of its members has a record",
                 "[membership]") {
  b.on_record(record_for("a"), now - 60'000 * member_ms);
  b.on_watching(now);
  const auto next = renewed();
  REQUIRE(next);
  CHECK(addresses_in(next->members) == names{"a", "b"});
}

TEST_CASE_METHOD(after_an_end, "membership: who started anew says that its process has ended",
                 "[membership]") {
  b.on_record(record_for("a", "2"), now);
  b.on_watching(now);
  const auto next = renewed();
  REQUIRE(next);
  CHECK(next->members == std::vector<view_member>{{"a", "2", false}, {"b", "1", false}});
}

TEST_CASE_METHOD(one_member, "membership: who leaves with all others proposes nothing",
                 "[membership]") {
  const bool b_leaves = GENERATE(true, false);
  pass(1000, {"a", "b"});
  REQUIRE(views.back() == names{"a", "b"});
  const auto before = views.size();
  auto a = record_for("a", "1", true), b = record_for("b", "1", b_leaves);
  a.epoch = b.epoch = members.view().epoch;
  for (int i = 0; i < 10; ++i, now += 100 * member_ms) {
    members.on_renewed(now, revision);
    members.on_record(a, now);
    members.on_record(b, now);
    settle();
  }
  // Where somebody stays the shards go there; else they stay, and so does the view.
  CHECK((views.size() == before) == b_leaves);
  members.on_gone("b", now);
  CHECK(members.has_gone("b"));
  settle();
  CHECK((views.size() == before) == b_leaves);
}

TEST_CASE("membership: members of another secret have not ended", "[membership]") {
  std::int64_t now = 1000 * member_ms;
  membership b{{"b", "1", false}, {}, "theirs"};
  auto a = record_for("a");
  a.secret_check = "ours";
  b.on_record(a, now); // before the view that names it
  REQUIRE(b.on_view({7, {{"a", "1", false}}, {}, {}}, 1, now));
  b.on_watching(now);
  for (int i = 0; i < 20; ++i, now += 100 * member_ms) {
    b.on_renewed(now, 1);
    auto own = record_for("b");
    own.secret_check = "theirs";
    b.on_record(own, now);
    b.on_record(a, now);
    CHECK_FALSE(b.proposal(now));
  }
  CHECK(b.is_stranger(now));
}

TEST_CASE("membership: who died before it took a view is soon taken out, by whoever is new as well",
          "[membership]") {
  std::int64_t now = 1000 * member_ms;
  std::uint64_t revision = 8;
  membership a{{"a", "2", false}};
  REQUIRE(a.on_view({7, {{"a", "2", false}, {"b", "1", false}}, {}, {}}, revision, now));
  const auto pass = [&](std::int64_t time_ms, bool with_c) {
    for (const auto end = now + time_ms * member_ms; now < end; now += 100 * member_ms) {
      a.on_renewed(now, revision);
      for (auto each : {record_for("a", "2"), record_for("b")}) {
        each.epoch = a.view().epoch;
        a.on_record(each, now);
      }
      if (with_c) a.on_record(record_for("c"), now);
      if (const auto next = a.proposal(now)) REQUIRE(a.on_view(*next, ++revision, now));
    }
  };
  pass(500, true);
  REQUIRE(addresses_in(a.view().members) == names{"a", "b", "c"});
  pass(1500, false);
  CHECK(addresses_in(a.view().members) == names{"a", "b"});
}

TEST_CASE_METHOD(one_member, "membership: the dead leave room for others", "[membership]") {
  pass(100, {"a"});
  for (std::size_t i = 0; i < max_heard_records + 20; ++i)
    members.on_record(record_for("dead" + std::to_string(i)), now - 60'000 * member_ms);
  pass(300, {"a", "b"});
  CHECK(views.back() == names{"a", "b"});
}

TEST_CASE_METHOD(one_member, "membership: joins at once, goes after a silence", "[membership]") {
  CHECK_FALSE(members.proposal(now)); // not connected
  pass(100, {"a"});
  CHECK(views == std::vector<names>{{"a"}});
  pass(300, {"c", "a"});
  pass(300, {"c", "b", "a"});
  CHECK(views.back() == names{"a", "b", "c"});
  CHECK(members.view().epoch == 3);
  CHECK(addresses_in(members.view().before) == names{"a", "c"});
  pass(2000, {"a", "b", "c"});
  const auto killed = now;
  pass(800, {"a", "b"});
  CHECK(views.back() == names{"a", "b", "c"});
  pass(200, {"a", "b"});
  CHECK(views.back() == names{"a", "b"});
  CHECK(members.silent_s("c", now) > 0.8);
  CHECK_FALSE(members.confirmed(now)); // what c was told before may still hold
  pass(400, {"a", "b"});
  CHECK_FALSE(members.confirmed(now));
  pass(400, {"a", "b"});
  CHECK(members.confirmed(now));
  CHECK(now - killed < 2'000 * member_ms);
}

TEST_CASE_METHOD(one_member, "membership: who leaves says so, and is gone soon", "[membership]") {
  const auto pass_with = [this](const std::optional<member_record>& b) {
    for (int i = 0; i < 3; ++i, now += 100 * member_ms) {
      members.on_renewed(now, revision);
      hear("a");
      if (b) {
        auto record = *b;
        record.epoch = members.view().epoch;
        members.on_record(record, now);
      }
      settle();
    }
  };
  pass(500, {"a", "b"});
  pass_with(record_for("b", "1", true));
  CHECK(views.back() == names{"a", "b-"});
  members.on_gone("b", now);
  pass_with({});
  CHECK(views.back() == names{"a"});
  // It starts anew.
  pass_with(record_for("b", "2"));
  CHECK(views.back() == names{"a", "b"});
  CHECK(members.is_in({"b", "2", false}));
  CHECK_FALSE(members.is_in({"b", "1", false}));
  const auto epoch = members.view().epoch;
  members.on_record(record_for("b", "3"), now); // killed and back before anybody noticed
  settle();
  CHECK(members.view().epoch == epoch + 1);
  CHECK(members.view().before == std::vector<view_member>{{"a", "1", false}, {"b", "2", false}});
}

TEST_CASE_METHOD(one_member, "membership: without the directory nobody is taken out",
                 "[membership]") {
  pass(2000, {"a", "b", "c"});
  now += 5000 * member_ms; // nothing is heard, nothing is renewed
  CHECK_FALSE(members.proposal(now));
  CHECK(members.is_away(now));
  CHECK(members.decides_until() < now);
  members.on_renewed(now, revision); // it is back: the others get time to be heard again
  CHECK_FALSE(members.proposal(now));
  pass(700, {"a"});
  CHECK(views.back() == names{"a", "b", "c"});
  pass(3500, {"a", "b"});
  CHECK(views.back() == names{"a", "b", "c"}); // its client may only try again later
  SECTION("in the end it is") {
    pass(2000, {"a", "b"});
    CHECK(views.back() == names{"a", "b"});
  }
  SECTION("or soon, if a link to it was lost") {
    members.on_link("c", false);
    pass(200, {"a", "b"});
    CHECK(views.back() == names{"a", "b"});
  }
}

TEST_CASE_METHOD(one_member, "membership: a minority takes nobody out for half a minute",
                 "[membership]") {
  pass(2000, {"a", "b", "c", "d", "e"});
  pass(20'000, {"a", "b"});
  CHECK(views.back() == names{"a", "b", "c", "d", "e"});
  pass(15'000, {"a", "b"});
  CHECK(views.back() == names{"a", "b"});
}

TEST_CASE_METHOD(one_member, "membership: records of nodes long dead are forgotten by the first",
                 "[membership]") {
  constexpr std::int64_t hour_ms = 3'600'000;
  pass(500, {"a", "b", "c"});
  auto dead = record_for("c");
  dead.epoch = members.view().epoch;
  members.on_record(dead, now, 7);
  pass(2000, {"a", "b"});
  REQUIRE(views.back() == names{"a", "b"});
  // Found in the directory at the start, of a node that nobody knows.
  members.on_record(record_for("old"), now - 1000 * member_ms, 3);
  CHECK_FALSE(members.stale(now));
  now += (hour_ms - 10'000) * member_ms;
  pass(500, {"a", "b"});
  CHECK_FALSE(members.stale(now));
  now += 10'000 * member_ms;
  pass(500, {"a", "b"});
  names forgotten;
  while (const auto what = members.stale(now)) {
    forgotten.push_back(what->address);
    CHECK(what->revision == (what->address == "c" ? 7 : 3));
    members.on_forgotten(*what);
    REQUIRE(forgotten.size() < 5);
  }
  std::ranges::sort(forgotten);
  CHECK(forgotten == names{"c", "old"});
  CHECK(views.back() == names{"a", "b"});
}

TEST_CASE("membership: whoever is not the first, or came back, forgets nobody", "[membership]") {
  constexpr std::int64_t later = 4'000'000 * member_ms;
  membership b{{"b", "1", false}};
  b.on_renewed(0, 0);
  b.on_record(record_for("dead"), 0, 7);
  b.on_view({1, {{"a", "1", false}, {"b", "1", false}}, {}, {}}, 2, 0);
  b.on_renewed(later, 2);
  CHECK_FALSE(b.stale(later)); // a does it

  membership a{{"a", "1", false}};
  a.on_renewed(0, 0);
  a.on_record(record_for("dead"), 0, 7);
  a.on_view({1, {{"a", "1", false}, {"b", "1", false}}, {}, {}}, 2, 0);
  a.on_renewed(later, 2);
  REQUIRE(a.stale(later));
  // What was stored since stays known.
  const auto asked = *a.stale(later);
  a.on_record(record_for("dead", "2"), later, 9);
  CHECK_FALSE(a.stale(later));
  a.on_forgotten(asked);
  CHECK(a.record_of("dead") != nullptr);
}

TEST_CASE_METHOD(one_member, "membership: half is enough, so the other one of two takes over",
                 "[membership]") {
  pass(3000, {"a", "b"});
  pass(2000, {"a"});
  CHECK(views.back() == names{"a"});
}

TEST_CASE_METHOD(one_member, "membership: consent of more than half lets a node go on",
                 "[membership]") {
  pass(2000, {"a", "b", "c", "d"});
  const auto epoch = members.view().epoch;
  now += 2000 * member_ms;
  members.on_peer_away("b", epoch, now);
  CHECK(members.decides_until() < now); // two of four
  members.on_peer_away("c", epoch - 1, now);
  members.on_peer_away("x", epoch, now);
  CHECK(members.decides_until() < now);
  members.on_peer_away("c", epoch, now - 100 * member_ms);
  CHECK(members.decides_until() == now + 600 * member_ms);
  members.on_peer_away("d", epoch, now);
  CHECK(members.decides_until() == now + 700 * member_ms);
}

// -- many nodes, a store, and faults --------------------------------------------------------------

namespace {

// Who waits for less than half of the members for long enough goes on without them, come what may;
// that is left out here.
membership_times patient() {
  membership_times out;
  out.desert_ns = 1'000'000'000 * member_ms;
  return out;
}

/// A cluster of processes with one store. Each message takes its time, the store may be out of
/// reach for some nodes, nodes stop and go on, links break.
class membership_world {
 public:
  explicit membership_world(std::uint64_t seed) : random(seed) {
    for (int i = 0; i < 5; ++i)
      nodes.emplace_back(std::make_unique<world_node>(std::string(1, static_cast<char>('a' + i))));
  }

  struct world_node {
    explicit world_node(std::string name)
        : address(std::move(name)), members({address, "1", false}, patient()) {}
    std::string address;
    membership members;
    bool reaches_store = true;
    bool stopped = false;
    std::int64_t renew_next = 0;
    int stored_renewals = 0;
    member_record stored;
    std::map<std::string, int> told;
  };
  struct event {
    std::int64_t at;
    std::function<void()> what;
  };

  void later(std::function<void()> what) {
    events.push_back({now + random.between(1, 150) * member_ms, std::move(what)});
  }

  void tick(world_node& node) {
    if (node.stopped) return;
    if (now >= node.renew_next) {
      node.renew_next = now + 250 * member_ms;
      const auto sent = now;
      if (node.reaches_store) later([this, &node, sent] { renew(node, sent); });
    }
    if (auto next = node.members.proposal(now))
      if (node.reaches_store) {
        const auto revision = node.members.revision();
        later([this, next = *next, revision] { propose(next, revision); });
      }
    if (node.members.is_away(now)) ask_peers(node);
  }
  void renew(world_node& node, std::int64_t sent) {
    ++node.stored_renewals;
    node.stored = record_for(node.address);
    node.stored.epoch = node.members.view().epoch;
    later([&node, sent, revision = stored_revision] { node.members.on_renewed(sent, revision); });
    for (auto& each : nodes)
      if (each->reaches_store) tell_record(*each, node);
  }
  void tell_record(world_node& to, world_node& of) {
    to.told[of.address] = of.stored_renewals;
    later([this, &to, record = of.stored] {
      if (!to.stopped) to.members.on_record(record, now);
    });
  }
  // What it missed is told when it is back.
  void reconnect(world_node& node) {
    tell_view(node);
    for (auto& each : nodes)
      if (node.told[each->address] != each->stored_renewals) tell_record(node, *each);
  }
  void propose(const cluster_view& next, std::uint64_t revision) {
    if (revision != stored_revision) return;
    stored = next;
    ++stored_revision;
    tell_view();
  }
  void tell_view() {
    for (auto& each : nodes)
      if (each->reaches_store) tell_view(*each);
  }
  void tell_view(world_node& to) {
    later([this, &to, view = stored, revision = stored_revision] {
      if (!to.stopped) to.members.on_view(view, revision, now);
    });
  }
  void ask_peers(world_node& node) {
    const auto sent = now;
    const auto epoch = node.members.view().epoch;
    for (auto& each : nodes) {
      if (each.get() == &node || cut.contains(std::minmax(node.address, each->address))) continue;
      later([this, &node, &each = *each, sent, epoch] {
        if (each.stopped || !each.members.is_away(now)) return;
        if (each.members.view().epoch != epoch) return;
        later(
            [&node, &each, sent, epoch] { node.members.on_peer_away(each.address, epoch, sent); });
      });
    }
  }

  void step() {
    now += 10 * member_ms;
    std::vector<event> due;
    std::erase_if(events, [&](auto& each) {
      if (each.at > now) return false;
      due.push_back(std::move(each));
      return true;
    });
    std::ranges::stable_sort(due, {}, &event::at);
    for (auto& each : due)
      each.what();
    for (auto& node : nodes)
      tick(*node);
  }

  void disturb() {
    auto& node = *nodes[static_cast<std::size_t>(random.between(0, 4))];
    auto& other = *nodes[static_cast<std::size_t>(random.between(0, 4))];
    switch (random.between(0, 7)) {
    case 0:
    case 1:
      node.reaches_store = !node.reaches_store;
      if (node.reaches_store) reconnect(node);
      break;
    case 2:
      for (auto& each : nodes) {
        each->reaches_store = !each->reaches_store;
        if (each->reaches_store) reconnect(*each);
      }
      break;
    case 3:
      node.stopped = !node.stopped;
      if (!node.stopped && node.reaches_store) reconnect(node);
      break;
    case 4:
      if (node.address != other.address) cut.insert(std::minmax(node.address, other.address));
      break;
    case 5:
      cut.clear();
      break;
    default:
      break;
    }
  }

  test_random random;
  std::vector<std::unique_ptr<world_node>> nodes;
  std::deque<event> events;
  std::set<std::pair<std::string, std::string>> cut;
  cluster_view stored;
  std::uint64_t stored_revision = 0;
  std::int64_t now = 1000 * member_ms;
};

} // namespace

// A node that is given a shard waits for who had it, as long as that lives (limiter_moves.cpp). So
// what must never be is that one decides by an old view while another, by a later one without it,
// believes that it can take over.
TEST_CASE("membership: nobody decides who was taken out, whatever breaks", "[membership]") {
  std::size_t taken_out = 0, decided_away = 0, views = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    membership_world world(seed);
    for (int i = 0; i < 300; ++i)
      world.step();
    REQUIRE(world.stored.members.size() == 5);
    for (int i = 0; i < 6000; ++i) {
      if (world.random.between(0, 150) == 0) world.disturb();
      world.step();
      for (auto& node : world.nodes) {
        const bool decides = !node->stopped && world.now < node->members.decides_until() &&
                             node->members.is_in({node->address, "1", false});
        const bool in =
            std::ranges::count(world.stored.members, node->address, &view_member::address) != 0;
        taken_out += !in;
        decided_away += decides && node->members.is_away(world.now);
        if (!decides || in) continue;
        for (auto& other : world.nodes) {
          if (other->stopped || world.now >= other->members.decides_until()) continue;
          if (!other->members.is_in({other->address, "1", false})) continue;
          if (other->members.view().epoch <= node->members.view().epoch) continue;
          if (other->members.is_in({node->address, "1", false})) continue;
          if (!other->members.confirmed(world.now)) continue;
          FAIL("seed " << seed << " step " << i << ": " << node->address << " and "
                       << other->address << " decide");
        }
      }
    }
    views += world.stored.epoch;
  }
  CHECK(taken_out > 0);
  CHECK(decided_away > 0);
  CHECK(views > 200);
}
