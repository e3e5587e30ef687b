// What the keeper lets go, how often it looks, and what it tells when it can't.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/retention/retention_actor.hpp"
#include "actors/retention/retention_metrics.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

struct fake_segments final : segment_keeper {
  result<void> prepare() override {
    ++prepared;
    if (prepare_fails) return error{errc::disk_full, "no room for a segment"};
    return {};
  }
  result<std::size_t> retire(std::uint64_t confirmed_seq, std::int64_t before) override {
    CHECK(prepared == static_cast<int>(retired_to.size() + idle)); // first what frees room
    retired_to.push_back(confirmed_seq);
    before_ms = before;
    if (retire_fails) return error{errc::io, "can't unlink"};
    return std::size_t{2};
  }
  result<std::size_t> retire_these(const std::vector<segment_info>&) override {
    return std::size_t{0};
  }
  result<std::uint64_t> measure(const segment_info&, const backlog_events&,
                                std::uint64_t) override {
    return std::uint64_t{0};
  }
  result<void> move(std::vector<segment_info>, const backlog_events&, std::uint64_t) override {
    return {};
  }
  std::uint64_t moved_bytes() const override { return 0; }
  int prepared = 0;
  std::size_t idle = 0; // ticks in which nothing was confirmed
  std::vector<std::uint64_t> retired_to;
  std::int64_t before_ms = 0;
  bool prepare_fails = false;
  bool retire_fails = false;
};

class retention_world : public actor_fixture {
 public:
  retention_world() { durable_up_to(8); }
  ~retention_world() {
    if (keeper) caf::anon_send(keeper, drain{});
    run();
  }

  void durable_up_to(std::uint64_t seq) {
    segment_info segment;
    segment.number = 1;
    segment.first_seq = 1;
    segment.last_seq = seq;
    catalog->put(segment);
  }

  void start(std::vector<std::string> sinks) {
    retention_parts parts;
    parts.segments = segments;
    parts.catalog = catalog;
    parts.sinks = std::move(sinks);
    parts.retention_ms = 500ms;
    parts.metrics = metrics;
    parts.wall_ms = [] { return 1'000'000; };
    keeper = plain_actor(system.spawn(retention_actor, parts));
    run();
  }

  void confirm(std::uint64_t seq, const std::string& sink) {
    caf::anon_send(keeper, confirmed_up_to{seq, sink});
    run();
  }
  void tick() { pass(retention_interval, retention_interval); }

  std::shared_ptr<fake_segments> segments = std::make_shared<fake_segments>();
  std::shared_ptr<segment_catalog> catalog = std::make_shared<segment_catalog>();
  std::shared_ptr<retention_metrics> metrics = std::make_shared<retention_metrics>();
  caf::actor keeper;
};

/// What is logged while it lives.
class captured_log {
 public:
  captured_log() : before_(spdlog::default_logger()) {
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_)));
  }
  ~captured_log() { spdlog::set_default_logger(before_); }

  /// The lines that hold `words`.
  int count(const std::string& words) const {
    std::istringstream lines{text_.str()};
    int found = 0;
    for (std::string line; std::getline(lines, line);)
      if (line.find(words) != std::string::npos) ++found;
    return found;
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::logger> before_;
};

using list = std::vector<std::uint64_t>;

} // namespace

TEST_CASE_METHOD(retention_world, "the keeper retires what every sink has confirmed", "[keeper]") {
  start({"queue", "bus"});
  confirm(5, "queue");
  segments->idle = 1;
  tick();
  CHECK(segments->prepared == 1);
  CHECK(segments->retired_to.empty()); // nothing is known of the other
  confirm(3, "bus");
  confirm(2, "bus");          // never goes back
  confirm(1, "someone else"); // does not count
  tick();
  CHECK(segments->retired_to == list{3});
  CHECK(segments->before_ms == 1'000'000 - 500);
  CHECK(metrics->retired.value() == 2);
  confirm(100, "queue");
  confirm(100, "bus");
  tick();
  CHECK(segments->retired_to == list{3, 8}); // no further than what is durable
}

TEST_CASE_METHOD(retention_world, "without sinks what is durable may go", "[keeper]") {
  start({});
  tick();
  CHECK(segments->retired_to == list{8});
  durable_up_to(11);
  tick();
  CHECK(segments->retired_to == list{8, 11});
}

TEST_CASE_METHOD(retention_world, "the keeper looks ten times a second, and when it is told",
                 "[keeper]") {
  start({});
  pass(retention_interval - 1ms, 1ms);
  CHECK(segments->prepared == 0);
  pass(1ms, 1ms);
  CHECK(segments->prepared == 1);
  for (int i = 0; i < 3; ++i)
    caf::anon_send(keeper, upkeep_tick{});
  run();
  CHECK(segments->prepared == 4);
  pass(1s, 10ms);
  CHECK(segments->prepared == 14); // what it is told starts no series of its own
}

TEST_CASE_METHOD(retention_world, "a drain ends the keeper", "[keeper]") {
  start({});
  self->monitor(keeper);
  caf::anon_send(keeper, drain{});
  run();
  caf::down_msg down;
  CHECK(take(self, down));
  pass(1s, 100ms);
  CHECK(segments->prepared == 0);
}

TEST_CASE_METHOD(retention_world, "what goes on failing is tried each time and told once",
                 "[keeper]") {
  captured_log log;
  start({});
  SECTION("retiring, while preparing works") {
    segments->retire_fails = true;
  }
  SECTION("preparing, while retiring works") {
    segments->prepare_fails = true;
  }
  const std::string words = segments->retire_fails ? "can't unlink" : "no room for a segment";
  pass(1s, 10ms);
  CHECK(metrics->failures.value() == 10);
  CHECK(log.count(words) == 1);
  CHECK(segments->prepared == 10); // also when retiring fails
  CHECK(segments->retired_to.size() == 10);
  CHECK(metrics->retired.value() == (segments->retire_fails ? 0 : 20));

  segments->retire_fails = segments->prepare_fails = false;
  tick();
  CHECK(metrics->failures.value() == 10);
  (words == "can't unlink" ? segments->retire_fails : segments->prepare_fails) = true;
  pass(1s, 10ms);
  CHECK(log.count(words) == 2); // it had worked in between
}
