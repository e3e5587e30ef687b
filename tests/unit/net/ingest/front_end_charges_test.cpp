// What the limiters are told of a request, and what their newer answers mean.
#include "actors/limits/limit_messages.hpp"
#include "net/clients/plan_charges.hpp"
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

front_end_options with(std::vector<limit> limits) {
  front_end_options options;
  options.rules = {"anonymous", std::move(limits)};
  return options;
}

limit bytes(std::uint32_t amount) {
  return {.name = "b", .amount = amount, .window_ns = 60'000 * ms, .cost = limit_cost::byte};
}

} // namespace

TEST_CASE_METHOD(front_end_fixture, "charges: plan and stream by their ids, events by number") {
  start();
  auto client = connect();
  send(client, event(client_for(0), "abc", "/v1/events/errors") + ndjson(client_for(0), "1\n22\n"));
  const auto question = asked(limiter_0);
  REQUIRE(question);
  REQUIRE(question->items.size() == 2);
  const auto& one = question->items[0];
  CHECK(one.client == client_of(client_for(0)));
  CHECK(one.key == 0);
  CHECK(one.plan == plan_id("anonymous"));
  CHECK(one.stream == stream_id("errors"));
  CHECK(one.events == 1);
  CHECK(one.limits == all_limits);
  CHECK(question->items[1].stream == stream_id("default"));
  CHECK(question->items[1].events == 2);
  // Nothing of the plan counts bytes.
  CHECK(one.bytes == 0);
  CHECK(question->items[1].bytes == 0);
  CHECK(question->sizes.empty());
}

TEST_CASE_METHOD(front_end_fixture, "charges: bytes where a limit counts them") {
  start(with({bytes(100)}));
  auto client = connect();
  const auto who = client_for(0);
  send(client, event(who, "abc") + ndjson(who, "1\n{\n22\n\n333\n") + ndjson(who, "4444\n{\n") +
                   ndjson(who, "{\n") +
                   event(who, "no json", "/v1/events", "Content-Type: application/json\r\n") +
                   ndjson(who, "1\n22\n"));
  const auto question = asked(limiter_0);
  REQUIRE(question);
  std::vector<std::uint32_t> told;
  for (auto& item : question->items)
    told.push_back(item.bytes);
  CHECK(told == std::vector<std::uint32_t>{3, 6, 4, 0, 0, 3});
  CHECK(costs(question) == std::vector<std::uint32_t>{1, 3, 1, 0, 0, 2});
  // Sizes of batches of several events only.
  CHECK(question->sizes == std::vector<std::uint32_t>{1, 2, 3, 1, 2});
  grant(question);
  // The next turn's begin anew.
  durable(appended());
  send(client, ndjson(who, "55555\n1\n"));
  CHECK(asked(limiter_0)->sizes == std::vector<std::uint32_t>{5, 1});
}

