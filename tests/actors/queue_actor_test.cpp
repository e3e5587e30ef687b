#include "actors/keeper_actor.hpp"
#include "actors/queue_actor.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

/// A journal in memory: what is durable, and a catalog that says so.
struct fake_journal {
  std::shared_ptr<segment_catalog> catalog = std::make_shared<segment_catalog>();
  std::map<std::string, std::vector<const_block_ptr>> blocks;
  segment_info segment;
  std::uint64_t next_seq = 1;
  std::uint64_t memory_from = 1; // what lies before must be read from segments
  int reads = 0;

  const_block_ptr append(const std::string& stream, std::size_t count) {
    auto block = std::make_shared<event_block>();
    block->stream = stream;
    block->time_ms = 1'000'000;
    block->content_types = {"text/plain"};
    block->first_seq = next_seq;
    for (std::size_t i = 0; i < count; ++i) {
      block->bodies += std::to_string(next_seq++);
      block->events.push_back({static_cast<std::uint32_t>(block->bodies.size()), 0, 0, 0});
    }
    blocks[stream].push_back(block);
    segment.number = 1;
    segment.first_seq = 1;
    segment.last_seq = next_seq - 1;
    segment.events[stream] += count;
    catalog->put(segment);
    return block;
  }
  std::vector<const_block_ptr> after(const std::string& stream, std::uint64_t seq) {
    std::vector<const_block_ptr> out;
    for (const auto& block : blocks[stream])
      if (block->last_seq() > seq) out.push_back(block);
    return out;
  }
};

struct fake_reader final : journal_reader {
  explicit fake_reader(fake_journal& from) : journal{from} {}
  result<std::vector<const_block_ptr>> read(const std::string& stream, std::uint64_t after_seq,
                                            std::size_t max_bytes,
                                            std::vector<std::string>*) override {
    ++journal.reads;
    auto out = journal.after(stream, after_seq);
    if (max_bytes == 1 && out.size() > 1) out.resize(1);
    return out;
  }
  result<std::uint64_t> seq_before_time(const std::string&, std::int64_t time_ms) override {
    return static_cast<std::uint64_t>(time_ms);
  }
  result<std::uint64_t> count_after(const std::string& stream, std::uint64_t seq) override {
    std::uint64_t count = 0;
    for (const auto& block : journal.after(stream, seq))
      count += block->last_seq() - std::max(seq, block->first_seq - 1);
    return count;
  }
  void release() override {}
  fake_journal& journal;
};

struct fake_cursors final : cursor_store {
  result<std::vector<cursor>> load() override { return kept(); }
  result<void> save(const std::vector<cursor>& cursors) override {
    ++saves;
    if (full) return error{errc::disk_full, "no room"};
    for (const auto& c : cursors)
      by_stream[c.stream] = c;
    return {};
  }
  std::vector<cursor> kept() const {
    std::vector<cursor> out;
    for (const auto& [stream, c] : by_stream)
      out.push_back(c);
    return out;
  }
  std::map<std::string, cursor> by_stream;
  bool full = false;
  int saves = 0;
};

class virtual_config : public caf::actor_system_config {
 public:
  virtual_config() {
    add_message_types<caf::id_block::penstock>();
    set("scheduler.policy", caf::atom("testing"));
  }
};

/// A queue on virtual time, with the journal actor's part played by the test.
struct world {
  virtual_config config;
  caf::actor_system sys{config};
  caf::scheduler::test_coordinator& sched =
      static_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  fake_journal journal;
  std::shared_ptr<fake_cursors> cursors = std::make_shared<fake_cursors>();
  std::shared_ptr<queue_metrics> metrics = std::make_shared<queue_metrics>();
  std::vector<fetch_request> fetches; // not yet answered
  std::vector<std::uint64_t> confirmed;
  std::int64_t wall = 1'000'000;
  caf::actor journal_actor, keeper, queue;

