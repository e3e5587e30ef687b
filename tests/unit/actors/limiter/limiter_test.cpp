#include "actors/base/lifecycle_messages.hpp"
#include "actors/limiter/limiter.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/random.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t one_second_ns = 1'000'000'000;

constexpr const char* the_plan = "p";

plan hundred_a_minute() {
  return {the_plan,
          {{.name = "minute",
            .kind = algorithm::fixed_window,
            .amount = 100,
            .window_ns = 60 * one_second_ns}}};
}

plan_list only(plan rules) {
  return std::make_shared<const std::vector<plan>>(1, std::move(rules));
}

admit_item item(std::uint64_t client, std::uint32_t events) {
  return {.client = client, .plan = plan_id(the_plan), .events = events};
}

class limiter_fixture : public actor_fixture {
 public:
  caf::actor spawn_limiter(plan rules, std::uint64_t max_clients = 10'000,
                           caf::actor counters = nullptr) {
    ledger = std::make_shared<limit_ledger>(only(std::move(rules)), max_clients, labels);
    return plain_actor(system.spawn(
        limiter, limiter_parts{ledger, [now = now] { return *now; }, metrics, stand_in(counters)}));
  }

  // Lets the limits' time and the timers' time pass together.
  void pass_both(std::chrono::milliseconds time) {
    *now += std::chrono::nanoseconds(time).count();
    pass(time, sweep_interval);
  }

  struct unit_request {
    std::uint64_t client;
    std::uint32_t events;
  };
  std::vector<verdict> ask(const caf::actor& who, const std::vector<unit_request>& unit_requests) {
    std::vector<admit_item> items;
    for (const unit_request& each : unit_requests)
      items.push_back(item(each.client, each.events));
    return ask(who, std::move(items), {});
  }
  std::vector<verdict> ask(const caf::actor& who, std::vector<admit_item> items,
                           std::vector<std::uint32_t> sizes) {
    const std::uint64_t token = ++token_;
    self->send(who, admit_request{token, std::move(items), std::move(sizes)});
    run();
    admit_reply reply;
    REQUIRE(take(self, reply));
    REQUIRE(reply.token == token);
    return reply.verdicts;
  }

