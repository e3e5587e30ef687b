// What the queue keeps, reads from segments and lets go.
#include "tests/actors/queue_world.hpp"

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
