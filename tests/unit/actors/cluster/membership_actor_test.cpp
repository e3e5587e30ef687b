// The membership actor on virtual time; the directory's writer is the test's.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_actor.hpp"
#include "actors/directory/directory_messages.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <optional>
#include <string>
#include <vector>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t tick_ns = 50'000'000;

/// A node, and a directory that stores all at once and tells it.
struct membership_actor_world : actor_fixture {
  membership_actor_world() {
    writer = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const directory_request& request) { return carry_out(request); }};
    });
    links = system.spawn(
        [](caf::event_based_actor*) -> caf::behavior { return {[](const placement_changed&) {}}; });
    membership_parts parts;
    parts.self.address = "a";
    parts.self.incarnation = "1";
    parts.times.forget_ns = 60'000'000'000; // a minute, so that there are fewer ticks
    parts.steady_ns = [this] { return now_ns; };
    parts.decides_until_ns = std::make_shared<std::atomic<std::int64_t>>(0);
    parts.metrics = metrics;
    parts.board = board;
    actor = plain_actor(system.spawn(membership_actor, std::move(parts)));
    caf::anon_send(actor, membership_partners{stand_in(writer), stand_in(links)});
    run();
  }
  ~membership_actor_world() {
    for (const auto& each : {actor, writer, links})
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    run();
  }

  directory_done carry_out(const directory_request& request) {
    directory_done out;
    out.what = request.what;
    out.sent_ns = request.sent_ns;
    out.ok = true;
    switch (request.what) {
    case directory_request::kind::open:
      tell({.watching = true});
      break;
    case directory_request::kind::renew:
      out.revision = view_revision;
      tell({.member = request.self, .revision = ++revision});
      break;
    case directory_request::kind::propose:
      view_revision = ++revision;
      tell({.view = request.next, .revision = revision});
      break;
    case directory_request::kind::forget:
      forgotten.push_back(request.self.address);
      out.ok = reachable;
      out.revision = request.revision == stored_of_dead ? request.revision : 0;
      if (out.ok && out.revision != 0) tell({.member_gone = request.self.address});
      break;
    case directory_request::kind::leave:
      break;
    }
    return out;
  }
  void tell(directory_update update) { caf::anon_send(actor, std::move(update)); }
  void hear_of_dead(std::uint64_t of_revision) {
    member_record dead;
    dead.address = "dead";
    dead.incarnation = "9";
    stored_of_dead = of_revision;
    tell({.member = dead, .revision = of_revision});
    run();
  }
  void pass_time(std::chrono::seconds time) {
    for (std::int64_t left = std::chrono::nanoseconds{time}.count(); left > 0; left -= tick_ns) {
      now_ns += tick_ns;
      pass(50ms, 50ms);
    }
  }

  std::int64_t now_ns = 1'000'000'000;
  std::uint64_t revision = 10, view_revision = 0, stored_of_dead = 0;
  bool reachable = true;
  std::vector<std::string> forgotten;
  std::shared_ptr<membership_metrics> metrics = std::make_shared<membership_metrics>();
  std::shared_ptr<membership_status> board = std::make_shared<membership_status>();
  caf::actor writer, links, actor;
};

} // namespace

TEST_CASE_METHOD(membership_actor_world,
                 "membership actor: a dead node's record is taken out, once", "[membership]") {
  pass_time(1s);
  REQUIRE(board->get().members.size() == 1);
  CHECK(board->get().directory_up);
  hear_of_dead(5);
  pass_time(3s); // it joins, says nothing, and is taken out of the view
  REQUIRE(board->get().members.size() == 1);
  pass_time(50s);
  CHECK(forgotten.empty());
  reachable = false;
  pass_time(30s);
  REQUIRE(forgotten.size() > 1); // tried again
  CHECK(metrics->forgotten.value() == 0);
  reachable = true;
  pass_time(12s);
  CHECK(metrics->forgotten.value() == 1);
  CHECK(forgotten.back() == "dead");
  const auto tries = forgotten.size();
  pass_time(120s);
  CHECK(forgotten.size() == tries);
}

