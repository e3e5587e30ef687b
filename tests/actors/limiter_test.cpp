#include "actors/limiter.hpp"
#include "tests/actors/fixture.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t second = 1'000'000'000;

std::shared_ptr<const plan> hundred_a_minute() {
  return std::make_shared<const plan>(plan{"hundred",
                                           {{.name = "minute",
                                             .kind = algorithm::fixed_window,
                                             .amount = 100,
                                             .window_ns = 60 * second}}});
}

class limiter_fixture : public actor_fixture {
 public:
  caf::actor spawn_limiter(std::shared_ptr<const plan> rules, std::uint64_t max_clients = 10'000) {
    return system.spawn(
        limiter, std::move(rules), limiter_settings{max_clients}, [now = now] { return *now; },
        metrics);
  }

  // Lets the limits' time and the timers' time pass together.
  void pass_both(std::chrono::milliseconds time) {
    *now += std::chrono::nanoseconds(time).count();
    pass(time, sweep_interval);
  }

  std::vector<verdict> ask(const caf::actor& who, std::vector<admit_item> items) {
    const std::uint64_t token = ++token_;
    self->send(who, admit_request{token, std::move(items)});
    run();
    admit_reply reply;
    REQUIRE(take(self, reply));
    REQUIRE(reply.token == token);
    return reply.verdicts;
  }

  std::shared_ptr<std::int64_t> now = std::make_shared<std::int64_t>(1'700'000'000 * second);
  std::shared_ptr<limiter_metrics> metrics = std::make_shared<limiter_metrics>();

 private:
  std::uint64_t token_ = 0;
};

// Stands for a front end: sends its requests one after the other, each as the reply to the last
// comes in, and adds up what was granted to each client.
struct asker_state {
  std::vector<admit_request> left;
  std::map<std::uint64_t, std::uint32_t> granted;
  std::vector<admit_item> asked;
};
using grants = std::shared_ptr<std::map<std::uint64_t, std::uint32_t>>;

caf::behavior asker(caf::stateful_actor<asker_state>* self, caf::actor limiter_actor,
                    std::vector<admit_request> requests, grants total) {
  self->state.left = std::move(requests);
  const auto next = [self, limiter_actor] {
    if (self->state.left.empty()) return self->quit();
    self->state.asked = self->state.left.back().items;
    self->send(limiter_actor, std::move(self->state.left.back()));
    self->state.left.pop_back();
  };
  next();
  return {[self, next, total](const admit_reply& reply) {
    for (std::size_t i = 0; i < reply.verdicts.size(); ++i)
      (*total)[self->state.asked[i].client] += reply.verdicts[i].granted;
    next();
  }};
}

} // namespace

TEST_CASE_METHOD(limiter_fixture, "three front ends together get exactly 100 of 100", "[limiter]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    test_random random(seed);
    const caf::actor deciding = spawn_limiter(hundred_a_minute());
    const grants total = std::make_shared<std::map<std::uint64_t, std::uint32_t>>();
    std::vector<caf::actor> askers;
    for (int front_end = 0; front_end < 3; ++front_end) {
      std::vector<admit_request> requests(static_cast<std::size_t>(random.between(20, 40)));
      for (admit_request& request : requests) {
        request.items.resize(static_cast<std::size_t>(random.between(4, 10)));
        for (admit_item& item : request.items)
          item = {static_cast<std::uint64_t>(random.between(1, 2)),
                  static_cast<std::uint32_t>(random.between(1, 3))};
      }
      askers.push_back(system.spawn(asker, deciding, std::move(requests), total));
    }
    // Handle the waiting actors in any order.
    while (scheduler.has_job()) {
      std::rotate(scheduler.jobs.begin(),
                  scheduler.jobs.begin() +
                      random.between(0, static_cast<std::int64_t>(scheduler.jobs.size()) - 1),
                  scheduler.jobs.end());
      scheduler.run_once();
    }
    CHECK(total->at(1) == 100);
    CHECK(total->at(2) == 100);
    self->send(deciding, drain{});
    run();
  }
}

