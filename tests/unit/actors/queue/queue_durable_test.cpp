// What the queue keeps, reads from segments and lets go.
#include "actors/base/lifecycle_messages.hpp"
#include "tests/unit/actors/queue/queue_world.hpp"

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

TEST_CASE("an acknowledgement is answered when it is durable, many share one save") {
  world w;
  w.journal.append("s", 6);
  w.start();
  const auto got = tickets(w.receive(6));
  const auto first = w.receipts({got[0]});
  CHECK((*first)->done == 1);
  CHECK(w.cursors->by_stream["s"].seq == 1);
  CHECK(w.cursors->saves == 1);
  const auto second = w.receipts({got[1]});
  const auto third = w.receipts({got[2], got[5]});
  CHECK_FALSE(second->has_value());
  CHECK_FALSE(third->has_value());
  w.pass(cursor_save_interval);
  CHECK((*second)->done == 1);
  CHECK((*third)->done == 2);
  CHECK(w.cursors->saves == 2);
  CHECK(w.cursors->by_stream["s"].seq == 3);

  w.kill();
  w.start();
  CHECK(seqs(w.receive(9)) == list{4, 5});
}

TEST_CASE("so many acknowledgements wait for a save, no more") {
  world w;
  w.journal.append("s", max_acks_unsaved + 2);
  w.start();
  const auto got = tickets(w.receive(max_acks_unsaved + 2));
  REQUIRE(got.size() == max_acks_unsaved + 2);
  w.receipts({got[0]});
  CHECK(w.cursors->saves == 1);
  const auto waits = w.receipts({got[1]});
  CHECK(w.cursors->saves == 1);
  const auto many = w.receipts({got.begin() + 2, got.end()});
  CHECK(w.cursors->saves == 2); // at once, with what waited
  CHECK(waits->has_value());
  CHECK((*many)->done == max_acks_unsaved);
}

