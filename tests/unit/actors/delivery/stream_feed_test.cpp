#include "actors/delivery/stream_feed.hpp"

#include "actors/delivery/publish_watches.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr auto no_feed_cap = ~0u;

std::shared_ptr<const event_block> feed_block(std::uint64_t first_seq,
                                              const std::vector<std::uint64_t>& clients,
                                              std::size_t body_bytes = 1) {
  auto block = std::make_shared<event_block>();
  block->first_seq = first_seq;
  for (const auto client : clients)
    block->push(std::string(body_bytes, 'x'), "text/plain", client);
  return block;
}

void deliver_all(stream_feed& feed, std::uint32_t lane) {
  const auto events = feed.lane(lane).take(no_feed_cap);
  feed.settle(lane, delivery::all(events.size(), settled_as::delivered), 0, 1, 0);
}

stream_feed two_lanes(const std::vector<cursor>& saved = {}) {
  return {"errors", delivered_before{saved, "bus", "errors"}, 2, batch_rules{}};
}

} // namespace

TEST_CASE("a client's events go through one lane, and the slowest lane holds the stream back") {
  auto feed = two_lanes();
  const auto read = feed.add({feed_block(1, {0, 1, 2, 3})}, 0);
  CHECK(read == event_volume{4, 4});
  CHECK(feed.lane(0).open() == 2);
  deliver_all(feed, 0);
  CHECK(feed.confirmed(0) == 4);
  CHECK(feed.confirmed(1) == 1);
  CHECK(feed.confirmed() == 1);
  CHECK(feed.open_bytes() == 2);
  deliver_all(feed, 1);
  CHECK(feed.confirmed() == 4);
  feed.pass_over(9);
  CHECK(feed.confirmed() == 9);
}

TEST_CASE("what was delivered before a restart is not delivered again") {
  auto before = two_lanes();
  before.add({feed_block(1, {0, 1, 2, 3, 5, 7})}, 0);
  deliver_all(before, 0);
  (void)before.lane(1).take(no_feed_cap);
  before.settle(1,
                {.events = {settled_as::failed, settled_as::delivered, settled_as::delivered,
                            settled_as::failed}},
                0, 1, 0);
  const auto saved = before.to_save("bus");

  SECTION("with as many lanes") {
    auto after = two_lanes(saved);
    CHECK(after.position() == 1);
    after.add({feed_block(1, {0, 1, 2, 3, 5, 7})}, 0);
    CHECK(after.lane(0).open() == 0);
    CHECK(after.lane(1).open() == 2); // 2 and 6
    CHECK(after.lane(1).first_open_seq() == 2);
  }
  SECTION("with another number of lanes, and once more after that") {
    stream_feed after{"errors", delivered_before{saved, "bus", "errors"}, 3, batch_rules{}};
    after.add({feed_block(1, {0, 1, 2, 3, 5, 7})}, 0);
    CHECK(after.open_events() == 2);
    deliver_all(after, 1); // client 1 and 7
    auto both = saved;
    for (auto& one : after.to_save("bus"))
      both.push_back(one);
    auto last = two_lanes(both);
    last.add({feed_block(1, {0, 1, 2, 3, 5, 7})}, 0);
    CHECK(last.open_events() == 0);
  }
  SECTION("but for another sink and stream it is") {
    stream_feed other{"errors", delivered_before{saved, "bu", "errors"}, 2, batch_rules{}};
    CHECK(other.position() == 0);
    stream_feed elsewhere{"other", delivered_before{saved, "bus", "other"}, 2, batch_rules{}};
    CHECK(elsewhere.position() == 0);
  }
}

TEST_CASE("a feed holds so much and reads no further") {
  auto feed = two_lanes();
  std::uint64_t seq = 1;
  while (feed.wants_blocks())
    feed.add({feed_block(seq++, {0}, 1u << 20)}, 0);
  const auto held = feed.open_bytes();
  CHECK(held <= max_feed_bytes + (2u << 20));
  CHECK(feed.add({feed_block(seq, {0})}, 0) == event_volume{});
  CHECK(feed.position() == seq - 1);
  deliver_all(feed, 0);
  CHECK(feed.wants_blocks());
}

TEST_CASE("a block stays counted while one of its events is open") {
  auto feed = two_lanes();
  while (feed.wants_blocks())
    feed.add({feed_block(feed.position() + 1, {0, 1}, 1u << 19)}, 0);
  while (feed.lane(0).due_ms())
    deliver_all(feed, 0);
  CHECK_FALSE(feed.wants_blocks()); // lane 1 holds them all
}

TEST_CASE("waits are answered when their lane has passed them") {
  publish_watches watches{2};
  std::vector<publish_watches::answer> answers;
  watches.add(0, {1, 5, 7, 0, 100}, 4, answers);
  watches.add(1, {2, 8, 8, 3, 100}, 8, answers);
  REQUIRE(answers.size() == 1); // late, but true
  CHECK(answers[0].token == 2);
  CHECK(answers[0].front_end == 3);
  answers.clear();
  watches.advance(0, 6, answers);
  watches.advance(1, 9, answers);
  CHECK(answers.empty());
  watches.advance(0, 7, answers);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].published);
  CHECK(watches.size() == 0);
}

TEST_CASE("who waits for an event that dies learns it, early or late") {
  publish_watches watches{1};
  std::vector<publish_watches::answer> answers;
  watches.add(0, {1, 5, 7, 0, 100}, 0, answers);
  watches.add(0, {2, 7, 9, 0, 100}, 0, answers);
  watches.died(0, 6, answers);
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].token == 1);
  CHECK_FALSE(answers[0].published);
  answers.clear();
  watches.add(0, {3, 6, 6, 0, 100}, 10, answers);
  REQUIRE(answers.size() == 1);
  CHECK_FALSE(answers[0].published);
  watches.forget_expired(100);
  CHECK(watches.size() == 0);
}