TEST_CASE_METHOD(limiter_fixture, "a reply has a verdict for each item, in order", "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute());
  const std::vector<verdict> answer = ask(deciding, {{7, 60}, {8, 1}, {7, 60}, {7, 1}});
  REQUIRE(answer.size() == 4);
  CHECK(answer[0] == verdict{.granted = 60, .remaining = 40, .reset_s = 60, .limit = 0});
  CHECK(answer[1] == verdict{.granted = 1, .remaining = 99, .reset_s = 60, .limit = 0});
  CHECK(answer[2] == verdict{.granted = 40, .remaining = 0, .reset_s = 60, .limit = 0});
  CHECK(answer[3] == verdict{.remaining = 0, .reset_s = 60, .limit = 0, .reason = 1});
  CHECK(metrics->requests_admitted.value() == 3);
  CHECK(metrics->units_granted.value() == 101);
  CHECK(metrics->refused_by_limit[0].value() == 1);
  CHECK(metrics->refused_by_reason[1].value() == 1);
  CHECK(ask(deciding, {}).empty());
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "idle clients are forgotten as time passes", "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute());
  std::vector<admit_item> items(5000);
  for (std::uint64_t i = 0; i < items.size(); ++i)
    items[i] = {i, 1};
  ask(deciding, items);
  pass_both(sweep_interval);
  CHECK(metrics->live_clients.value() == 5000);
  CHECK(metrics->table_bytes.value() > 5000 * 16);
  pass_both(59s);
  CHECK(metrics->live_clients.value() == 5000);
  CHECK(metrics->clients_forgotten.value() == 0);
  // The window is over; 5000 clients take three ticks.
  pass_both(1s);
  CHECK(metrics->live_clients.value() == 0);
  CHECK(metrics->clients_forgotten.value() == 5000);
  CHECK(ask(deciding, {{3, 1}})[0].remaining == 99);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "a changed plan keeps what was spent", "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute());
  ask(deciding, {{1, 70}});
  plan changed = *hundred_a_minute();
  changed.limits[0].amount = 90;
  changed.limits.insert(changed.limits.begin(),
                        {.name = "day", .kind = algorithm::calendar, .amount = 1000});
  self->send(deciding, plan_changed{std::make_shared<const plan>(changed)});
  const std::vector<verdict> answer = ask(deciding, {{1, 50}, {2, 200}});
  CHECK(answer[0] == verdict{.granted = 20, .remaining = 0, .reset_s = 60, .limit = 1});
  CHECK(answer[1].granted == 90);
  // Without limits everything passes, and nothing is remembered.
  self->send(deciding, plan_changed{std::make_shared<const plan>()});
  CHECK(ask(deciding, {{1, 500}})[0].granted == 500);
  CHECK(ask(deciding, {{1, 500}})[0].limit == verdict::no_limit);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "a full table refuses new clients and serves the old",
                 "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute(), 2);
  const std::vector<verdict> answer = ask(deciding, {{1, 1}, {2, 1}, {3, 1}, {1, 1}});
  CHECK(answer[1].granted == 1);
  CHECK(answer[2].granted == 0);
  CHECK(answer[2].reason == static_cast<std::uint8_t>(refusal::table_full));
  CHECK(answer[2].limit == verdict::no_limit);
  CHECK(answer[3].granted == 1);
  CHECK(metrics->refused_by_reason[2].value() == 1);
  // Room again once the others are idle.
  pass_both(61s);
  CHECK(ask(deciding, {{3, 1}})[0].granted == 1);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "drain ends a limiter", "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute());
  self->monitor(deciding);
  self->send(deciding, drain{});
  run();
  caf::down_msg down;
  REQUIRE(take(self, down));
  CHECK(down.source == deciding.address());
}