  std::shared_ptr<std::int64_t> now = std::make_shared<std::int64_t>(1'700'000'000 * one_second_ns);
  std::shared_ptr<limit_labels> labels = std::make_shared<limit_labels>();
  std::shared_ptr<limit_ledger> ledger; // of the limiter that was spawned last
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
        for (admit_item& each : request.items)
          each = item(static_cast<std::uint64_t>(random.between(1, 2)),
                      static_cast<std::uint32_t>(random.between(1, 3)));
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
  const std::vector<verdict> answer =
      ask(deciding, std::vector<unit_request>{{7, 60}, {8, 1}, {7, 60}, {7, 1}});
  REQUIRE(answer.size() == 4);
  const std::uint16_t rules = plan_digest(hundred_a_minute());
  CHECK(answer[0] ==
        verdict{.granted = 60, .remaining = 40, .reset_s = 60, .limit = 0, .plan_digest = rules});
  CHECK(answer[1] ==
        verdict{.granted = 1, .remaining = 99, .reset_s = 60, .limit = 0, .plan_digest = rules});
  CHECK(answer[2] ==
        verdict{.granted = 40, .remaining = 0, .reset_s = 60, .limit = 0, .plan_digest = rules});
  CHECK(answer[3] ==
        verdict{.remaining = 0, .reset_s = 60, .limit = 0, .reason = 1, .plan_digest = rules});
  CHECK(metrics->requests_admitted.value() == 3);
  CHECK(metrics->units_granted.value() == 101);
  CHECK(metrics->refused_by_limit[0].value() == 1);
  CHECK(metrics->refused_by_reason[1].value() == 1);
  CHECK(ask(deciding, std::vector<unit_request>{}).empty());
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "idle clients are forgotten as time passes", "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute());
  std::vector<unit_request> unit_requests(5000);
  for (std::uint64_t i = 0; i < unit_requests.size(); ++i)
    unit_requests[i] = {i, 1};
  ask(deciding, unit_requests);
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
  CHECK(ask(deciding, std::vector<unit_request>{{3, 1}})[0].remaining == 99);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "a changed plan keeps what was spent", "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute());
  ask(deciding, std::vector<unit_request>{{1, 70}});
  plan changed = hundred_a_minute();
  changed.limits[0].amount = 90;
  changed.limits.insert(changed.limits.begin(),
                        {.name = "day", .kind = algorithm::calendar, .amount = 1000});
  self->send(deciding, plans_changed{only(changed)});
  const std::vector<verdict> answer = ask(deciding, std::vector<unit_request>{{1, 50}, {2, 200}});
  CHECK(answer[0] == verdict{.granted = 20,
                             .remaining = 0,
                             .reset_s = 60,
                             .limit = 1,
                             .plan_digest = plan_digest(changed)});
  CHECK(answer[1].granted == 90);
  // Without limits everything passes, and nothing is remembered.
  self->send(deciding, plans_changed{only({the_plan, {}})});
  CHECK(ask(deciding, std::vector<unit_request>{{1, 500}})[0].granted == 500);
  CHECK(ask(deciding, std::vector<unit_request>{{1, 500}})[0].limit == verdict::no_limit);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "a full table refuses new clients and serves the old",
                 "[limiter]") {
  const caf::actor deciding = spawn_limiter(hundred_a_minute(), 2);
  const std::vector<verdict> answer =
      ask(deciding, std::vector<unit_request>{{1, 1}, {2, 1}, {3, 1}, {1, 1}});
  CHECK(answer[1].granted == 1);
  CHECK(answer[2].granted == 0);
  CHECK(answer[2].reason == static_cast<std::uint8_t>(refusal::table_full));
  CHECK(answer[2].limit == verdict::no_limit);
  CHECK(answer[3].granted == 1);
  CHECK(metrics->refused_by_reason[2].value() == 1);
  // Room again once the others are idle.
  pass_both(61s);
  CHECK(ask(deciding, std::vector<unit_request>{{3, 1}})[0].granted == 1);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "the sizes of a batch's events go with their item", "[limiter]") {
  plan rules = hundred_a_minute();
  rules.limits.push_back({.name = "bytes",
                          .kind = algorithm::fixed_window,
                          .amount = 1000,
                          .window_ns = 60 * one_second_ns,
                          .cost = limit_cost::byte});
  const caf::actor deciding = spawn_limiter(rules);
  const auto sized = [](std::uint64_t client, std::uint32_t events, std::uint32_t bytes) {
    admit_item made = item(client, events);
    made.bytes = bytes;
    return made;
  };
  // Single events, and those whose bytes nobody counts, have no sizes.
  const auto answer =
      ask(deciding, {sized(1, 1, 700), sized(2, 3, 1200), sized(3, 4, 0), sized(1, 2, 400)},
          {600, 300, 300, 300, 100});
  CHECK(answer[0].granted == 1);
  CHECK(answer[1].granted == 2);
  CHECK(answer[2].granted == 4);
  CHECK(answer[3].granted == 1); // 700 and 300
  // A peer that sends none has its batches decided as a whole.
  const auto whole = ask(deciding, {sized(4, 2, 1000), sized(5, 2, 1001)}, {});
  CHECK(whole[0].granted == 2);
  CHECK(whole[1].granted == 0);
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "limits are told, and shadows counted", "[limiter]") {
  plan rules = hundred_a_minute();
  rules.limits.push_back({.name = "new",
                          .kind = algorithm::fixed_window,
                          .amount = 1,
                          .window_ns = 60 * one_second_ns,
                          .shadow = true});
  const caf::actor deciding = spawn_limiter(rules);
  CHECK(ask(deciding, std::vector<unit_request>{{1, 3}, {1, 1}, {2, 1}})[1].granted == 1);
  CHECK(metrics->shadowed_by_limit[labels->slot_of(the_plan, "new")].value() == 2);
  CHECK(metrics->refused_by_limit[labels->slot_of(the_plan, "new")].value() == 0);
  self->send(deciding, limits_query{5, 1, 0, plan_id(the_plan), 0});
  run();
  limits_reply reply;
  REQUIRE(take(self, reply));
  CHECK(reply.token == 5);
  CHECK(reply.plan_known);
  const std::int64_t resets = (*now + 60 * one_second_ns) / 1'000'000;
  CHECK(reply.limits ==
        std::vector<limit_status>{{"minute", 4, 96, resets}, {"new", 1, 0, resets}});
  self->send(deciding, drain{});
}

TEST_CASE_METHOD(limiter_fixture, "what survives is handed over, one hand-over at a time",
                 "[limiter]") {
  const caf::actor store = caf::actor_cast<caf::actor>(self);
  const caf::actor deciding = spawn_limiter(hundred_a_minute(), 10'000, store);
  pass_both(save_interval);
  counters_changed update;
  CHECK_FALSE(take(self, update)); // nothing changed
  ask(deciding, std::vector<unit_request>{{1, 3}, {2, 4}});
  pass_both(save_interval);
  REQUIRE(take(self, update));
  REQUIRE(update.rows->size() == 2);
  CHECK(update.rows->at(0).used + update.rows->at(1).used == 7);
  // Not another before that one is durable, however long it takes.
  ask(deciding, std::vector<unit_request>{{1, 1}});
  pass_both(10 * save_interval);
  CHECK_FALSE(take(self, update));
  self->send(deciding, counters_saved{});
  CHECK(metrics->rows_saved.value() == 0);
  pass_both(save_interval);
  CHECK(metrics->rows_saved.value() == 2);
  REQUIRE(take(self, update));
  REQUIRE(update.rows->size() == 1);
  CHECK(update.rows->at(0).client == 1);
  CHECK(update.rows->at(0).used == 4);
  // A drain saves the rest, and only then is it done.
  ask(deciding, std::vector<unit_request>{{3, 1}});
  self->monitor(deciding);
  self->send(deciding, drain{});
  run();
  caf::down_msg down;
  drained done;
  CHECK_FALSE(take(self, down));
  self->send(deciding, counters_saved{});
  run();
  REQUIRE(take(self, update));
  CHECK(update.rows->at(0).client == 3);
  CHECK_FALSE(take(self, done));
  self->send(deciding, counters_saved{});
  run();
  CHECK(take(self, done));
  CHECK(take(self, down));
}

TEST_CASE_METHOD(limiter_fixture,
                 "what comes during a drain ends neither the limiter nor who sent it",
                 "[limiter]") {
  const caf::actor store = caf::actor_cast<caf::actor>(self);
  const caf::actor deciding = spawn_limiter(hundred_a_minute(), 10'000, store);
  ask(deciding, std::vector<unit_request>{{1, 3}});
  self->send(deciding, drain{});
  run();
  counters_changed update;
  REQUIRE(take(self, update));
  // The disk is slow: meanwhile its own timers ring, and others ask.
  pass_both(10 * save_interval);
  self->send(deciding, admit_request{1, {item(2, 1)}, {}});
  self->send(deciding, limits_query{5, 1, 0, plan_id(the_plan), 0});
  run();
  caf::error unasked;
  CHECK_FALSE(take(self, unasked));
  self->send(deciding, counters_saved{});
  run();
  drained done;
  CHECK(take(self, done));
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
