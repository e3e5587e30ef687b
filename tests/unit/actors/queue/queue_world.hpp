// A queue actor on virtual time; the journal, the segments and the cursors are the test's.
#pragma once

#include "actors/journal/journal_messages.hpp"
#include "actors/queue/queue_actor.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock::test {

/// A journal in memory: what is durable, and a catalog that says so.
struct fake_journal {
  std::shared_ptr<segment_catalog> catalog = std::make_shared<segment_catalog>();
  std::map<std::string, std::vector<const_block_ptr>> blocks;
  segment_info segment;
  std::uint64_t next_seq = 1;
  std::int64_t time_ms = 1'000'000; // of what is appended
  std::uint64_t memory_from = 1;    // what lies before must be read from segments
  int reads = 0;
  bool can_count = true;

  const_block_ptr append(const std::string& stream, std::size_t count) {
    auto block = std::make_shared<event_block>();
    block->stream = stream;
    block->time_ms = time_ms;
    block->content_types = {"text/plain"};
    block->first_seq = next_seq;
    for (std::size_t i = 0; i < count; ++i) {
      block->bodies += std::to_string(next_seq++);
      block->events.push_back({static_cast<std::uint32_t>(block->bodies.size()), 0, 0, 0});
    }
    blocks[stream].push_back(block);
    segment.number = std::max<std::uint64_t>(1, segment.number);
    segment.first_seq = 1;
    segment.last_seq = next_seq - 1;
    segment.events[stream] += count;
    catalog->put(segment);
    return block;
  }
  /// The first segment is gone, as what it held was confirmed; a second one is begun.
  void retire() {
    catalog->remove(segment.number);
    blocks.clear();
    segment = {.number = segment.number + 1, .last_seq = next_seq - 1};
    catalog->put(segment);
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
  result<std::vector<std::shared_ptr<const event_block>>>
  read_wanted(const std::function<bool(const std::string&)>&, std::uint64_t, std::size_t,
              std::size_t, std::vector<std::string>*) override {
    return error{errc::invalid, "nobody asks for it here"};
  }
  result<std::uint64_t> seq_before_time(const std::string&, std::int64_t time_ms) override {
    return static_cast<std::uint64_t>(time_ms);
  }
  result<std::uint64_t> count_between(const std::string&, std::uint64_t, std::uint64_t) override {
    return std::uint64_t{0}; // only replays ask for it
  }
  result<event_volume> count_backlog(const std::string& stream, std::uint64_t after_seq,
                                     std::uint64_t up_to_seq,
                                     const backlog_events& remaining) override {
    event_volume count;
    if (!journal.can_count) return error{errc::unavailable, "events are being moved"};
    for (const auto& block : journal.after(stream, after_seq))
      for (std::size_t i = 0; i < block->size(); ++i)
        if (const auto seq = block->first_seq + i;
            seq > after_seq && seq <= up_to_seq &&
            remaining.is_in_backlog(stream, seq, block->events[i].client))
          count += {1, block->event_bytes(i)};
    return count;
  }
  void release() override {}
  fake_journal& journal;
};

struct fake_cursors final : cursor_store {
  result<std::vector<cursor>> load(std::vector<std::string>* = nullptr) override { return kept(); }
  result<void> save(const std::vector<cursor>& cursors) override {
    ++saves;
    if (full) return error{errc::disk_full, "no room"};
    for (const auto& c : cursors)
      by_stream[c.stream] = c;
    return {};
  }
  result<void> forget(const std::string&, const std::vector<std::string>& streams) override {
    for (const auto& stream : streams)
      by_stream.erase(stream);
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

/// A queue on virtual time, with the journal actor's part played by the test.
struct world {
  testing_config config;
  caf::actor_system sys{config};
  caf::scheduler::test_coordinator& sched =
      static_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  fake_journal journal;
  std::shared_ptr<fake_cursors> cursors = std::make_shared<fake_cursors>();
  std::shared_ptr<queue_metrics> metrics = std::make_shared<queue_metrics>();
  std::vector<fetch_request> fetches; // not yet answered
  sink_backlog_ptr backlog;           // what was told last
  stream_rules space_rule;
  std::uint64_t max_in_flight = 100'000;
  std::vector<std::uint64_t> confirmed;
  std::vector<std::string> forgotten;
  std::int64_t wall = 1'000'000;
  std::vector<dead_letter> letters;
  bool graveyard_full = false;
  std::size_t most_dead_letters = ~std::size_t{0}; // at once
  caf::actor journal_actor, keeper, graveyard, queue;
  std::shared_ptr<memory_budget> budget; // null: none

  world() {
    journal_actor = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const forget_stream& which) {
                forgotten.push_back(which.stream);
                std::erase_if(fetches, [&](auto& each) { return each.stream == which.stream; });
              },
              [this](const fetch_request& fetch) {
                for (const auto& open : fetches)
                  if (open.stream == fetch.stream) FAIL("one at a time");
                fetches.push_back(fetch);
              },
              [this](const sink_backlog_ptr& told) { backlog = told; }};
    });
    keeper = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const confirmed_up_to& update) {
        CHECK(update.sink == "queue");
        confirmed.push_back(update.seq);
      }};
    });
    graveyard = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const store_dead_letters_ptr& command) {
        if (graveyard_full || command->letters.size() > most_dead_letters)
          return dead_letters_stored{false, {errc::disk_full, "no room"}};
        letters.insert(letters.end(), command->letters.begin(), command->letters.end());
        return dead_letters_stored{};
      }};
    });
  }
  ~world() {
    for (const auto& a : {queue, journal_actor, keeper, graveyard})
      if (a) caf::anon_send_exit(a, caf::exit_reason::kill);
    sched.run();
  }
  void start() {
    queue_parts parts;
    parts.feeds = [](const std::string& stream) { return stream != "logs-only"; };
    parts.settings.default_lease_ms = std::chrono::seconds{30};
    parts.settings.max_in_flight = max_in_flight;
    parts.budget = budget;
    parts.saved = cursors->kept();
    parts.cursors = cursors;
    parts.reader = std::make_shared<fake_reader>(journal);
    parts.replay = std::make_shared<fake_reader>(journal);
    parts.catalog = journal.catalog;
    parts.journal = stand_in(journal_actor);
    parts.keeper = stand_in(keeper);
    parts.metrics = metrics;
    parts.is_configured = [](const std::string& stream) { return stream.starts_with("kept"); };
    parts.is_name = [](const std::string& stream) { return stream != ".."; };
    parts.dead_letters = stand_in(graveyard);
    parts.tag = "nbjoxe3h";
    parts.space_rule = space_rule;
    parts.wall_ms = [this] { return wall; };
    queue = plain_actor(sys.spawn(queue_actor, std::move(parts)));
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

inline std::vector<std::uint64_t>
seqs(const std::shared_ptr<std::optional<queue_delivery_ptr>>& got) {
  REQUIRE(got->has_value());
  REQUIRE((**got)->ok);
  std::vector<std::uint64_t> out;
  for (const auto& message : (**got)->messages)
    out.push_back(message.ticket.seq);
  return out;
}
inline std::vector<receipt> tickets(const std::shared_ptr<std::optional<queue_delivery_ptr>>& got) {
  std::vector<receipt> out;
  for (const auto& message : (**got)->messages)
    out.push_back(message.ticket);
  return out;
}
using list = std::vector<std::uint64_t>;

} // namespace penstock::test
