// Replays on virtual time: which events, at what rate, and what a crash, a cancel or a refusal
// does.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/dead_letters/pacing.hpp"
#include "tests/unit/actors/dead_letters/jobs_world.hpp"

#include <random>

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;

namespace {

class replay_world : public jobs_world {
 public:
  /// Blocks of ten events, in turn of the streams "default" and "errors", from `first` on.
  void fill(std::uint64_t first, std::uint64_t last) {
    for (auto seq = first; seq <= last; seq += 10)
      append_and_commit(*log, numbered_block(seq, 10, seq / 10 % 2 == 0 ? "default" : "errors"));
  }
  /// The events of "default" among these.
  static std::vector<std::uint64_t> wanted(std::uint64_t first, std::uint64_t last) {
    std::vector<std::uint64_t> seqs;
    for (auto seq = first; seq <= last; ++seq)
      if ((seq - 1) / 10 % 2 == 0) seqs.push_back(seq);
    return seqs;
  }

  job_answer replay(replay_place from = {}, replay_place to = {}, std::uint32_t rate = 0,
                    bool dry_run = false, const std::string& sink = "bus") {
    return ask<job_answer>(replays, start_replay{"default", sink, from, to, rate, dry_run});
  }
};

replay_place at(std::uint64_t seq) {
  return {.seq = seq};
}
/// numbered_block() accepts a block so long after some_time_ms as its first number says.
replay_place when(std::int64_t ms) {
  return {.time_ms = some_time_ms + ms};
}

} // namespace

TEST_CASE_METHOD(replay_world, "a replay sends its range, in order, and nothing else", "[replay]") {
  fill(1, 5000);
  start();
  SECTION("all") {
    const auto started = replay();
    REQUIRE(started.ok);
    CHECK(started.job.total == 2500);
    CHECK(bus.seqs() == wanted(1, 5000));
    const auto job = ask_job(replays).job;
    CHECK(job.state == job_state::done);
    CHECK(job.sent == 2500);
    CHECK(replay_counts->sent.value() == 2500);
    CHECK(replay_counts->running.value() == 0);
    CHECK(bus.got[0]->batch.again == "-r1");
    CHECK(bus.got[0]->batch.tag == log->tag());
    CHECK(bus.got[0]->batch.stream == "default");
    CHECK(bus.got[0]->batch.lane.empty());
    CHECK(replay().job.number == 2);
    CHECK(bus.got.back()->batch.again == "-r2");
  }
  SECTION("from the middle of a block to the middle of another") {
    CHECK(replay(at(44), at(3007)).job.total == wanted(44, 3007).size());
    CHECK(bus.seqs() == wanted(44, 3007));
  }
  SECTION("from an event of another stream") {
    replay(at(15), at(25));
    CHECK(bus.seqs() == wanted(15, 25));
  }
  SECTION("by time") {
    replay(when(21), when(61));
    CHECK(bus.seqs() == wanted(21, 70));
  }
  SECTION("what came after the start is not sent") {
    bus.holds = true;
    replay(at(4000));
    fill(5001, 5100);
    while (!bus.waiting.empty()) {
      bus.answer();
      run();
    }
    CHECK(bus.seqs() == wanted(4000, 5000));
    CHECK(ask_job(replays).job.state == job_state::done);
  }
  SECTION("a dry run only counts") {
    const auto counted = replay(at(44), at(3007), 0, true);
    CHECK(counted.ok);
    CHECK(counted.job.total == wanted(44, 3007).size());
    CHECK(counted.job.number == 0);
    CHECK(bus.got.empty());
    CHECK(ask<job_list_ptr>(replays, list_jobs{})->jobs.empty());
  }
}

