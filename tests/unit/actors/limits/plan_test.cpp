// Which limits apply to which requests, which survive, and what counts the same.
#include "actors/limits/plan.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace penstock;

TEST_CASE("a limit applies by method and path", "[plan]") {
  limit rule{.name = "l"};
  CHECK(applies_to(rule, "POST", "/v1/events"));
  rule.paths = {"/v1/events/errors", "/v1/events/app*"};
  CHECK(applies_to(rule, "POST", "/v1/events/errors"));
  CHECK(applies_to(rule, "POST", "/v1/events/app"));
  CHECK(applies_to(rule, "POST", "/v1/events/apples"));
  CHECK_FALSE(applies_to(rule, "POST", "/v1/events/errors2"));
  CHECK_FALSE(applies_to(rule, "POST", "/v1/events/ap"));
  CHECK_FALSE(applies_to(rule, "POST", "/v1/events"));
  rule.methods = {"GET", "POST"};
  CHECK(applies_to(rule, "POST", "/v1/events/errors"));
  CHECK_FALSE(applies_to(rule, "PUT", "/v1/events/errors"));
  rule.paths = {"*"};
  CHECK(applies_to(rule, "GET", "/"));
}

TEST_CASE("the limits that apply are bits in the plan's order", "[plan]") {
  const plan rules{"p",
                   {{.name = "all"},
                    {.name = "errors", .paths = {"/v1/events/errors"}},
                    {.name = "reads", .methods = {"GET"}}}};
  CHECK(limits_that_apply(rules, "POST", "/v1/events/errors") == 0b011);
  CHECK(limits_that_apply(rules, "POST", "/v1/events") == 0b001);
  CHECK(limits_that_apply(rules, "GET", "/v1/usage") == 0b101);
  CHECK(is_selective(rules));
  CHECK_FALSE(is_selective(plan{"p", {{.name = "all"}}}));
  plan eight{"8", std::vector<limit>(max_limits_per_plan)};
  CHECK(limits_that_apply(eight, "POST", "/") == all_limits);
}

TEST_CASE("what counts the same goes on with what was used", "[plan]") {
  const limit one{.name = "l", .kind = algorithm::gcra, .amount = 1, .window_ns = 1};
  limit other = one;
  other.amount = 9;
  other.window_ns = 7;
  other.burst = 3;
  other.shadow = true;
  other.paths = {"/x"};
  CHECK(counts_the_same(one, other));
  CHECK(limit_id(one) == limit_id(other));
  for (auto change :
       {+[](limit& l) { l.name = "m"; }, +[](limit& l) { l.kind = algorithm::interval; },
        +[](limit& l) { l.cost = limit_cost::byte; }}) {
    limit changed = one;
    change(changed);
    CHECK_FALSE(counts_the_same(one, changed));
    CHECK(limit_id(one) != limit_id(changed));
  }
  limit scoped = one;
  scoped.scope = limit_scope::key;
  CHECK_FALSE(counts_the_same(one, scoped));
}

TEST_CASE("limits of a minute and longer survive, and the calendar's", "[plan]") {
  CHECK_FALSE(
      survives_restart({.name = "l", .kind = algorithm::gcra, .window_ns = 59'999'999'999}));
  CHECK(survives_restart({.name = "l", .kind = algorithm::gcra, .window_ns = 60'000'000'000}));
  CHECK(survives_restart({.name = "l", .kind = algorithm::calendar}));
}

TEST_CASE("ids are those of XXH32, the same on every node and in every version", "[plan]") {
  CHECK(plan_id("") == 0x02cc5d05); // as its specification gives
  CHECK(plan_id("anonymous") == stream_id("anonymous"));
  CHECK(plan_id("a") != plan_id("b"));
}

TEST_CASE("a plan's digest is of all that answers say of it and of what it counts", "[plan]") {
  const limit first{.name = "a", .amount = 5, .window_ns = 1'000'000'000};
  const auto digest = [](std::vector<limit> limits) {
    return plan_digest({"p", std::move(limits)});
  };
  const auto with = [&](auto change) {
    limit other = first;
    change(other);
    return digest({other});
  };
  const std::set<std::uint16_t> all{
      digest({}),
      digest({first}),
      digest({first, first}),
      with([](limit& of) { of.name = "b"; }),
      with([](limit& of) { of.amount = 6; }),
      with([](limit& of) { of.window_ns *= 2; }),
      with([](limit& of) { of.kind = algorithm::fixed_window; }),
      with([](limit& of) { of.kind = algorithm::calendar; }),
      with([](limit& of) { of.unit = calendar_unit::month; }),
      with([](limit& of) { of.cost = limit_cost::byte; }),
      with([](limit& of) { of.shadow = true; }),
      with([](limit& of) { of.scope = limit_scope::key; }),
  };
  CHECK(all.size() == 12);
  CHECK(all.count(0) == 0);
  CHECK(digest({first}) == digest({first}));
}
