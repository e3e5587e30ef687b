// A publisher on virtual time; the journal, the lanes and the keeper of dead letters are the
// test's.
#pragma once

#include "actors/delivery/publisher.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/journal/journal_messages.hpp"
#include "tests/unit/actors/queue/queue_world.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <deque>

namespace penstock::test {

/// Cursors of all lanes.
struct lane_cursors final : cursor_store {
  result<std::vector<cursor>> load(std::vector<std::string>* = nullptr) override {
    std::vector<cursor> out;
    for (const auto& [key, one] : by_name)
      out.push_back(one);
    return out;
  }
  result<void> save(const std::vector<cursor>& cursors) override {
    ++saves;
    if (full) return error{errc::disk_full, "no room"};
    for (const auto& one : cursors)
      by_name[one.stream + '/' + one.sink] = one;
    return {};
  }
  result<void> forget(const std::string& sink, const std::vector<std::string>& streams) override {
    for (const auto& stream : streams)
      std::erase_if(by_name, [&](const auto& each) {
        return each.second.stream == stream && each.second.sink.starts_with(sink + '#');
      });
    return {};
  }
  std::map<std::string, cursor> by_name;
  bool full = false;
  int saves = 0;
};

struct publisher_world {
  testing_config config;
  caf::actor_system sys{config};
  caf::scheduler::test_coordinator& sched =
      static_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  caf::scoped_actor self{sys};
  std::vector<std::string> forgotten; // of which the journal was told
  fake_journal journal;
  std::shared_ptr<lane_cursors> cursors = std::make_shared<lane_cursors>();
  std::shared_ptr<sink_metrics> metrics = std::make_shared<sink_metrics>("bus", "nats");
  /// What a lane answers; by default everything is delivered. May throw `hold` to answer later.
  std::function<delivery(const sink_batch&)> sink = [](const sink_batch& batch) {
    return delivery::all(batch.events.size(), settled_as::delivered);
  };
  std::vector<std::uint64_t> arrived; // sequence numbers that the sink took, in order
  std::vector<sink_batch> batches;
  bool holding = false; // lanes keep what they get
  std::vector<std::pair<std::uint32_t, lane_deliver_ptr>> held;
  std::vector<dead_letter> stored_dead_letters;
  bool graveyard_full = false;
  std::size_t most_dead_letters = ~std::size_t{0}; // at once
  std::string unstored;                            // a stream whose letters are not kept
  std::vector<std::uint64_t> confirmed;
  bool stopped = false;
  std::int64_t wall = 1'000'000;
  std::map<std::string, std::uint64_t> fetching; // stream → after_seq, not yet answered
  bool watched = false;
  sink_backlog_ptr backlog; // what was told last
  stream_rules space_rule;
  caf::actor journal_actor, keeper, graveyard, publisher_actor;

  ~publisher_world() {
    caf::anon_send_exit(publisher_actor, caf::exit_reason::user_shutdown);
    for (auto* one : {&journal_actor, &keeper, &graveyard})
      caf::anon_send_exit(*one, caf::exit_reason::user_shutdown);
    sched.run();
    sched.clock().cancel_all();
  }

  delivery take_in(const sink_batch& batch) {
    batches.push_back(batch);
    auto out = sink(batch);
    for (std::size_t i = 0; i < batch.events.size(); ++i)
      if (out.events[i] == settled_as::delivered) arrived.push_back(batch.events[i].seq());
    return out;
  }

  caf::actor make_lane(std::uint32_t number) {
    return sys.spawn([this, number](caf::event_based_actor*) -> caf::behavior {
      return {[this, number](const lane_deliver_ptr& order) -> caf::result<lane_delivered> {
        if (holding) {
          held.emplace_back(number, order);
          return caf::delegated<lane_delivered>{};
        }
        return lane_delivered{number, order->token, take_in(order->batch), 10};
      }};
    });
  }

  void answer_held() {
    for (auto& [number, order] : std::exchange(held, {}))
      caf::anon_send(publisher_actor,
                     lane_delivered{number, order->token, take_in(order->batch), 10});
    sched.run();
  }

  void start(std::uint32_t lanes = 1, delivery_settings settings = {}) {
    journal_actor = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const fetch_request& fetch) {
                CHECK(fetching.count(fetch.stream) == 0); // one at a time
                fetching[fetch.stream] = fetch.after_seq;
              },
              [this](const forget_stream& which) {
                forgotten.push_back(which.stream);
                fetching.erase(which.stream);
              },
              [this](watch_streams) { watched = true; },
              [this](const sink_backlog_ptr& told) { backlog = told; }};
    });
    keeper = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const confirmed_up_to& update) { confirmed.push_back(update.seq); }};
    });
    graveyard = sys.spawn([this](caf::event_based_actor*) -> caf::behavior {
      return {[this](const store_dead_letters_ptr& message) {
        if (graveyard_full || message->letters.size() > most_dead_letters ||
            message->letters[0].stream == unstored)
          return dead_letters_stored{false, {errc::disk_full, "no room"}};
        for (const auto& letter : message->letters)
          stored_dead_letters.push_back(letter);
        return dead_letters_stored{};
      }};
    });
    publisher_parts parts;
    parts.sink = "bus";
    parts.kind = "nats";
    parts.settings = settings;
    parts.stop_sink = [this] { stopped = true; };
    parts.feeds = [](const std::string& stream) { return stream != "elsewhere"; };
    parts.is_configured = [](const std::string& stream) { return stream.starts_with("kept"); };
    parts.saved = *cursors->load();
    parts.cursors = cursors;
    parts.reader = std::make_shared<fake_reader>(journal);
    parts.catalog = journal.catalog;
    parts.journal = stand_in(journal_actor);
    parts.keeper = stand_in(keeper);
    parts.dead_letters = stand_in(graveyard);
    for (std::uint32_t i = 0; i < lanes; ++i)
      parts.lanes.push_back(stand_in(make_lane(i)));
    parts.metrics = metrics;
    parts.tag = "nbjoxe3h";
    parts.space_rule = space_rule;
    parts.wall_ms = [this] { return wall; };
    parts.random = [] { return 0.5; };
    publisher_actor = plain_actor(sys.spawn(publisher, std::move(parts)));
    sched.run();
  }

  /// Makes events durable and answers the publisher's fetch, as the journal does.
  void append(const std::string& stream, std::size_t count) {
    journal.append(stream, count);
    journal.catalog->extend(journal.segment.number,
                            {.last_seq = journal.next_seq - 1, .added = {{stream, {count, 0}}}});
    caf::anon_send(publisher_actor, stream_seen{stream});
    sched.run();
    feed();
  }
  void feed() {
    for (bool more = true; more;) {
      more = false;
      for (auto& [stream, after] : std::map{fetching}) {
        auto found = journal.after(stream, after);
        if (found.empty()) continue;
        fetching.erase(stream);
        caf::anon_send(publisher_actor, fetch_reply{stream, false, std::move(found)});
        sched.run();
        more = true;
      }
    }
  }
  void pass(std::chrono::milliseconds time) {
    using namespace std::chrono_literals;
    for (; time.count() > 0; time -= 10ms) {
      sched.advance_time(10ms);
      wall += 10;
      sched.run();
      feed();
    }
  }
};

} // namespace penstock::test
