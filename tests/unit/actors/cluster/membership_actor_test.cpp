// The membership actor on virtual time; the directory's writer is the test's.
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
