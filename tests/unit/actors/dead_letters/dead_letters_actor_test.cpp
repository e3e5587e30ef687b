// Dead letters on virtual time: kept, listed, sent again, dropped.
#include "actors/base/lifecycle_messages.hpp"
#include "tests/unit/actors/dead_letters/jobs_world.hpp"

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;

namespace {

class letters_world : public jobs_world {
 public:
  letters_world() { start(); }

  job_answer retry(dead_letter_filter filter = {}, std::uint32_t rate = 0) {
    return ask<job_answer>(letters, retry_dead_letters{std::move(filter), rate});
  }
};

} // namespace

TEST_CASE_METHOD(letters_world, "letters are kept, counted, listed and dropped", "[letters]") {
  CHECK(store_some(1, 3).ok);
  CHECK(store_some(2, 2, "next").ok);
  CHECK(store_some(3, 3).ok); // as after a crash
  CHECK(kept_seqs() == std::vector<std::uint64_t>{1, 2, 3, 2});
  pass(dead_letters_publish_interval, dead_letters_publish_interval);
  REQUIRE(dead_letter_counts->tallies().size() == 2);
  CHECK(dead_letter_counts->tallies()[0].letters == 3);
  CHECK(dead_letter_counts->bytes.value() > 4 * 256);

  list_dead_letters request;
  request.filter.sink = "bus";
  request.limit = 2;
  request.with_bodies = true;
  auto page = ask<dead_letters_page_ptr>(letters, request);
  CHECK(page->letters.size() == 2);
  CHECK(page->letters[1].letter.body == "event 2");
  CHECK(page->tallies.size() == 2);
  REQUIRE(page->next > 0);
  request.after = page->next;
  page = ask<dead_letters_page_ptr>(letters, request);
  CHECK(page->letters.size() == 1);
  CHECK(page->next == 0);

  dead_letter_filter filter;
  filter.ids = {{2, log->tag()}};
  CHECK(ask<dead_letters_dropped>(letters, drop_dead_letters{filter}).dropped == 2);
  CHECK(kept_seqs() == std::vector<std::uint64_t>{1, 3});
  CHECK(bus.got.empty());
}

TEST_CASE_METHOD(letters_world, "what a sink takes again is no dead letter any more", "[letters]") {
  store_some(1, 5);
  store_some(9, 9, "next");
  bus.refuses = {2, 4};
  wall_ms += 5000;
  const auto started = retry();
  REQUIRE(started.ok);
  CHECK(started.job.total == 6);
  CHECK(bus.seqs() == std::vector<std::uint64_t>{1, 2, 3, 4, 5});
  CHECK(next.seqs() == std::vector<std::uint64_t>{9});
  // The id is that under which the event was refused, and nothing is added.
  const auto& batch = bus.got[0]->batch;
  CHECK(batch.again.empty());
  CHECK(batch.tag == log->tag());
  CHECK(batch.stream == "default");
  CHECK(batch.events[0].body() == "event 1");
  const auto left = kept();
  REQUIRE(left.size() == 2);
  CHECK(left[0].letter.seq == 2);
  CHECK(left[0].letter.reason == "no 2");
  CHECK(left[1].letter.reason == "no 4");
  CHECK(left[0].letter.tries == 6);
  CHECK(left[0].letter.died_ms == wall_ms);
  const auto job = ask_job(letters).job;
  CHECK(job.state == job_state::done);
  CHECK(job.sent == 4);
  CHECK(job.refused == 2);
  CHECK(dead_letter_counts->retried.value() == 4);
  CHECK(ask<job_list_ptr>(letters, list_jobs{})->jobs.size() == 1);
  // Once more, by id, when the sink takes it.
  bus.refuses.clear();
  dead_letter_filter filter;
  filter.ids = {{4, log->tag()}};
  CHECK(retry(filter).job.total == 1);
  CHECK(kept_seqs() == std::vector<std::uint64_t>{2});
}

TEST_CASE_METHOD(letters_world, "a retry is cut into chunks, one at a time", "[letters]") {
  store_some(1, 2 * max_again_events + 1);
  bus.holds = true;
  retry();
  CHECK(bus.got.size() == 1);
  CHECK(bus.got[0]->batch.events.size() == max_again_events);
  bus.answer();
  run();
  CHECK(bus.got.size() == 2);
  CHECK(ask_job(letters).job.sent == max_again_events);
  bus.answer();
  run();
  bus.answer();
  run();
  CHECK(bus.seqs() == range(1, 2 * max_again_events + 1));
  CHECK(kept().empty());
}

