// The usage actors on virtual time: when they write, what a failure costs, and what a drain does.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/usage/usage_actor.hpp"
#include "actors/usage/usage_metrics.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

struct memory_usage_store final : usage_store {
  result<void> write(std::span<const usage_batch_ptr> batches, std::vector<usage_key>&) override {
    ++tries;
    if (fails) return error{errc::disk_full, "no room"};
    transactions.push_back(0);
    for (const auto& batch : batches)
      transactions.back() += batch->size();
    return {};
  }
  result<bool> trim(const usage_retention& keep, std::int64_t now_ms, std::size_t rows) override {
    CHECK(keep.max_rows == 77);
    CHECK(now_ms == 1'000'000);
    CHECK(rows == usage_trim_rows);
    ++trims;
    return slices_left > 0 && slices_left-- > 0;
  }
  std::uint64_t rows() const override { return 42; }
  usage_about about() const override { return {}; }
  result<void> describe(const usage_about&) override { return {}; }
  result<std::vector<usage_state>> states(std::span<const usage_key>) override {
    return std::vector<usage_state>{};
  }
  result<std::vector<usage_state>> states_after(usage_key&, std::size_t) override {
    return std::vector<usage_state>{};
  }
  std::int64_t begun_ms() const override { return 0; }
  std::uint64_t names() const override { return 0; }

  int tries = 0, trims = 0, slices_left = 0;
  bool fails = false;
  std::vector<std::size_t> transactions;
};

struct fake_reader final : usage_reader {
  result<std::vector<usage_row>> run_part(const usage_query&, std::uint32_t, std::uint32_t,
                                          const std::function<bool()>&) override {
    return std::vector<usage_row>{};
  }
  result<void> visit(usage_dimension, usage_period, std::int64_t, std::int64_t,
                     const std::function<void(const usage_row&)>&,
                     const std::function<bool()>&) override {
    return {};
  }
  result<usage_report> run(const usage_query& query,
                           const std::function<bool()>& give_up) override {
    if (give_up()) return error{errc::unavailable, "given up"};
    usage_report report;
    report.rows.push_back({*query.id, 5, {1, 2, 3, 4}});
    return report;
  }
};

usage_batch_ptr batch_of(std::size_t entries) {
  auto batch = std::make_shared<usage_batch>();
  batch->entries[0].resize(entries);
  return batch;
}

class usage_world : public actor_fixture {
 public:
  usage_world() {
    usage_parts parts;
    parts.store = store;
    parts.keep.max_rows = 77;
    parts.metrics = metrics;
    parts.wall_ms = [] { return 1'000'000; };
    usage = plain_actor(system.spawn(usage_actor, parts));
    run();
  }
  ~usage_world() {
    caf::anon_send(usage, drain{});
    run();
  }
  void hand_over(std::size_t entries) {
    caf::anon_send(usage, batch_of(entries));
    run();
  }
  void tick() { pass(usage_write_interval, usage_write_interval); }

  std::shared_ptr<memory_usage_store> store = std::make_shared<memory_usage_store>();
  std::shared_ptr<usage_metrics> metrics = std::make_shared<usage_metrics>();
  caf::actor usage;
};

} // namespace

TEST_CASE_METHOD(usage_world, "usage is written once a second, all that came in one transaction",
                 "[usage]") {
  hand_over(3);
  hand_over(4);
  pass(usage_write_interval - 1ms, 100ms);
  CHECK(store->tries == 0);
  pass(1ms, 1ms);
  CHECK(store->transactions == std::vector<std::size_t>{7});
  CHECK(metrics->entries.value() == 7);
  CHECK(metrics->rows.value() == 42);
  tick();
  CHECK(store->tries == 1); // nothing came
  CHECK(store->trims == 2); // time passes all the same
  hand_over(1);
  tick();
  CHECK(store->transactions == std::vector<std::size_t>{7, 1});
}

TEST_CASE_METHOD(usage_world, "what can't be written waits, up to a bound", "[usage]") {
  store->fails = true;
  hand_over(max_pending_usage_entries - 1);
  hand_over(5);
  hand_over(1);
  tick();
  tick();
  CHECK(store->tries == 2);
  CHECK(metrics->failures.value() == 2);
  CHECK(metrics->lost.value() == 5);
  store->fails = false;
  tick();
  CHECK(store->transactions == std::vector<std::size_t>{max_pending_usage_entries});
  hand_over(5);
  tick();
  CHECK(store->transactions.back() == 5);
  CHECK(metrics->lost.value() == 5);
}

TEST_CASE_METHOD(usage_world, "old rows go in slices, so many after a write", "[usage]") {
  store->slices_left = 3;
  tick();
  CHECK(store->trims == 4);
  store->slices_left = 10 * max_usage_trims;
  tick();
  CHECK(store->trims == 4 + max_usage_trims);
}

TEST_CASE_METHOD(usage_world, "a drain writes what is left before it answers", "[usage]") {
  hand_over(9);
  self->send(usage, drain{});
  run();
  drained done;
  CHECK(take(self, done));
  CHECK(store->transactions == std::vector<std::size_t>{9});
}

TEST_CASE_METHOD(actor_fixture, "the reader answers, and gives up when the node stops", "[usage]") {
  auto stopping = std::make_shared<std::atomic<bool>>(false);
  auto reader =
      system.spawn(usage_reader_actor,
                   usage_reader_parts{std::make_shared<fake_reader>(), {}, {}, stopping, false});
  usage_query query;
  query.id = "x";
  const auto ask = [&] {
    self->send(reader, usage_query_ptr{std::make_shared<usage_query>(query)});
    run();
    usage_answer_ptr answer;
    REQUIRE(take(self, answer));
    return answer;
  };
  const auto good = ask();
  REQUIRE(good->ok);
  CHECK(good->report.rows.at(0).id == "x");
  CHECK(good->report.rows.at(0).counts == usage_counts{1, 2, 3, 4});
  *stopping = true;
  const auto bad = ask();
  CHECK_FALSE(bad->ok);
  CHECK(bad->why.code == errc::unavailable);
  caf::anon_send(reader, drain{});
  run();
}
