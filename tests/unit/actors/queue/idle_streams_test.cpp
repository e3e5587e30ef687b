// Streams of which nothing is owed and nothing happens are let go by the queue, by publishers and
// by the journal, and come back whole.
#include "actors/journal/journal_messages.hpp"
#include "tests/unit/actors/delivery/publisher_world.hpp"
#include "tests/unit/actors/journal/journal_world.hpp"

using namespace penstock;
using namespace penstock::test;
using namespace std::chrono_literals;

namespace {

using names = std::vector<std::string>;

names known_to(const world& w) {
  names out;
  for (const auto& one : w.metrics->streams())
    out.push_back(one.stream);
  return out;
}

void upkeeps(world& w, std::chrono::seconds time) {
  for (; time.count() > 0; time -= 1s)
    w.pass(1s);
}

names known_to(const publisher_world& w) {
  names out;
  for (const auto& lag : w.metrics->lags())
    out.push_back(lag.stream);
  return out;
}

void upkeeps(publisher_world& w, std::chrono::seconds time) {
  for (; time.count() > 0; time -= 1s) {
    w.sched.advance_time(1s);
    w.wall += 1000;
    w.sched.run();
    w.feed();
  }
}

} // namespace

TEST_CASE("idle streams: the queue lets them go when nothing is owed, not before") {
  world w;
  w.journal.append("s", 2);
  w.journal.append("owed", 1);
  w.journal.append("kept", 1);
  w.start();
  const auto got = w.receive(9);
  CHECK(seqs(got) == list{1, 2});
  (void)w.receipts(tickets(got));
  upkeeps(w, 599s);
  CHECK(known_to(w) == names{"kept", "owed", "s"});
  upkeeps(w, 3s);
  CHECK(known_to(w) == names{"kept", "owed"});
  CHECK(w.forgotten == names{"s"});
  CHECK(w.confirmed.back() == 2); // the one that is owed is the journal's third event

  // What was acknowledged does not come again, what is new comes.
  upkeeps(w, 2s);
  CHECK(known_to(w) == names{"kept", "owed"});
  CHECK(w.stats().depth == 0);
  w.journal.append("s", 1); // 5
  upkeeps(w, 2s);
  CHECK(w.stats().depth == 1);
  CHECK(seqs(w.receive(9)) == list{5});
}

TEST_CASE("idle streams: an event at the moment when its stream is let go is not passed over") {
  world w;
  w.journal.append("s", 1);
  w.start();
  (void)w.receipts(tickets(w.receive(9)));
  upkeeps(w, 602s);
  CHECK(known_to(w).empty());
  CHECK(w.confirmed.back() == 1);
  w.journal.append("s", 1);
  upkeeps(w, 1s);
  CHECK(w.confirmed.back() == 1); // its segment is held
  CHECK(known_to(w) == names{"s"});
  (void)w.receipts(tickets(w.receive(9)));
  upkeeps(w, 2s);
  CHECK(w.confirmed.back() == 2);
}

