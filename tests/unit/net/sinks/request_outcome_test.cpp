#include "net/sinks/request_outcome.hpp"
#include "tests/unit/net/sinks/sink_support.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace penstock;
using penstock::test::letters_of;
using penstock::test::sample_batch;
using penstock::test::sample_event;

namespace {

struct outcome_world {
  sink_batch batch;
  encoded_events encoded;
  request_limits limits{.max_events = 1000};
  std::vector<std::string> requests; ///< "0 1 2"

  explicit outcome_world(const std::vector<std::uint64_t>& clients) {
    std::vector<sample_event> events;
    for (const auto client : clients)
      events.push_back({"{}", client});
    batch = sample_batch(events);
    for (std::size_t i = 0; i < clients.size(); ++i)
      encoded.pieces.push_back({.counted_bytes = 10});
  }

  delivery run(const request_sender& send) {
    return deliver_in_requests(batch, encoded, limits, [&](auto events) {
      std::string words;
      for (const auto event : events)
        words += (words.empty() ? "" : " ") + std::to_string(event);
      requests.push_back(words);
      return send(events);
    });
  }
};

request_sender refusing(std::set<std::uint32_t> guilty) {
  return [guilty = std::move(guilty)](std::span<const std::uint32_t> events) {
    for (const auto event : events)
      if (guilty.contains(event)) return request_outcome::whole_refusal(events.size(), "bad");
    return request_outcome::all(events.size(), settled_as::delivered);
  };
}

std::vector<std::uint64_t> many_clients(std::size_t count) {
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(i);
  return out;
}

} // namespace

TEST_CASE("requests keep to the limits on events and bytes") {
  outcome_world world{many_clients(7)};
  world.limits = {.max_events = 3, .max_bytes = 1000};
  CHECK(letters_of(world.run(refusing({})).events) == "ddddddd");
  CHECK(world.requests == std::vector<std::string>{"0 1 2", "3 4 5", "6"});
  world.requests.clear();
  world.limits = {.max_events = 3, .max_bytes = 25};
  world.encoded.pieces[2].counted_bytes = 100; // more than any request: alone
  CHECK(letters_of(world.run(refusing({})).events) == "ddddddd");
  CHECK(world.requests == std::vector<std::string>{"0 1", "2", "3 4", "5 6"});
}

TEST_CASE("the guilty of a refused request are found and the others delivered") {
  for (const auto& guilty : std::vector<std::set<std::uint32_t>>{{0}, {499}, {999}, {3, 4, 700}}) {
    outcome_world world{many_clients(1000)};
    const auto out = world.run(refusing(guilty));
    for (std::uint32_t i = 0; i < 1000; ++i)
      REQUIRE(out.events[i] == (guilty.contains(i) ? settled_as::refused : settled_as::delivered));
    CHECK(out.refusal == "bad");
    CHECK(out.failure.empty());
    CHECK(world.requests.size() <= guilty.size() * 30);
  }
}

TEST_CASE("a batch becomes so many requests and no more") {
  outcome_world world{many_clients(1000)};
  std::set<std::uint32_t> all;
  for (std::uint32_t i = 0; i < 1000; ++i)
    all.insert(i);
  const auto out = world.run(refusing(all));
  CHECK(world.requests.size() == max_requests_per_batch);
  CHECK(out.events[0] == settled_as::refused);
  CHECK(out.events[999] == settled_as::failed);
  CHECK_FALSE(out.failure.empty());
}

TEST_CASE("nothing of a client is sent behind what was refused") {
  outcome_world world{{1, 2, 1, 2, 3}};
  const auto out = world.run(refusing({0}));
  CHECK(letters_of(out.events) == "rdfdd");
  CHECK(out.failure.find("same client") != std::string::npos);
  for (const auto& request : world.requests)
    if (request.find('2') != std::string::npos) CHECK(request.starts_with("0"));
}

TEST_CASE("what can't be encoded is refused, without a request, and nothing waits for it") {
  outcome_world world{{1, 2, 1}};
  world.encoded.pieces[0].refusal = "too large";
  const auto out = world.run(refusing({}));
  CHECK(letters_of(out.events) == "rdd");
  CHECK(out.refusal == "too large");
  CHECK(out.failure.empty());
  CHECK(world.requests == std::vector<std::string>{"1 2"});
}

TEST_CASE("what is delivered behind a failure of its client counts as failed, to come again") {
  outcome_world world{{1, 1, 2}};
  const auto middle_missing = [](std::span<const std::uint32_t> events) {
    auto out = request_outcome::all(events.size(), settled_as::delivered);
    out.events[0] = settled_as::failed;
    out.failure = "slow down";
    out.pause_ms = std::chrono::milliseconds{70};
    return out;
  };
  auto out = world.run(middle_missing);
  CHECK(letters_of(out.events) == "ffd");
  CHECK(out.failure == "slow down");
  CHECK(out.pause_ms.count() == 70);
  world.limits.keeps_order = false;
  CHECK(letters_of(world.run(middle_missing).events) == "fdd");
}

TEST_CASE("after a failure nothing more is sent") {
  outcome_world world{many_clients(6)};
  world.limits.max_events = 2;
  const auto out = world.run([&](auto events) {
    return world.requests.size() == 2
               ? request_outcome::all(events.size(), settled_as::failed, "gone")
               : request_outcome::all(events.size(), settled_as::delivered);
  });
  CHECK(letters_of(out.events) == "ddffff");
  CHECK(out.failure == "gone");
  CHECK(world.requests.size() == 2);
}

TEST_CASE("quoted words are short, printable and on one line") {
  CHECK(quoted_words("a\nb\x01\xff") == "a b  ");
  CHECK(quoted_words(std::string(300, 'x')).size() == 203);
}