TEST_CASE_METHOD(membership_actor_world, "membership actor: what was renewed meanwhile stays",
                 "[membership]") {
  pass_time(1s);
  hear_of_dead(5);
  stored_of_dead = 6; // another is stored, and was not told yet
  pass_time(80s);
  CHECK_FALSE(forgotten.empty());
  CHECK(metrics->forgotten.value() == 0);
}

namespace {

constexpr std::int64_t real_ns = 1'790'000'000'000'000'000;

/// A node "b" that starts where "a" is a member, unless the view names "dead" alone.
struct joining_node : actor_fixture {
  joining_node() {
    writer = system.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const directory_request& request) {
        directory_done out;
        out.what = request.what;
        out.sent_ns = request.sent_ns;
        out.ok = true;
        if (request.what == directory_request::kind::renew) renewals.push_back(request.self);
        return out;
      }};
    });
    links = system.spawn(
        [](caf::event_based_actor*) -> caf::behavior { return {[](const placement_changed&) {}}; });
    membership_parts parts;
    parts.self.address = "b";
    parts.self.incarnation = "1";
    parts.self.secret_check = "ours";
    parts.steady_ns = [this] { return now_ns; };
    parts.system_ns = [this] { return real_ns + now_ns + off_ns; };
    parts.settled_epoch = [this] { return settled_epoch; };
    parts.decides_until_ns = std::make_shared<std::atomic<std::int64_t>>(0);
    parts.time = time;
    parts.standing = &standing;
    parts.metrics = std::make_shared<membership_metrics>();
    parts.board = std::make_shared<membership_status>();
    actor = plain_actor(system.spawn(membership_actor, std::move(parts)));
    caf::anon_send(actor, membership_partners{stand_in(writer), stand_in(links)});
    run();
  }
  ~joining_node() {
    for (const auto& each : {actor, writer, links})
      caf::anon_send_exit(each, caf::exit_reason::user_shutdown);
    run();
  }

  void tell(directory_update update) {
    caf::anon_send(actor, std::move(update));
    run();
  }
  /// It has opened the directory, and is told what is there from now on.
  void watch() {
    pass_ms(100);
    tell({.watching = true});
  }
  void view(std::vector<view_member> members) {
    cluster_view next{++epoch, std::move(members), {}, {}};
    tell({.view = next, .revision = ++revision});
  }
  /// A record of "a", whose clock and time are `real_ns` and what has passed.
  void hear(const std::string& secret_check = "ours") {
    member_record record;
    record.address = "a";
    record.incarnation = "1";
    record.secret_check = secret_check;
    record.epoch = epoch;
    record.clocks = {real_ns + now_ns, real_ns + now_ns};
    tell({.member = record, .revision = ++revision});
  }
  void pass_ms(std::int64_t time_ms) {
    for (; time_ms > 0; time_ms -= 50) {
      now_ns += tick_ns;
      pass(50ms, 50ms);
    }
  }
  /// What the actor said that it is, at its next tick.
  cluster_standing stands() {
    pass_ms(50);
    return standing.load();
  }

  std::int64_t now_ns = 5'000'000'000, off_ns = 0;
  std::uint64_t revision = 10, epoch = 1, settled_epoch = 0;
  std::vector<member_record> renewals;
  std::atomic<cluster_standing> standing{cluster_standing::in};
  std::shared_ptr<cluster_time> time = std::make_shared<cluster_time>();
  caf::actor writer, links, actor;
};

} // namespace

