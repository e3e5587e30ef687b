// What consumers get from the queue, and when.
#include "tests/unit/actors/queue/queue_world.hpp"

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

TEST_CASE("a receive that does not wait gives what is durable now") {
  world w;
  w.journal.append("s", 3);
  w.start();
  CHECK(seqs(w.receive(2)) == list{1, 2});
  CHECK(seqs(w.receive(9)) == list{3});
  CHECK(seqs(w.receive(9)).empty());
  w.journal.append("s", 1); // the journal's answer to the open fetch is still on its way
  CHECK(seqs(w.receive(9)) == list{4});
  w.answer_fetches(); // and brings it once more
  CHECK(seqs(w.receive(9)).empty());
}

TEST_CASE("a receive waits for the next event, and no longer than it may") {
  world w;
  w.start();
  const auto first = w.receive(5, 10'000);
  const auto second = w.receive(5, 3'000);
  w.pass(2'999ms);
  CHECK_FALSE(second->has_value());
  w.pass(1ms);
  CHECK(seqs(second).empty());
  CHECK_FALSE(first->has_value());
  w.journal.append("s", 2);
  w.answer_fetches();
  CHECK(seqs(first) == list{1, 2});
  CHECK(w.metrics->waiters.value() == 0);
}

TEST_CASE("who stops waiting is answered at once, and nobody else") {
  world w;
  w.start();
  const auto ask = [&](std::uint64_t wait_id) {
    queue_receive request{"s", 5, 10'000, 0};
    request.wait_id = wait_id;
    return w.ask<queue_delivery_ptr>(request);
  };
  const auto first = ask(1), second = ask(2), nameless = ask(0);
  CHECK(w.metrics->waiters.value() == 3);
  for (const auto& stop : {queue_stop_waiting{"s", 1}, queue_stop_waiting{"s", 0},
                           queue_stop_waiting{"s", 7}, queue_stop_waiting{"t", 2}})
    caf::anon_send(w.queue, stop);
  w.sched.run();
  CHECK(seqs(first).empty());
  CHECK_FALSE(second->has_value());
  CHECK_FALSE(nameless->has_value());
  CHECK(w.metrics->waiters.value() == 2);
  w.journal.append("s", 1);
  w.answer_fetches();
  CHECK(seqs(second) == list{1});
}

TEST_CASE("a receive gives as many bytes as it is told, but at least one message") {
  world w;
  w.journal.append("s", 3);
  w.start();
  queue_receive request{"s", 5, 0, 0};
  request.max_bytes = 1;
  CHECK(seqs(w.ask<queue_delivery_ptr>(request)) == list{1});
  queue_replay again{.stream = "s", .from_seq = 0, .from_time_ms = {}, .max = 5, .max_bytes = 1};
  CHECK((**w.ask<queue_delivery_ptr>(again))->messages.size() == 1);
}

TEST_CASE("a waiting consumer gets what another one's lease gives up") {
  world w;
  w.journal.append("s", 1);
  w.start();
  const auto first = w.receive(1);
  const auto waiting = w.receive(1, 20'000);
  SECTION("because it was given back") {
    const auto done = w.receipts(tickets(first), false);
    CHECK((*done)->done == 1);
    CHECK(seqs(waiting) == list{1});
  }
  SECTION("because the lease ran out") {
    w.pass(19'000ms);
    CHECK_FALSE(waiting->has_value());
    const auto third = w.receive(1, 20'000);
    w.pass(1'000ms);
    CHECK(seqs(waiting).empty());
    w.pass(10'000ms);
    CHECK(seqs(third) == list{1});
    CHECK((*w.receipts(tickets(first)))->stale == 1);
  }
}

TEST_CASE("depth, in flight and age") {
  world w;
  w.journal.append("s", 4);
  w.start();
  w.wall += 5'000;
  CHECK(w.stats().depth == 4);
  CHECK(w.stats().oldest_ms == 5'000);
  const auto got = tickets(w.receive(3));
  w.receipts({got[0]});
  CHECK(w.stats().depth == 3);
  CHECK(w.stats().in_flight == 2);
  w.pass(31s);
  CHECK(w.stats().in_flight == 0);
  CHECK(w.metrics->streams().at(0).depth == 3);
  CHECK(w.stats("empty").depth == 0);
}

TEST_CASE("reading again changes neither cursor nor leases") {
  world w;
  w.journal.append("s", 4);
  w.start();
  const auto leased = w.receive(2);
  const auto again = w.ask<queue_delivery_ptr>(queue_replay{"s", 2, {}, 2});
  REQUIRE((**again)->messages.size() == 2);
  CHECK((**again)->messages[0].block->body((**again)->messages[0].index) == "2");
  CHECK((**again)->next_seq == 4);
  const auto by_time = w.ask<queue_delivery_ptr>(queue_replay{"s", 0, 3, 9});
  CHECK((**by_time)->messages.size() == 1);
  CHECK((**by_time)->next_seq == 5);
  const auto end = w.ask<queue_delivery_ptr>(queue_replay{"s", 5, {}, 9});
  CHECK((**end)->messages.empty());
  CHECK((**end)->next_seq == 5);
  CHECK(w.stats().in_flight == 2);
  CHECK(seqs(w.receive(9)) == list{3, 4});
}

TEST_CASE("of rows that overlap, reading and reading again give each event once") {
  world w;
  w.journal.append("s", 3);
  w.journal.next_seq = 2; // as of a disk that was restored
  w.journal.append("s", 4);
  w.start();
  const auto again = w.ask<queue_delivery_ptr>(queue_replay{"s", 0, {}, 9});
  std::vector<std::string> bodies;
  for (const auto& message : (**again)->messages)
    bodies.emplace_back(message.block->body(message.index));
  CHECK(bodies == std::vector<std::string>{"1", "2", "3", "4", "5"});
  CHECK((**again)->next_seq == 6);
  CHECK(seqs(w.receive(9)) == list{1, 2, 3, 4, 5});
}

TEST_CASE("refusals say why: a stream that feeds no queue, too many that wait") {
  world w;
  w.start();
  const auto wrong = w.receive(1, 0, "logs-only");
  CHECK((**wrong)->why.code == errc::not_found);
  for (std::size_t i = 0; i < max_queue_waiters; ++i)
    w.receive(1, 10'000);
  const auto refused = w.receive(1, 10'000);
  REQUIRE(refused->has_value());
  CHECK((**refused)->why.code == errc::unavailable);
}
