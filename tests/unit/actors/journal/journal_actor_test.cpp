// How batches become groups, and groups become durable or fail.
#include "actors/base/lifecycle_messages.hpp"
#include "tests/unit/actors/journal/journal_world.hpp"

#include <caf/scheduler/test_coordinator.hpp>

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

TEST_CASE_METHOD(journal_world, "what waits in the mailbox is one commit, told once a front end",
                 "[journal]") {
  start();
  const tokens of_a{post(front_a, "s", 2), post(front_a, "s", 3)};
  const tokens of_b{post(front_b, "t", 4)};
  const auto last_of_a = post(front_a, "t", 1);
  run();
  const auto a = told(front_a), b = told(front_b);
  CHECK(a.ok);
  CHECK(a.tokens == tokens{of_a[0], of_a[1], last_of_a});
  CHECK(b.ok);
  CHECK(b.tokens == of_b);
  CHECK(durable("s") == range(1, 5));
  CHECK(durable("t") == range(6, 10));

  CHECK(metrics->messages.value() == 4);
  CHECK(metrics->commits.value() == 1);
  CHECK(metrics->events.value() == 10);
  CHECK(metrics->appended_bytes.value() == 9 * 7 + 8); // "event 1" to "event 10"
  CHECK(metrics->group_size.sum() == 10);
  CHECK(metrics->durable_seq.value() == 10);
  CHECK(metrics->bytes.value() == static_cast<std::int64_t>(store->bytes()));
  CHECK(metrics->queued_batches.value() == 0);

  post(front_a, "s");
  run();
  CHECK(metrics->commits.value() == 2);
}

TEST_CASE_METHOD(journal_world, "nobody is told before the commit", "[journal]") {
  start();
  post(front_a, "s");
  post(front_b, "s");
  scheduler.run_once(); // each step is one message
  scheduler.run_once();
  CHECK(metrics->queued_batches.value() == 2);
  CHECK(told(front_a).tokens.empty());
  CHECK(durable("s").empty());
  scheduler.run_once(); // the reminder that the first batch was followed by
  CHECK(told(front_a).tokens == tokens{1});
  CHECK(told(front_b).tokens == tokens{2});
  CHECK(durable("s") == range(1, 2));
  CHECK(scheduler.run() == 0); // one reminder a group
}

TEST_CASE_METHOD(journal_world, "a batch that overtook another waits for its turn", "[journal]") {
  start();
  const auto first = batch(front_a, {{"s", 2}});
  const auto second = batch(front_b, {{"t", 1}, {"s", 2}});
  const auto third = batch(front_a, {{"s", 1}});
  const auto fourth = batch(front_b, {{"s", 3}});
  const auto fifth = batch(front_a, {{"s", 1}});
  for (const auto& early : {fifth, third, second})
    send(early);
  run();
  pass(1s, 100ms);
  CHECK(told(front_a).tokens.empty());
  CHECK(told(front_b).tokens.empty());
  CHECK(store->rows.empty());
  CHECK(metrics->commits.value() == 0);

  send(first); // brings the second and the third with it, not the fifth
  run();
  CHECK(told(front_a).tokens == tokens{1, 6});
  CHECK(told(front_b).tokens == tokens{3});
  CHECK(store->rows == rows{{"s", 1, 2}, {"t", 3, 1}, {"s", 4, 3}});
  CHECK(metrics->queued_batches.value() == 1);

  send(fourth);
  run();
  CHECK(told(front_b).tokens == tokens{7});
  CHECK(told(front_a).tokens == tokens{10});
  CHECK(durable("s") == std::vector<std::uint64_t>{1, 2, 4, 5, 6, 7, 8, 9, 10});
  CHECK(metrics->queued_batches.value() == 0);
}

TEST_CASE_METHOD(journal_world, "a restart goes on with the tickets that the journal gives",
                 "[journal]") {
  start();
  post(front_a, "s", 5);
  run();
  CHECK(told(front_a).ok);
  restart();
  CHECK(metrics->durable_seq.value() == 5);
  CHECK(metrics->bytes.value() > 0);
  const auto first = store->next_seq();
  CHECK(first > 5);
  post(front_a, "s", 2);
  run();
  CHECK(told(front_a).tokens == tokens{first});
  CHECK(durable("s").size() == 7);
  CHECK(store->rows == rows{{"s", first, 2}});
}

TEST_CASE_METHOD(journal_world, "what nobody waits for is committed after received_delay",
                 "[journal]") {
  start();
  const auto first = post(front_a, "s", 1, false);
  run();
  pass(6ms, 1ms);
  const auto second = post(front_b, "s", 1, false);
  run();
  pass(3ms, 1ms);
  CHECK(store->rows.empty());
  CHECK(told(front_a).tokens.empty());
  CHECK(scheduler.clock().schedule().size() == 2); // one timer a group, and the place's
  pass(1ms, 1ms);
  CHECK(told(front_a).tokens == tokens{first});
  CHECK(told(front_b).tokens == tokens{second});
  CHECK(metrics->commits.value() == 1);
}

TEST_CASE_METHOD(journal_world, "an urgent batch takes those that can wait along", "[journal]") {
  start();
  const auto patient = post(front_a, "s", 1, false);
  run();
  pass(5ms, 1ms);
  const auto urgent = post(front_b, "s");
  run();
  CHECK(told(front_a).tokens == tokens{patient});
  CHECK(told(front_b).tokens == tokens{urgent});

  // Those that come after that commit have a reminder of their own.
  for (int i = 0; i < 3; ++i) {
    const auto next = post(front_a, "s", 1, false);
    run();
    CHECK(told(front_a).tokens.empty());
    pass(settings.received_delay_ms, 1ms);
    CHECK(told(front_a).tokens == tokens{next});
  }
}

