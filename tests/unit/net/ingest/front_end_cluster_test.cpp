// Clients that another node counts: their verdicts may come later, and hold up nobody else.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "net/http/front_end_metrics.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

verdict pending() {
  verdict out;
  out.reason = verdict::pending;
  return out;
}

verdict unreachable() {
  verdict out;
  out.reason = static_cast<std::uint8_t>(refusal::unreachable);
  return out;
}

front_end_options elsewhere() {
  front_end_options options;
  options.shard_owner.assign(shard_count, 1);
  return options;
}

class foreign_fixture : public front_end_fixture {
 public:
  foreign_fixture() { start(elsewhere()); }
  void later(const std::optional<admit_request>& question, std::vector<std::uint32_t> positions,
             std::vector<verdict> verdicts) {
    REQUIRE(question);
    tell(admit_reply{question->token, std::move(verdicts), std::move(positions)});
  }
};

} // namespace

TEST_CASE_METHOD(front_end_fixture, "cluster: clients of ours and of others are asked for apart") {
  auto options = elsewhere();
  for (std::uint32_t shard = 0; shard < shard_count; shard += 4)
    options.shard_owner[shard] = 0;
  start(options);
  std::string mine = "a", theirs = "b";
  while (shard_of(client_of(mine)) % 4 != 0)
    mine += 'a';
  while (shard_of(client_of(theirs)) % 4 != 2)
    theirs += 'b';
  auto client = connect();
  send(client, event(theirs, "1") + event(mine, "2") + event(theirs, "3"));
  auto first = asked(limiter_0), second = asked(limiter_0);
  CHECK(costs(first).size() == 1);
  CHECK(costs(second).size() == 2);
  CHECK(nobody_asked());
  grant(first);
  auto two = appended();
  REQUIRE(two);
  CHECK(bodies(*two->blocks[0]) == std::vector<std::string>{"2"});
  grant(second);
  auto rest = appended();
  REQUIRE(rest);
  CHECK(bodies(*rest->blocks[0]) == std::vector<std::string>{"1", "3"});
}

TEST_CASE_METHOD(foreign_fixture, "cluster: requests go on as their verdicts come") {
  auto client = connect(), other = connect();
  const auto to_0 = client_for(0);
  send(other, event(to_0, "x") + ndjson(to_0, "1\n2\n3\n"));
  auto question = asked(limiter_0);
  REQUIRE(costs(question) == std::vector<std::uint32_t>{1, 3});
  reply(question, {pending(), pending()});
  CHECK_FALSE(appended());
  later(question, {1}, {granted(2)});
  auto lines = appended();
  REQUIRE(lines);
  CHECK(bodies(*lines->blocks[0]) == std::vector<std::string>{"1", "2"});
  later(question, {1}, {granted(3)}); // it was answered before
  CHECK_FALSE(appended());
  later(question, {0}, {granted(1)});
  auto single = appended();
  REQUIRE(single);
  CHECK(bodies(*single->blocks[0]) == std::vector<std::string>{"x"});
  durable(single);
  durable(lines);
  CHECK(id_in(expect(other, 202)) == id(3));
  expect(other, 202);
  CHECK(metrics.in_flight_bytes.value() == 0);
}

TEST_CASE_METHOD(foreign_fixture, "cluster: refusals are told while others wait") {
  auto client = connect(), other = connect();
  const auto to_0 = client_for(0);
  send(client, event(to_0, "a"));
  auto first = asked(limiter_0);
  reply(first, {pending()});
  send(other, event(to_0, "b") + event(to_0, "{", "/v1/events", "Content-Type: text/json\r\n"));
  auto second = asked(limiter_0);
  REQUIRE(costs(second) == std::vector<std::uint32_t>{1, 0});
  reply(second, {refused(), pending()});
  expect(other, 429);
  later(second, {0}, {granted(1)}); // not open any more
  later(second, {7}, {granted(1)}); // never was
  later(second, {1}, {granted(0)});
  expect(other, 400);
  later(first, {0}, {unreachable()});
  auto got = expect(client, 503);
  CHECK(got["retry-after"] == "1");
  CHECK(json_of(got).at("type").as_string() ==
        "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity");
  CHECK_FALSE(got.fields.contains("ratelimit"));
  CHECK(shed(shed_reason::unreachable) == 1);
  CHECK_FALSE(appended());
  CHECK(metrics.in_flight_bytes.value() == 0);
}

TEST_CASE_METHOD(foreign_fixture, "cluster: shards may move between a request and its verdict") {
  auto client = connect();
  send(client, event(client_for(0), "a"));
  auto question = asked(limiter_0);
  reply(question, {pending()});
  tell(placement_changed{placement_of(std::vector<std::uint16_t>(shard_count, 0))});
  later(question, {0}, {granted(1)});
  durable(appended());
  expect(client, 202);
  send(client, event(client_for(0), "b"));
  grant(asked(limiter_0));
  durable(appended());
  expect(client, 202);
}