TEST_CASE("a full disk: acknowledgements fail, count in memory, and are saved later") {
  world w;
  w.journal.append("s", 3);
  w.start();
  const auto got = tickets(w.receive(3));
  w.cursors->full = true;
  const auto refused = w.receipts({got[0]});
  REQUIRE(refused->has_value());
  CHECK_FALSE((*refused)->ok);
  CHECK((*refused)->why.code == errc::disk_full);
  w.pass(30'000ms);
  CHECK(seqs(w.receive(9)) == list{2, 3});
  CHECK(w.confirmed.empty()); // nothing that is only in memory may free a segment
  w.cursors->full = false;
  w.pass(cursor_retry_interval);
  CHECK(w.cursors->by_stream["s"].seq == 1);
  w.pass(queue_upkeep_interval);
  CHECK(w.confirmed.back() == 1);
}

TEST_CASE("a consumer that lags is fed from segments, and passes over gaps") {
  world w;
  w.journal.append("s", 2);
  w.journal.append("other", 5);
  w.journal.memory_from = 8;
  w.start();
  const auto waiting = w.receive(9, 5'000);
  w.answer_fetches();
  CHECK(seqs(waiting) == list{1, 2});
  const auto reads = w.journal.reads;
  w.answer_fetches();
  CHECK(w.journal.reads <= reads + 1);
  REQUIRE(w.fetches.size() == 1);
  CHECK(w.fetches[0].after_seq == 7); // and so within what memory holds
  w.journal.append("s", 1);
  w.answer_fetches();
  CHECK(seqs(w.receive(9)) == list{8});
}

TEST_CASE("what may be retired: the oldest event that a stream still needs decides") {
  world w;
  w.journal.append("s", 2);         // 1, 2
  w.journal.append("logs-only", 3); // 3 to 5, feeds another sink
  w.journal.append("t", 1);         // 6
  w.start();
  CHECK(w.confirmed.empty());
  const auto got = tickets(w.receive(9));
  w.receipts(got);
  w.pass(queue_upkeep_interval);
  CHECK(w.confirmed == list{5}); // 's' is done and holds nothing back, 't' needs 6
  const auto t = w.receive(9, 0, "t");
  w.ask<queue_receipts_done>(queue_receipts{"t", true, tickets(t)});
  w.journal.append("logs-only", 4); // 7 to 10
  w.pass(2 * queue_upkeep_interval);
  CHECK(w.confirmed.back() == 10);
  const auto reads = w.journal.reads;
  w.journal.append("logs-only", 1);
  w.pass(queue_upkeep_interval);
  CHECK(w.confirmed.back() == 11);
  CHECK(w.journal.reads == reads); // known from the catalog alone
}

TEST_CASE("a drain answers who waits and saves what was acknowledged") {
  world w;
  w.journal.append("s", 3);
  w.start();
  const auto got = tickets(w.receive(3));
  w.receipts({got[0]});
  const auto unsaved = w.receipts({got[1]});
  const auto waiting = w.receive(1, 10'000);
  CHECK_FALSE(unsaved->has_value());
  caf::anon_send(w.queue, drain{});
  w.sched.run();
  CHECK((*unsaved)->ok);
  CHECK(seqs(waiting).empty());
  CHECK(w.cursors->by_stream["s"].seq == 2);
}

TEST_CASE("streams that nobody consumes hold no memory, whatever is in them") {
  world w;
  w.budget = std::make_shared<memory_budget>(1u << 20);
  for (int i = 0; i < 50; ++i)
    w.journal.append("named-by-anyone-" + std::to_string(i), 100);
  w.start();
  w.pass(queue_upkeep_interval);
  CHECK(w.budget->used_bytes() == 0);
  const auto reads = w.journal.reads;
  w.pass(10 * queue_upkeep_interval);
  CHECK(w.journal.reads == reads); // what is known is not read again
  w.wall += 5000;
  const auto stats = w.stats("named-by-anyone-7");
  CHECK(stats.depth == 100);
  CHECK(stats.bytes == 300); // three digits each
  CHECK(stats.oldest_ms == 5000);
  const auto got = w.receive(100, 5'000, "named-by-anyone-7");
  w.answer_fetches();
  CHECK(seqs(got).size() == 100);
  CHECK(w.stats("named-by-anyone-7").depth == 100);
}

TEST_CASE("receipts of an earlier life count for a stream that holds no memory") {
  world w;
  w.budget = std::make_shared<memory_budget>(1u << 20);
  w.journal.append("s", 4);
  w.start();
  const auto got = tickets(w.receive(4));
  w.kill();
  w.start();
  w.pass(queue_upkeep_interval);
  CHECK(w.budget->used_bytes() == 0);
  CHECK((*w.receipts({got[0], got[2]}))->done == 2);
  w.pass(queue_upkeep_interval);
  CHECK(w.stats().depth == 2); // the third is acknowledged ahead of the second
  CHECK(w.confirmed.back() == 1);
  CHECK(seqs(w.receive(9)) == list{2, 4});
  CHECK(w.stats().depth == 2);
}

TEST_CASE("many streams share what the queue may hold, and each gets on") {
  world w;
  constexpr int streams = 8;
  w.budget = std::make_shared<memory_budget>(64u << 10);
  for (int round = 0; round < 200; ++round)
    for (int i = 0; i < streams; ++i)
      w.journal.append("s" + std::to_string(i), 50);
  w.journal.memory_from = w.journal.next_seq; // all of it from segments
  w.start();
  std::vector<std::size_t> received(streams);
  constexpr std::uint64_t one_block = 4096;
  for (int turn = 0; turn < 400; ++turn)
    for (int i = 0; i < streams; ++i) {
      const auto stream = "s" + std::to_string(i);
      const auto got = w.receive(50, 0, stream);
      w.answer_fetches();
      CHECK(w.budget->used_bytes() <= w.budget->bound_bytes() + streams * one_block);
      received[static_cast<std::size_t>(i)] += seqs(got).size();
      if (i == 0) continue; // whose consumer acknowledges nothing
      auto which = tickets(got);
      w.ask<queue_receipts_done>(queue_receipts{stream, true, which});
      w.pass(cursor_save_interval);
    }
  CHECK(received[0] < 50 * 200); // it fills its share
  for (std::size_t i = 1; i < streams; ++i)
    CHECK(received[i] == 50 * 200);
}

TEST_CASE("when memory is short, a stream whose consumers went gives back what it holds") {
  world w;
  w.budget = std::make_shared<memory_budget>(4u << 10);
  w.journal.append("s", 100);
  w.start();
  w.receipts(tickets(w.receive(10)));
  w.answer_fetches();
  CHECK(w.budget->used_bytes() > 2u << 10);
  w.pass(queue_idle_time);
  CHECK(w.budget->used_bytes() == 0);
  CHECK(w.stats().depth == 90);
  CHECK(seqs(w.receive(3)) == list{11, 12, 13});
}

TEST_CASE("what was fetched for a window that was let go meanwhile is not taken for what is next") {
  world w;
  w.budget = std::make_shared<memory_budget>(12u << 10);
  w.journal.append("s", 100);
  w.start();
  w.receipts(tickets(w.receive(10)));
  w.sched.run();
  REQUIRE(w.fetches.size() == 1); // waits for what comes after 100
  w.budget->add(8u << 10);        // others need it
  w.pass(queue_idle_time);
  CHECK(w.budget->used_bytes() == 8u << 10);
  SECTION("a consumer comes back first") {
    const auto got = w.receive(3, 5'000);
    CHECK(seqs(got) == list{11, 12, 13});
    w.journal.append("s", 2);
    w.answer_fetches();
  }
  SECTION("an event comes first") {
    w.journal.append("s", 2);
    w.answer_fetches();
    const auto got = w.receive(3, 5'000);
    w.answer_fetches();
    CHECK(seqs(got) == list{11, 12, 13});
  }
  w.budget->sub(8u << 10);
  w.pass(queue_upkeep_interval);
  w.answer_fetches();
  CHECK(seqs(w.receive(200)).size() == 89);
}