TEST_CASE_METHOD(journal_world, "a group that is large enough is committed at once", "[journal]") {
  start();
  SECTION("by events") {
    const auto per_batch = max_group_events / 4;
    for (int i = 0; i < 3; ++i)
      post(front_a, "s", per_batch, false);
    post(front_a, "s", per_batch - 1, false);
    run();
    CHECK(told(front_a).tokens.empty());
    post(front_a, "s", 1, false);
    run();
    CHECK(told(front_a).tokens.size() == 5);
    CHECK(metrics->group_size.sum() == max_group_events);
  }
  SECTION("by bytes") {
    send(batch(front_a, {{"s", 1, max_group_bytes / 2}, {"s", 1, max_group_bytes / 2 - 7}}, false));
    run();
    CHECK(told(front_a).tokens.empty());
    send(batch(front_a, {{"s", 1}}, false)); // "event 3"
    run();
    CHECK(told(front_a).tokens.size() == 2);
  }
  CHECK(metrics->commits.value() == 1);
  CHECK(metrics->queued_batches.value() == 0);
  // The next one starts from nothing.
  post(front_b, "s", 1, false);
  run();
  CHECK(told(front_b).tokens.empty());
  pass(settings.received_delay_ms, 1ms);
  CHECK(told(front_b).tokens.size() == 1);
}

TEST_CASE_METHOD(journal_world, "a segment that has its size is sealed after a commit",
                 "[journal]") {
  options.segment_max_bytes = 128 << 10;
  start();
  for (int i = 0; i < 8; ++i) {
    send(batch(front_a, {{"s", 10, 4000}}));
    run();
  }
  const auto segments = store->catalog()->list();
  CHECK(segments.size() > 2);
  CHECK(segments.front().sealed);
  CHECK(durable("s") == range(1, 80));
}

TEST_CASE_METHOD(journal_world, "a drain commits what is staged, closes and quits", "[journal]") {
  start();
  self->monitor(actor);
  const auto token = post(front_a, "s", 3, false);
  auto pending = self->request(actor, caf::infinite, drain{});
  run();
  bool answered = false;
  pending.receive([&](drained) { answered = true; }, [](const caf::error&) {});
  CHECK(answered);
  CHECK(told(front_a).tokens == tokens{token});
  caf::down_msg down;
  CHECK(take(self, down));
  CHECK(down.source == actor.address());
  actor = nullptr;
  auto log = open_journal(options); // its lock is free
  CHECK(numbers(read_all(*log, "s")) == range(1, 3));
}

// -- failures -------------------------------------------------------------------------------------

TEST_CASE_METHOD(journal_world, "a group fails as a whole", "[journal]") {
  start();
  post(front_a, "s", 2); // 1, 2: durable before
  run();
  CHECK(told(front_a).ok);

  store->rows.clear();
  rows wanted;
  SECTION("when a row in the middle of a batch can't be written") {
    store->fail_append = errc::io;
    store->fail_after_rows = 1;
    wanted = {{"s", 3, 1}};
  }
  SECTION("when its last row can't be written") {
    store->fail_append = errc::io;
    store->fail_after_rows = 2;
    wanted = {{"s", 3, 1}, {"t", 4, 2}};
  }
  SECTION("when the commit fails") {
    store->fail_commit = errc::io;
    wanted = {{"s", 3, 1}, {"t", 4, 2}, {"u", 6, 1}};
  }
  post(front_a, "s");                         // 3
  send(batch(front_b, {{"t", 2}, {"u", 1}})); // 4 to 6
  run();
  const auto a = told(front_a), b = told(front_b);
  CHECK_FALSE(a.ok);
  CHECK_FALSE(b.ok);
  CHECK(a.tokens == tokens{3});
  CHECK(b.tokens == tokens{4});
  CHECK(a.why.code == errc::io);
  CHECK(a.why.message == "as the test wants");
  CHECK(store->rows == wanted);
  CHECK(metrics->failures.value() == 1);
  CHECK(metrics->commits.value() == 1);
  CHECK_FALSE(node.journal_full.load());

  // The next group is not touched by it.
  store->rows.clear();
  const auto next = post(front_b, "t", 2);
  run();
  CHECK(told(front_b).ok);
  CHECK(store->rows == rows{{"t", next, 2}});
  CHECK(metrics->events.value() == 4);
  CHECK(metrics->appended_bytes.value() == 4 * 7);
  for (int life = 0; life < 2; ++life) {
    CHECK(durable("s") == range(1, 2));
    CHECK(durable("t") == range(next, next + 1));
    CHECK(durable("u").empty());
    restart();
  }
}

TEST_CASE_METHOD(journal_world, "what comes after a failure in the same mailbox is a new group",
                 "[journal]") {
  start();
  store->fail_append = errc::io;
  post(front_a, "s");                                   // 1, written when the next comes
  send(batch(front_a, {{"t", 1}, {"u", 1}, {"u", 1}})); // 2 to 4: fails, nothing of it is gathered
  post(front_b, "u", 1, false);                         // 5
  run();
  const auto a = told(front_a);
  CHECK_FALSE(a.ok);
  CHECK(a.tokens == tokens{1, 2});
  const auto b = told(front_b);
  CHECK(b.ok);
  CHECK(b.tokens == tokens{5});
  CHECK(store->rows == rows{{"u", 5, 1}});
  CHECK(metrics->group_size.sum() == 1);
  CHECK(metrics->appended_bytes.value() == 7);
}