TEST_CASE_METHOD(front_end_fixture, "charges: limits by path, also after a reload") {
  limit rule{.name = "l", .amount = 10, .window_ns = 60'000 * ms};
  limit errors = rule;
  errors.name = "errors";
  errors.paths = {"/v1/events/errors"};
  auto options = with({rule, errors});
  start(options);
  auto client = connect();
  const auto who = client_for(0);
  send(client, event(who, "a") + event(who, "a", "/v1/events/errors?x=1") +
                   event(who, "a", "/v1/events/errors"));
  const auto masks = [](const std::optional<admit_request>& of) {
    std::vector<int> found;
    if (of)
      for (auto& item : of->items)
        found.push_back(item.limits);
    return found;
  };
  const auto question = asked(limiter_0);
  CHECK(masks(question) == std::vector<int>{0b01, 0b11, 0b11});
  grant(question);
  options.rules.limits[1].paths = {"/v1/events"};
  tell(accounts_changed{options.keys, plans_of(options)});
  send(client, event(who, "a") + event(who, "a", "/v1/events/errors"));
  CHECK(masks(asked(limiter_0)) == std::vector<int>{0b11, 0b01});
}

TEST_CASE_METHOD(front_end_fixture, "charges: an answer tells of the rules that decided") {
  const auto hours = [](std::uint32_t amount) {
    return plan{"anonymous",
                {{.name = "l",
                  .kind = algorithm::fixed_window,
                  .amount = amount,
                  .window_ns = 3'600'000 * ms}}};
  };
  front_end_options options;
  options.rules = hours(2);
  start(options);
  const auto digest = [&](std::uint32_t amount) { return plan_digest(hours(amount)); };
  REQUIRE(digest(2) != digest(50));
  auto client = connect();
  const auto change_to = [&](std::uint32_t amount) {
    options.rules = hours(amount);
    tell(accounts_changed{options.keys, plans_of(options)});
  };
  const auto decided = [&](std::uint32_t by) {
    reply(
        asked(limiter_0),
        {{.granted = 1, .remaining = by - 1, .reset_s = 9, .limit = 0, .plan_digest = digest(by)}});
    durable(appended());
    return expect(client, 202)["ratelimit-policy"];
  };
  // The plan changes while the limiter is asked, and decides by the new one.
  send(client, event(client_for(0), "a"));
  change_to(50);
  CHECK(decided(50) == "\"l\";q=50;w=3600");
  // One that has not heard of a change yet.
  change_to(70);
  send(client, event(client_for(0), "a"));
  CHECK(decided(50) == "\"l\";q=50;w=3600");
  // Two changes while it is asked; and it has the first of them.
  send(client, event(client_for(0), "a"));
  change_to(80);
  change_to(90);
  CHECK(decided(80) == "\"l\";q=80;w=3600");
  // What nobody here has heard of is told as it is known here.
  send(client, event(client_for(0), "a"));
  CHECK(decided(1000) == "\"l\";q=90;w=3600");
}

TEST_CASE_METHOD(front_end_fixture, "charges: a plan that the limiter does not know is 503") {
  start();
  auto client = connect();
  send(client, event(client_for(0), "a"));
  reply(asked(limiter_0), {{.reason = static_cast<std::uint8_t>(refusal::unknown_plan)}});
  CHECK(expect(client, 503)["retry-after"] == "1");
  CHECK(shed(shed_reason::unknown_plan) == 1);
}

TEST_CASE_METHOD(front_end_fixture, "charges: what a limit never admits is 413") {
  start(with({bytes(100)}));
  auto client = connect();
  const verdict large{.remaining = 100,
                      .reset_s = 1,
                      .limit = 0,
                      .reason = static_cast<std::uint8_t>(refusal::too_large)};
  send(client, event(client_for(0), "a") + ndjson(client_for(0), "1\n2\n") +
                   ndjson(client_for(0), "{\n2\n"));
  reply(asked(limiter_0), {large, large, large});
  auto got = expect(client, 413);
  CHECK_FALSE(got.fields.contains("retry-after"));
  CHECK(got["ratelimit"] == "\"b\";r=100;t=1");
  expect(client, 413);
  expect(client, 400); // the first error's
}

TEST_CASE("a plan's masks are the same from memory, and beyond what it remembers") {
  plan rules{"p", {{.name = "a", .paths = {"/v1/events/7*"}}, {.name = "b", .methods = {"GET"}}}};
  plan_charges charges{rules};
  CHECK(charges.plan() == plan_id("p"));
  for (int round = 0; round < 2; ++round)
    for (std::size_t i = 0; i < 2 * plan_charges::max_paths; ++i) {
      const auto path = "/v1/events/" + std::to_string(i);
      REQUIRE(charges.limits("POST", path) == limits_that_apply(rules, "POST", path));
      REQUIRE(charges.limits("GET", path) == limits_that_apply(rules, "GET", path));
    }
}
