#include "actors/delivery/stream_hold.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr stream_hold::rules hold_rules_of_test{
    .retry_min_ms = 100, .retry_max_ms = 1000, .missing_after_ms = 10'000};

} // namespace

TEST_CASE("a stream without a target is held at once, tried ever more seldom, and released") {
  stream_hold hold{hold_rules_of_test};
  CHECK_FALSE(hold.is_held());
  CHECK(hold.on_failure(failure_scope::missing, 0, 0, 0, 0));
  CHECK(hold.is_held());
  CHECK(hold.due_ms() == 50);
  CHECK_FALSE(hold.on_failure(failure_scope::missing, 50, 0, 0, 0)); // it was held
  CHECK(hold.due_ms() == 150);
  for (int i = 0; i < 20; ++i)
    hold.on_failure(failure_scope::missing, 1000, 0, 0, 0.5);
  CHECK(hold.due_ms() == 1750);
  CHECK(hold.on_success());
  CHECK_FALSE(hold.is_held());
  CHECK(hold.failures() == 0);
  CHECK_FALSE(hold.on_success());
}

TEST_CASE("a pause that the sink asks of one stream is that stream's") {
  stream_hold hold{hold_rules_of_test};
  hold.on_failure(failure_scope::stream, 0, 5000, 0, 0);
  CHECK(hold.due_ms() == 5000);
}

TEST_CASE("a failure that may be the sink's holds a stream only when others get through") {
  stream_hold hold{hold_rules_of_test};
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(hold.on_failure(failure_scope::sink, i * 1000, 0, 7, 0));
  CHECK_FALSE(hold.on_failure(failure_scope::sink, 0, 0, 8, 0)); // once may be chance
  CHECK(hold.on_failure(failure_scope::sink, 0, 0, 9, 0));
}

TEST_CASE("a missing target lapses after the time in which the sink said so, and no other") {
  stream_hold hold{hold_rules_of_test};
  hold.on_failure(failure_scope::missing, 0, 0, 0, 0);
  hold.on_failure(failure_scope::missing, 6000, 0, 0, 0);
  CHECK(hold.missing_ms() == 6000);
  // The sink is away for an hour: nobody knows.
  hold.on_failure(failure_scope::sink, 7000, 0, 0, 0);
  hold.on_failure(failure_scope::sink, 3'600'000, 0, 0, 0);
  hold.on_failure(failure_scope::missing, 3'601'000, 0, 0, 0);
  CHECK(hold.missing_ms() == 6000);
  CHECK_FALSE(hold.is_lapsed());
  hold.on_failure(failure_scope::missing, 3'605'000, 0, 0, 0);
  CHECK(hold.is_lapsed());
  // Nothing dies while the sink is away.
  hold.on_failure(failure_scope::sink, 3'606'000, 0, 0, 0);
  CHECK_FALSE(hold.is_lapsed());
  hold.on_failure(failure_scope::missing, 3'607'000, 0, 0, 0);
  CHECK(hold.is_lapsed());
  hold.on_success();
  CHECK_FALSE(hold.is_lapsed());
}

TEST_CASE("a stream that waits for ever never lapses, nor does one that is only throttled") {
  auto rules = hold_rules_of_test;
  rules.missing_after_ms = 0;
  stream_hold waits{rules};
  stream_hold throttled{hold_rules_of_test};
  for (std::int64_t at = 0; at < 100'000'000; at += 1'000'000) {
    waits.on_failure(failure_scope::missing, at, 0, 0, 0);
    throttled.on_failure(failure_scope::stream, at, 0, 0, 0);
  }
  CHECK_FALSE(waits.is_lapsed());
  CHECK_FALSE(throttled.is_lapsed());
}

TEST_CASE("a hold in a hurry pauses no longer than it may") {
  stream_hold hold{hold_rules_of_test};
  for (int i = 0; i < 20; ++i)
    hold.on_failure(failure_scope::missing, 0, 0, 0, 1);
  hold.hurry(0, 200);
  CHECK(hold.due_ms() == 200);
  hold.on_failure(failure_scope::missing, 200, 0, 0, 1);
  CHECK(hold.due_ms() == 400);
}

TEST_CASE("held streams get one lane at a time and a tenth of the time") {
  probe_budget budget;
  CHECK(budget.allows(0));
  budget.on_sent(100);
  CHECK_FALSE(budget.allows(100'000)); // one at a time
  budget.on_done(1100);
  CHECK_FALSE(budget.allows(1100));
  CHECK(budget.next_ms() == 1100 + 9 * 1000);
  CHECK(budget.allows(10'100));
}