TEST_CASE_METHOD(joining_node, "membership actor: who joins waits for the members' time",
                 "[membership]") {
  off_ns = 300'000'000'000;
  pass_ms(500);
  CHECK(stands() == cluster_standing::no_directory);
  CHECK(renewals.empty());
  watch();
  view({{"a", "1", false}});
  pass_ms(500);
  CHECK(renewals.empty()); // "a" was not heard yet
  CHECK(time->settings.load() == 0);
  hear();
  pass_ms(100);
  REQUIRE(renewals.size() == 1);
  // It goes by a's time, and tells its own clock beside it.
  CHECK(renewals[0].clocks.system_ns - renewals[0].clocks.cluster_ns == off_ns);
  CHECK(time->settings.load() > 0);
  CHECK(time->base_ns.load() == real_ns);
  CHECK(stands() == cluster_standing::not_let_in);
}

TEST_CASE_METHOD(joining_node,
                 "membership actor: another process at a member's address tells no time of members",
                 "[membership]") {
  // All have ended, and "a" begins anew as this node does.
  off_ns = 300'000'000'000;
  watch();
  view({{"a", "0", false}});
  hear();
  pass_ms(500);
  CHECK(renewals.empty());
  CHECK(time->settings.load() == 0);
  view({{"a", "1", false}});
  hear();
  pass_ms(100);
  REQUIRE(renewals.size() == 1);
  CHECK(time->base_ns.load() == real_ns);
}

TEST_CASE_METHOD(joining_node, "membership actor: members that may all be dead are not waited for",
                 "[membership]") {
  watch();
  view({{"a", "1", false}});
  pass_ms(time_patience_ns / 1'000'000 - 50);
  CHECK(renewals.empty());
  pass_ms(100);
  REQUIRE(renewals.size() == 1);
  CHECK(renewals[0].clocks.cluster_ns == renewals[0].clocks.system_ns);
}

TEST_CASE_METHOD(joining_node, "membership actor: where there is no view nobody is waited for",
                 "[membership]") {
  watch();
  pass_ms(50);
  CHECK(renewals.size() == 1);
}

TEST_CASE_METHOD(joining_node, "membership actor: a clock that is set wrong keeps its node out",
                 "[membership]") {
  off_ns = GENERATE(-1, 1) * (max_clock_difference_ns + 1'000'000'000);
  watch();
  view({{"a", "1", false}});
  for (int i = 0; i < 10; ++i) {
    hear();
    pass_ms(250);
  }
  CHECK(renewals.empty());
  CHECK(time->settings.load() == 0); // nothing was decided by that time
  CHECK(stands() == cluster_standing::other_clock);
  off_ns = 0;
  hear();
  pass_ms(250);
  CHECK(renewals.size() == 1);
  CHECK(stands() == cluster_standing::not_let_in);
}

TEST_CASE_METHOD(joining_node, "membership actor: ready once it has had its shards",
                 "[membership]") {
  watch();
  view({{"a", "1", false}});
  hear();
  pass_ms(100);
  view({{"a", "1", false}, {"b", "1", false}});
  hear();
  CHECK(stands() == cluster_standing::without_shards);
  const auto before = renewals.size();
  settled_epoch = epoch;
  pass_ms(100);
  // The others may wait for it, so it is told before the next renewal is due.
  REQUIRE(renewals.size() > before);
  CHECK(renewals.back().settled_epoch == epoch);
  CHECK(stands() == cluster_standing::in);
  view({{"a", "1", false}, {"b", "1", false}, {"c", "1", false}});
  CHECK(stands() == cluster_standing::in); // it stays ready while shards move
}

TEST_CASE_METHOD(joining_node, "membership actor: another secret is what keeps it out",
                 "[membership]") {
  watch();
  view({{"a", "1", false}});
  hear("theirs");
  CHECK(stands() == cluster_standing::other_secret);
}

TEST_CASE_METHOD(joining_node, "membership actor: a full cluster is what keeps it out",
                 "[membership]") {
  watch();
  std::vector<view_member> all;
  for (std::size_t i = 0; i < max_members; ++i)
    all.push_back({"m" + std::to_string(1000 + i), "1", false});
  view(std::move(all));
  CHECK(stands() == cluster_standing::full);
}