TEST_CASE_METHOD(replay_world, "a replay goes on after a crash where it was", "[replay]") {
  fill(1, 5000);
  start();
  bus.holds = true;
  replay();
  bus.answer();
  run();
  REQUIRE(bus.got.size() == 2);
  stop(); // the second chunk is under way, and may have arrived
  const auto first_run = bus.seqs();
  bus.got.clear();
  bus.holds = false;
  start();
  CHECK(bus.seqs() == wanted(1000 * 2 + 1, 5000));
  CHECK(bus.got[0]->batch.again == "-r1"); // so that a sink can drop what is there
  CHECK(first_run == wanted(1, 4000));
  const auto job = ask_job(replays).job;
  CHECK(job.state == job_state::done);
  CHECK(job.sent == 2500);
}

TEST_CASE_METHOD(replay_world, "a replay that was cancelled can go on", "[replay]") {
  fill(1, 5000);
  start();
  bus.holds = true;
  replay();
  const auto cancelled = ask<job_answer>(replays, cancel_job{1});
  CHECK(cancelled.job.state == job_state::cancelled);
  bus.answer();
  run();
  CHECK(bus.got.size() == 1);
  CHECK(ask_job(replays).job.sent == 1000);
  CHECK(ask<job_answer>(replays, cancel_job{1}).job.state == job_state::cancelled);
  bus.holds = false;
  stop();
  start();
  CHECK(bus.got.size() == 1); // not on its own
  CHECK(ask<job_answer>(replays, resume_job{1}).ok);
  CHECK(bus.seqs() == wanted(1, 5000));
  CHECK(ask_job(replays).job.state == job_state::done);
  CHECK_FALSE(ask<job_answer>(replays, resume_job{1}).ok);
}

TEST_CASE_METHOD(replay_world, "cancelled and resumed while a chunk is under way", "[replay]") {
  fill(1, 5000);
  start();
  bus.holds = true;
  replay();
  ask<job_answer>(replays, cancel_job{1});
  ask<job_answer>(replays, resume_job{1});
  CHECK(bus.got.size() == 1);
  while (!bus.waiting.empty()) {
    bus.answer();
    run();
  }
  CHECK(bus.seqs() == wanted(1, 5000));
  CHECK(ask_job(replays).job.sent == 2500);
}

TEST_CASE_METHOD(replay_world, "what a sink refuses is a dead letter", "[replay]") {
  fill(1, 100);
  start();
  bus.refuses = {3, 41};
  replay();
  const auto job = ask_job(replays).job;
  CHECK(job.state == job_state::done);
  CHECK(job.sent == 48);
  CHECK(job.refused == 2);
  const auto left = kept();
  REQUIRE(left.size() == 2);
  CHECK(left[0].letter.sink == "bus");
  CHECK(left[0].letter.seq == 3);
  CHECK(left[0].letter.reason == "no 3");
  CHECK(left[1].letter.seq == 41);
  CHECK(replay_counts->refused.value() == 2);
}

TEST_CASE_METHOD(replay_world, "no progress is noted before dead letters are kept", "[replay]") {
  fill(1, 100);
  start(1); // no room for any
  bus.refuses = {3};
  replay();
  auto job = ask_job(replays).job;
  CHECK(job.state == job_state::running);
  CHECK(job.sent == 0);
  CHECK_THAT(job.why, Contains("dead_letters.max_size"));
  stop();
  start();
  job = ask_job(replays).job;
  CHECK(job.state == job_state::done);
  CHECK(job.sent == 49);
  CHECK(kept_seqs() == std::vector<std::uint64_t>{3});
}

TEST_CASE_METHOD(replay_world, "a replay keeps to its rate", "[replay]") {
  fill(1, 5000);
  start();
  replay({}, {}, 500);
  pass(2000ms, 10ms);
  const auto sent = bus.seqs().size();
  CHECK(sent >= 950);
  CHECK(sent <= 1050);
  CHECK(bus.got[0]->batch.events.size() == 50);
  CHECK(ask_job(replays).job.state == job_state::running);
  pass(4000ms, 10ms);
  CHECK(bus.seqs() == wanted(1, 5000));
}

