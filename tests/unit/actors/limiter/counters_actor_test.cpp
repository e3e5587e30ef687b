// What clients used is saved, kept when it can't be, and told only once it is durable.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/limiter/counters_actor.hpp"
#include "actors/limiter/limiter_messages.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

// A store that can be made to fail.
struct memory_counter_store final : counter_store {
  bool failing = false;
  std::vector<counter_row> saved;
  std::vector<shard_mark> marked;
  std::int64_t cleaned_at = 0;

  result<void> load(std::int64_t, const std::function<void(const counter_row&)>&) override {
    return {};
  }
  result<std::vector<std::uint8_t>> handed_over() override { return std::vector<std::uint8_t>{}; }
  result<void> save(std::span<const counter_row> rows, std::span<const shard_mark> marks) override {
    if (failing) return error{errc::disk_full, "no room"};
    marked.insert(marked.end(), marks.begin(), marks.end());
    saved.insert(saved.end(), rows.begin(), rows.end());
    return {};
  }
  result<std::size_t> remove_idle(std::int64_t now_ns, std::size_t) override {
    cleaned_at = now_ns;
    return std::size_t{2};
  }
};

class counters_fixture : public actor_fixture {
 public:
  std::shared_ptr<memory_counter_store> store = std::make_shared<memory_counter_store>();
  std::shared_ptr<counters_metrics> metrics = std::make_shared<counters_metrics>();
  caf::actor counters = plain_actor(system.spawn(
      counters_actor, counters_parts{store, metrics, [] { return std::int64_t{77}; }}));

  void hand_over(std::uint64_t client) {
    self->send(counters, counters_changed{std::make_shared<const std::vector<counter_row>>(
                             1, counter_row{.client = client})});
    run();
  }
  bool told() {
    counters_saved update;
    return take(self, update);
  }
  ~counters_fixture() {
    self->send(counters, drain{});
    run();
  }
};

} // namespace

TEST_CASE_METHOD(counters_fixture, "a hand-over is saved, and told", "[counters]") {
  hand_over(5);
  CHECK(store->saved.size() == 1);
  CHECK(told());
  CHECK_FALSE(told());
  CHECK(metrics->saves.value() == 1);
  CHECK(metrics->rows.value() == 1);
}

TEST_CASE_METHOD(counters_fixture, "marks of shards are saved with the rows, also later",
                 "[counters]") {
  const auto rows = std::make_shared<const std::vector<counter_row>>();
  store->failing = true;
  self->send(counters, counters_changed{rows, {{7, true}}});
  run();
  CHECK_FALSE(told());
  store->failing = false;
  pass(counters_interval, counters_interval);
  CHECK(told());
  CHECK(store->marked == std::vector<shard_mark>{{7, true}});
}

TEST_CASE_METHOD(counters_fixture, "what can't be saved is kept and tried again", "[counters]") {
  store->failing = true;
  hand_over(5);
  hand_over(6);
  pass(3 * counters_interval, counters_interval);
  CHECK_FALSE(told());
  CHECK(metrics->failures.value() == 2 + 3 * 2);
  CHECK(store->cleaned_at == 0); // the store has trouble enough
  store->failing = false;
  pass(counters_interval, counters_interval);
  CHECK(store->saved.size() == 2);
  CHECK(told());
  CHECK(told());
  CHECK_FALSE(told());
  pass(counters_interval, counters_interval);
  CHECK(store->saved.size() == 2);
  CHECK(store->cleaned_at == 77);
  CHECK(metrics->removed.value() > 0);
}

TEST_CASE_METHOD(counters_fixture, "drain ends it", "[counters]") {
  self->monitor(counters);
  self->send(counters, drain{});
  run();
  drained done;
  CHECK(take(self, done));
  caf::down_msg down;
  CHECK(take(self, down));
}
