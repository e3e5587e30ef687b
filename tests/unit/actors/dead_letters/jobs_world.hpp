// The dead-letters actor and the replay actor on virtual time, with real stores, a real journal and
// a publisher that the test plays.
#pragma once

#include "actors/dead_letters/replay_actor.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"
#include "tests/unit/storage/support.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace penstock::test {

using namespace std::chrono_literals;

/// What a publisher got, and what it says.
struct fake_sink {
  std::vector<deliver_again_ptr> got;
  std::vector<std::int64_t> at_us; ///< when, on virtual time
  std::set<std::uint64_t> refuses; ///< by sequence number
  std::optional<error> gives_back; ///< all of the next chunk, once
  bool holds = false;              ///< answers only when the test calls answer()
  std::vector<caf::response_promise> waiting;
  caf::actor publisher;

  again_done outcome_of(const deliver_again& request) {
    again_done done;
    if (gives_back) {
      done.ok = false;
      done.why = *gives_back;
      done.events.assign(request.batch.events.size(), settled_as::failed);
      gives_back.reset();
      return done;
    }
    for (const auto& event : request.batch.events) {
      const bool refused = refuses.contains(event.seq());
      done.events.push_back(refused ? settled_as::refused : settled_as::delivered);
      if (refused) done.reasons.push_back("no " + std::to_string(event.seq()));
    }
    return done;
  }
  /// Has the oldest request that waits answered in the next run().
  void answer() { caf::anon_send(publisher, caf::tick_atom::value); }
  void answer_oldest() {
    const auto nth = got.size() - waiting.size();
    waiting.front().deliver(outcome_of(*got[nth]));
    waiting.erase(waiting.begin());
  }
  /// Sequence numbers in the order in which they came.
  std::vector<std::uint64_t> seqs() const {
    std::vector<std::uint64_t> all;
    for (const auto& request : got)
      for (const auto& event : request->batch.events)
        all.push_back(event.seq());
    return all;
  }
};

inline caf::behavior fake_publisher(caf::event_based_actor* self, fake_sink* sink) {
  return {[sink](caf::tick_atom) { sink->answer_oldest(); },
          [self, sink](const deliver_again_ptr& request) -> caf::result<again_done> {
            sink->got.push_back(request);
            sink->at_us.push_back(std::chrono::duration_cast<std::chrono::microseconds>(
                                      self->home_system().clock().now().time_since_epoch())
                                      .count());
            if (!sink->holds) return sink->outcome_of(*request);
            sink->waiting.push_back(self->make_response_promise());
            return caf::delegated<again_done>{};
          }};
}

class jobs_world : public actor_fixture {
 public:
  jobs_world() {
    log = open_journal(options_in(dir.path()));
    bus.publisher = system.spawn(fake_publisher, &bus);
    publishers.publishers["bus"] = stand_in(bus.publisher);
    next.publisher = system.spawn(fake_publisher, &next);
    publishers.publishers["next"] = stand_in(next.publisher);
  }
  ~jobs_world() {
    stop();
    for (auto& [name, one] : publishers.publishers)
      caf::anon_send_exit(one, caf::exit_reason::kill);
    run();
  }

  /// Spawns both actors over what is on disk, as a start of the node does.
  void start(std::uint64_t max_dead_letter_bytes = 1u << 20) {
    const sink_kinds kinds{{"queue", "embedded"}, {"bus", "nats"}, {"next", "http"}};
    auto opened = dead_letter_store::open(dir.path(), max_dead_letter_bytes);
    require_ok(opened);
    const auto wall = [this] { return wall_ms; };
    const auto keeper =
        system.spawn(dead_letters_actor,
                     dead_letters_parts{std::move(*opened), kinds, dead_letter_counts, wall});
    letters = plain_actor(keeper);
    replay_parts parts;
    parts.store = *replay_store::open(dir.path());
    parts.reader = journal_reader::make(log->catalog());
    parts.catalog = log->catalog();
    parts.tag = log->tag();
    parts.sinks = kinds;
    parts.dead_letters = keeper;
    parts.metrics = replay_counts;
    parts.wall_ms = wall;
    replays = plain_actor(system.spawn(replay_actor, std::move(parts)));
    caf::anon_send(letters, publishers);
    caf::anon_send(replays, publishers);
    run();
  }
  /// As a crash does: nothing is said any more.
  void stop() {
    for (auto* one : {&letters, &replays}) {
      if (*one) caf::anon_send_exit(*one, caf::exit_reason::kill);
      *one = nullptr;
    }
    run();
    for (auto* sink : {&bus, &next})
      sink->waiting.clear();
  }

  template <class Reply, class Request>
  Reply ask(const caf::actor& whom, Request request) {
    Reply reply;
    auto pending = self->request(whom, caf::infinite, std::move(request));
    run();
    pending.receive([&](Reply& got) { reply = std::move(got); },
                    [&](caf::error& why) { FAIL(system.render(why)); });
    return reply;
  }
  job_answer ask_job(const caf::actor& whom, std::uint64_t number = 1) {
    return ask<job_answer>(whom, get_job{number});
  }

  dead_letters_stored store_some(std::uint64_t first, std::uint64_t last,
                                 const std::string& sink = "bus") {
    auto command = std::make_shared<store_dead_letters>();
    for (auto seq = first; seq <= last; ++seq) {
      dead_letter letter;
      letter.sink = sink;
      letter.stream = "default";
      letter.tag = log->tag();
      letter.seq = seq;
      letter.body = "event " + std::to_string(seq);
      letter.content_type = "text/plain";
      letter.reason = "first reason";
      letter.tries = 5;
      command->letters.push_back(std::move(letter));
    }
    return ask<dead_letters_stored>(letters, store_dead_letters_ptr{std::move(command)});
  }
  std::vector<kept_dead_letter> kept() {
    list_dead_letters command;
    command.limit = 1000;
    const auto page = ask<dead_letters_page_ptr>(letters, command);
    REQUIRE(page->ok);
    return page->letters;
  }
  std::vector<std::uint64_t> kept_seqs() {
    std::vector<std::uint64_t> seqs;
    for (const auto& one : kept())
      seqs.push_back(one.letter.seq);
    return seqs;
  }

  temporary_dir dir;
  std::unique_ptr<journal> log;
  std::int64_t wall_ms = some_time_ms;
  fake_sink bus, next;
  publishers_known publishers;
  std::shared_ptr<dead_letter_metrics> dead_letter_counts = std::make_shared<dead_letter_metrics>();
  std::shared_ptr<replay_metrics> replay_counts = std::make_shared<replay_metrics>();
  caf::actor letters, replays;
};

} // namespace penstock::test