TEST_CASE("idle streams: a consumer that waits keeps its stream, and one with no event is let go") {
  world w;
  w.start();
  (void)w.receive(9, 0, "asked for");
  upkeeps(w, 2s);
  CHECK(known_to(w) == names{"asked for"});
  for (int i = 0; i < 70; ++i) {
    (void)w.receive(9, 10'000, "waited for");
    upkeeps(w, 10s);
  }
  CHECK(known_to(w) == names{"waited for"});
  const auto waits = w.receive(9, 20'000, "waited for");
  w.journal.append("waited for", 1);
  w.answer_fetches();
  CHECK(seqs(waits) == list{1});
}

TEST_CASE("idle streams: positions go with the last event, and a restart brings none back") {
  world w;
  w.journal.append("s", 1);
  w.start();
  (void)w.receipts(tickets(w.receive(9)));
  upkeeps(w, 602s);
  CHECK(w.cursors->by_stream.contains("s")); // a segment has its event still
  w.journal.retire();
  upkeeps(w, 1s);
  CHECK(w.cursors->by_stream.contains("s")); // the segment may be on the disk still
  upkeeps(w, 1s);
  CHECK_FALSE(w.cursors->by_stream.contains("s"));
  w.cursors->by_stream["long gone"] = {"long gone", "queue", 1, {}};
  w.kill();
  w.start();
  upkeeps(w, 2s);
  CHECK(known_to(w).empty());
  CHECK_FALSE(w.cursors->by_stream.contains("long gone"));
  w.journal.append("s", 1);
  CHECK(seqs(w.receive(9)) == list{2});
}

TEST_CASE("idle streams: at the queue's bound what is configured or has events is served") {
  world w;
  w.journal.append("s", 1);
  w.start();
  for (std::size_t i = 1; i < max_queue_streams; ++i)
    (void)w.receive(1, 0, "n" + std::to_string(i));
  const auto ok = [&](const std::string& stream) { return (**w.receive(1, 0, stream))->ok; };
  CHECK_FALSE(ok("more"));
  CHECK(ok("n1"));
  CHECK(ok("s"));
  CHECK(ok("kept-new"));
  w.journal.append("more", 1);
  CHECK(ok("more"));
}

TEST_CASE("streams that can't be named any more: their events become dead letters") {
  world w;
  w.journal.append("..", 300);
  w.journal.append("s", 1);
  w.graveyard_full = true;
  w.start();
  CHECK(w.letters.empty());
  CHECK(w.confirmed.empty());
  w.graveyard_full = false;
  upkeeps(w, 1s);
  REQUIRE(w.letters.size() == 300);
  CHECK(w.letters[0].stream == "..");
  CHECK(w.letters[0].sink == "queue");
  CHECK(w.letters[0].tag == "nbjoxe3h");
  CHECK(w.letters[299].seq == 300);
  CHECK(w.letters[299].body == "300");
  upkeeps(w, 2s);
  CHECK(w.stats("..").depth == 0);
  CHECK(w.confirmed.back() == 300);
}

TEST_CASE("streams that can't be named any more: as many are kept as there is room for") {
  world w;
  w.journal.append("..", 100);
  w.most_dead_letters = 7;
  w.start();
  upkeeps(w, 30s);
  CHECK(w.letters.size() == 100);
  CHECK(w.stats("..").depth == 0);
}

TEST_CASE("idle streams: a publisher lets them go, and what comes then is delivered") {
  publisher_world w;
  w.start(2);
  w.append("a", 2);
  w.append("kept", 1);
  upkeeps(w, 599s);
  CHECK(known_to(w) == names{"a", "kept"});
  upkeeps(w, 3s);
  CHECK(known_to(w) == names{"kept"});
  CHECK(w.forgotten == names{"a"});
  CHECK(w.confirmed.back() == 3);
  w.append("a", 1);
  upkeeps(w, 2s);
  CHECK(w.arrived == std::vector<std::uint64_t>{1, 2, 3, 4});
  CHECK(known_to(w) == names{"a", "kept"});
  CHECK(w.confirmed.back() == 4);
}

TEST_CASE("idle streams: a publisher keeps what its sink does not take") {
  publisher_world w;
  w.start();
  w.sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::failed, "connection refused");
  };
  w.append("a", 1);
  upkeeps(w, 700s);
  CHECK(known_to(w) == names{"a"});
  CHECK(w.forgotten.empty());
}

TEST_CASE("idle streams: a publisher's positions go with the last event") {
  publisher_world w;
  w.start();
  w.append("a", 1);
  upkeeps(w, 602s);
  CHECK(w.cursors->by_name.contains("a/bus#0/1"));
  w.journal.retire();
  upkeeps(w, 1s);
  CHECK(w.cursors->by_name.contains("a/bus#0/1"));
  upkeeps(w, 1s);
  CHECK_FALSE(w.cursors->by_name.contains("a/bus#0/1"));
  w.append("a", 1);
  upkeeps(w, 2s);
  CHECK(w.arrived == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE_METHOD(journal_world, "idle streams: the journal answers who waits, tells of the next",
                 "[journal]") {
  start();
  const auto commit = [&](const std::string& stream) {
    post(front_a, stream);
    run();
    REQUIRE(told(front_a).ok);
  };
  self->send(actor, watch_streams{});
  commit("s");
  stream_seen seen;
  REQUIRE(take(self, seen));
  self->send(actor, fetch_request{"s", 1});
  run();
  fetch_reply answer;
  CHECK_FALSE(take(self, answer));
  self->send(actor, forget_stream{"s"});
  run();
  REQUIRE(take(self, answer));
  CHECK(answer.blocks.empty());
  CHECK_FALSE(answer.read_segments);
  self->send(actor, forget_stream{"nobody knows"});
  commit("s");
  REQUIRE(take(self, seen));
  CHECK(seen.stream == "s");
}