TEST_CASE_METHOD(letters_world, "a retry goes on after a crash with what was not settled",
                 "[letters]") {
  store_some(1, max_again_events + 5);
  bus.holds = true;
  retry();
  bus.answer();
  run();
  REQUIRE(bus.got.size() == 2);
  stop(); // while the second chunk is under way
  bus.got.clear();
  bus.holds = false;
  start();
  CHECK(bus.seqs() == range(max_again_events + 1, max_again_events + 5));
  CHECK(kept().empty());
  const auto job = ask_job(letters).job;
  CHECK(job.state == job_state::done);
  CHECK(job.sent == max_again_events + 5);
}

TEST_CASE_METHOD(letters_world, "a retry that was cancelled leaves its letters", "[letters]") {
  store_some(1, max_again_events + 5);
  bus.holds = true;
  retry();
  CHECK(ask<job_answer>(letters, cancel_job{1}).job.state == job_state::cancelled);
  bus.answer(); // what was under way counts
  run();
  CHECK(bus.got.size() == 1);
  CHECK(kept_seqs() == range(max_again_events + 1, max_again_events + 5));
  CHECK(ask_job(letters).job.sent == max_again_events);
  CHECK(ask_job(letters).job.state == job_state::cancelled);
  const auto resumed = ask<job_answer>(letters, resume_job{1});
  CHECK_FALSE(resumed.ok);
  CHECK_THAT(resumed.why.message, Contains("start another"));
  bus.holds = false;
  CHECK(retry().job.total == 5);
  CHECK(kept().empty());
}

TEST_CASE_METHOD(letters_world, "a chunk that a publisher gives back is sent later", "[letters]") {
  store_some(1, 3);
  bus.gives_back = error{errc::unavailable, "too many requests"};
  retry();
  CHECK(ask_job(letters).job.why == "too many requests");
  CHECK(kept().size() == 3);
  pass(job_retry_interval, 100ms);
  CHECK(bus.got.size() == 2);
  CHECK(kept().empty());
  CHECK(ask_job(letters).job.state == job_state::done);
}

TEST_CASE_METHOD(letters_world, "retries that can't be", "[letters]") {
  dead_letter_filter filter;
  filter.sink = "nowhere";
  CHECK_THAT(retry(filter).why.message, Contains("nowhere") && Contains("bus, next"));
  CHECK(retry().job.number == 0); // nothing there
  CHECK(retry().job.state == job_state::done);
  CHECK_THAT(ask_job(letters, 77).why.message, Contains("d77"));
  // Letters of a sink that is gone from the configuration stay as they are.
  store_some(1, 2, "gone");
  store_some(3, 4);
  CHECK(retry().job.total == 4);
  REQUIRE(kept_seqs() == std::vector<std::uint64_t>{1, 2});
  CHECK(kept()[0].letter.reason == "first reason");
  CHECK(kept()[0].letter.tries == 5);
}

TEST_CASE_METHOD(jobs_world, "a full store stores nothing more, and tells", "[letters]") {
  start(600);
  CHECK(store_some(1, 2).ok);
  const auto full = store_some(3, 3);
  CHECK_FALSE(full.ok);
  CHECK_THAT(full.why.message, Contains("dead_letters.max_size"));
  CHECK(dead_letter_counts->store_failures.value() == 1);
  retry_dead_letters all;
  CHECK(ask<job_answer>(letters, all).ok);
  CHECK(store_some(3, 3).ok);
}

TEST_CASE_METHOD(letters_world, "a drain waits for what is under way and starts no more",
                 "[letters]") {
  store_some(1, max_again_events + 5);
  bus.holds = true;
  retry();
  auto drained_reply = self->request(letters, caf::infinite, drain{});
  run();
  CHECK(store_some(5000, 5000).ok); // publishers that drain may still store
  bus.answer();
  run();
  bool told = false;
  drained_reply.receive([&](drained) { told = true; }, [](caf::error&) {});
  CHECK(told);
  CHECK(bus.got.size() == 1);
  CHECK(ask_job(letters).job.state == job_state::running);
}