  world() {
    journal_actor = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const fetch_request& fetch) {
        for (const auto& open : fetches)
          CHECK(open.stream != fetch.stream); // one at a time
        fetches.push_back(fetch);
      }};
    });
    keeper = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const confirmed_up_to& news) {
        CHECK(news.sink == "queue");
        confirmed.push_back(news.seq);
      }};
    });
  }
  ~world() {
    for (const auto& a : {queue, journal_actor, keeper})
      if (a) caf::anon_send_exit(a, caf::exit_reason::kill);
    sched.run();
  }
  void start() {
    queue_parts parts;
    parts.feeds = [](const std::string& stream) { return stream != "logs-only"; };
    parts.settings.default_lease_ms = 30s;
    parts.saved = cursors->kept();
    parts.cursors = cursors;
    parts.reader = std::make_shared<fake_reader>(journal);
    parts.replay = std::make_shared<fake_reader>(journal);
    parts.catalog = journal.catalog;
    parts.journal = journal_actor;
    parts.keeper = keeper;
    parts.metrics = metrics;
    parts.wall_ms = [this] { return wall; };
    queue = sys.spawn(queue_actor, std::move(parts));
    sched.run();
  }
  void kill() {
    caf::anon_send_exit(queue, caf::exit_reason::kill);
    sched.run();
    fetches.clear();
    wall += 1000;
  }
  void pass(std::chrono::milliseconds time) {
    sched.advance_time(time);
    sched.run();
  }
  /// What the journal actor does when a stream has something for an open fetch.
  void answer_fetches() {
    sched.run();
    for (bool answered = true; answered;) {
      answered = false;
      for (auto at = fetches.begin(); at != fetches.end(); ++at) {
        fetch_reply reply{at->stream, at->after_seq + 1 < journal.memory_from, {}};
        if (!reply.read_segments) reply.blocks = journal.after(at->stream, at->after_seq);
        if (!reply.read_segments && reply.blocks.empty()) continue;
        fetches.erase(at);
        caf::anon_send(queue, std::move(reply));
        sched.run();
        answered = true;
        break;
      }
    }
  }

  /// Asks the queue; the answer is in `into` once it has come.
  template <class Reply, class Request>
  std::shared_ptr<std::optional<Reply>> ask(Request request) {
    auto into = std::make_shared<std::optional<Reply>>();
    sys.spawn([this, into, request](caf::event_based_actor* self) {
      self->request(queue, caf::infinite, request)
          .then([into](Reply& reply) { *into = std::move(reply); },
                [](const caf::error&) { FAIL("the queue refused a message"); });
    });
    sched.run();
    return into;
  }
  auto receive(std::uint32_t max, std::int64_t wait_ms = 0, const std::string& stream = "s") {
    return ask<queue_delivery_ptr>(queue_receive{stream, max, wait_ms, 0});
  }
  auto receipts(const std::vector<receipt>& which, bool accept = true) {
    return ask<queue_receipts_done>(queue_receipts{"s", accept, which});
  }
  queue_stats stats(const std::string& stream = "s") {
    return (*ask<queue_stats_reply>(queue_stats_request{stream}))->stats;
  }
};

std::vector<std::uint64_t> seqs(const std::shared_ptr<std::optional<queue_delivery_ptr>>& got) {
  REQUIRE(got->has_value());
  REQUIRE((**got)->ok);
  std::vector<std::uint64_t> out;
  for (const auto& message : (**got)->messages)
    out.push_back(message.ticket.seq);
  return out;
}
std::vector<receipt> tickets(const std::shared_ptr<std::optional<queue_delivery_ptr>>& got) {
  std::vector<receipt> out;
  for (const auto& message : (**got)->messages)
    out.push_back(message.ticket);
  return out;
}
using list = std::vector<std::uint64_t>;

} // namespace

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

namespace {

struct fake_segments final : segment_keeper {
  result<void> prepare() override {
    ++prepared;
    return {};
  }
  result<std::size_t> retire(std::uint64_t confirmed_seq, std::int64_t before) override {
    retired_to.push_back(confirmed_seq);
    before_ms = before;
    return std::size_t{1};
  }
  int prepared = 0;
  std::vector<std::uint64_t> retired_to;
  std::int64_t before_ms = 0;
};

} // namespace

TEST_CASE("the keeper retires what every sink has confirmed") {
  world w;
  w.journal.append("s", 8);
  const auto segments = std::make_shared<fake_segments>();
  keeper_parts parts{.segments = segments,
                     .catalog = w.journal.catalog,
                     .sinks = {"queue", "bus"},
                     .retention_ms = 500ms,
                     .metrics = std::make_shared<keeper_metrics>(),
                     .wall_ms = [&w] { return w.wall; }};
  SECTION("two sinks") {
    const auto keeper = w.sys.spawn(keeper_actor, parts);
    w.sched.run();
    caf::anon_send(keeper, confirmed_up_to{5, "queue"});
    w.pass(keeper_interval);
    CHECK(segments->prepared == 1);
    CHECK(segments->retired_to.empty());
    caf::anon_send(keeper, confirmed_up_to{3, "bus"});
    caf::anon_send(keeper, confirmed_up_to{2, "bus"}); // never goes back
    w.pass(keeper_interval);
    CHECK(segments->retired_to == list{3});
    CHECK(segments->before_ms == w.wall - 500);
    caf::anon_send(keeper, upkeep_tick{});
    w.sched.run();
    CHECK(segments->prepared == 3);
    caf::anon_send(keeper, drain{});
    w.sched.run();
  }
  SECTION("no sinks: what is durable may go") {
    parts.sinks.clear();
    const auto keeper = w.sys.spawn(keeper_actor, parts);
    w.sched.run();
    w.pass(keeper_interval);
    CHECK(segments->retired_to == list{8});
    caf::anon_send(keeper, drain{});
    w.sched.run();
  }
}