TEST_CASE_METHOD(replay_world, "places that are not in the journal any more are told", "[replay]") {
  fill(1001, 1100); // nothing before: it was retired
  start();
  const auto by_id = replay(at(500));
  REQUIRE_FALSE(by_id.ok);
  CHECK(by_id.why.code == errc::not_found);
  CHECK_THAT(by_id.why.message, Contains("the journal begins at " + event_id(1001, log->tag())) &&
                                    Contains("2026-09-21T14:13:21Z") &&
                                    Contains("journal.retention"));
  CHECK_FALSE(replay(when(0), {}, 0, true).ok);
  CHECK(replay({}, {}, 0, true).job.total == 50);
  CHECK(replay(when(1001), {}, 0, true).job.total == 50);
  CHECK(replay(at(1001), at(1003), 0, true).job.total == 3);
  CHECK(bus.got.empty());
}

TEST_CASE_METHOD(replay_world, "events that are retired under a replay fail it", "[replay]") {
  auto options = options_in(dir.path());
  fill(1, 3000);
  require_ok(log->rotate());
  fill(3001, 6000);
  start();
  bus.holds = true;
  replay();
  log->catalog()->remove(log->catalog()->list().front().number);
  while (!bus.waiting.empty()) {
    bus.answer();
    run();
  }
  const auto job = ask_job(replays).job;
  // What was read before is sent.
  CHECK(job.sent + job.refused == bus.seqs().size());
  if (job.sent == 3000) return; // all of it had been read at once
  CHECK(job.state == job_state::failed);
  CHECK_THAT(job.why, Contains("retired") && Contains(event_id(3001, log->tag())));
}

TEST_CASE_METHOD(replay_world, "replays that can't be", "[replay]") {
  start();
  CHECK_THAT(replay().why.message, Contains("no events of stream 'default'") ||
                                       Contains("no events of stream \"default\""));
  CHECK(replay({}, {}, 0, true).job.total == 0);
  fill(1, 100);
  CHECK_THAT(replay({}, {}, 0, false, "queue").why.message,
             Contains("penstock consume default --from"));
  CHECK_THAT(replay({}, {}, 0, true, "nowhere").why.message, Contains("bus, next"));
  CHECK_FALSE(replay(at(200)).ok);
  CHECK_THAT(ask_job(replays, 5).why.message, Contains("r5"));
  bus.holds = true;
  for (std::size_t i = 0; i < max_running_jobs; ++i)
    CHECK(replay().ok);
  CHECK(replay().why.code == errc::unavailable);
  CHECK(replay({}, {}, 0, true).ok);
}

TEST_CASE("a paced job never exceeds its rate by more than its slack", "[replay]") {
  std::minstd_rand random{7};
  for (const std::uint32_t rate : {1u, 3u, 10u, 999u, 5'000u, 1'000'000u}) {
    const auto chunk = paced_chunk(rate);
    CHECK(chunk >= 1);
    CHECK(chunk <= max_again_events);
    std::int64_t now = 1'000'000'000, due = now;
    const auto begun = now;
    std::uint64_t sent = 0;
    for (int i = 0; i < 2000; ++i) {
      if (now < due) now = due;
      now += static_cast<std::int64_t>(random() % 20'000); // timers are late
      due = next_due_us(due, now, chunk, rate);
      sent += chunk;
      const auto allowed =
          static_cast<double>(now - begun) * rate / 1e6 + static_cast<double>(chunk);
      CHECK(static_cast<double>(sent) <= allowed + 1);
    }
    // Late timers are made up for, as long as a chunk is longer than they are late.
    if (chunk * 1'000'000 / rate < 50'000) continue;
    const auto achieved = static_cast<double>(sent) * 1e6 / static_cast<double>(now - begun);
    CHECK(achieved > 0.99 * rate);
  }
  // After a long standstill there is no burst but for the slack.
  CHECK(next_due_us(0, 10'000'000, 100, 1000) == 10'000'000 - max_pace_debt_us + 100'000);
}
