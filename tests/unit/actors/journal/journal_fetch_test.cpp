// What publishers get from the journal's memory.
#include "actors/journal/journal_messages.hpp"
#include "tests/unit/actors/journal/journal_world.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

class fetch_world : public journal_world {
 public:
  void fetch(caf::scoped_actor& publisher, const std::string& stream, std::uint64_t after_seq) {
    publisher->send(actor, fetch_request{stream, after_seq});
    run();
  }

  /// Sends and commits one group.
  void commit(const std::vector<part>& parts) {
    send(batch(front_a, parts));
    run();
    REQUIRE(told(front_a).ok);
  }

  fetch_reply answer;
};

} // namespace

TEST_CASE_METHOD(fetch_world, "a fetch is answered from memory at once", "[journal]") {
  start();
  commit({{"s", 2}, {"t", 1}, {"s", 2}}); // 1, 2; 3; 4, 5
  commit({{"s", 1}});                     // 6
  fetch(self, "s", 0);
  REQUIRE(take(self, answer));
  CHECK(answer.stream == "s");
  CHECK_FALSE(answer.read_segments);
  CHECK(numbers(answer.blocks) == std::vector<std::uint64_t>{1, 2, 4, 5, 6});
  fetch(self, "s", 4);
  REQUIRE(take(self, answer));
  CHECK(numbers(answer.blocks) == range(4, 6)); // whole blocks
  fetch(self, "s", 5);
  REQUIRE(take(self, answer));
  CHECK(numbers(answer.blocks) == range(6, 6));
}

TEST_CASE_METHOD(fetch_world, "a fetch waits for the next event of its stream", "[journal]") {
  start();
  commit({{"s", 1}, {"t", 1}});
  fetch(self, "s", 2);
  fetch(front_b, "s", 1);
  fetch(front_b, "t", 2);
  commit({{"u", 1}}); // 3
  store->fail_commit = errc::io;
  post(front_a, "s"); // 4 fails
  run();
  CHECK_FALSE(told(front_a).ok);
  CHECK_FALSE(take(self, answer));
  CHECK_FALSE(take(front_b, answer));

  post(front_a, "s"); // 5
  scheduler.run_once();
  CHECK_FALSE(take(self, answer)); // staged, not durable
  run();
  send(batch(front_a, {{"u", 1}, {"s", 1}})); // 6, 7
  run();
  REQUIRE(take(self, answer));
  CHECK_FALSE(answer.read_segments);
  CHECK(numbers(answer.blocks) == range(5, 5));
  CHECK_FALSE(take(self, answer)); // one answer a fetch
  REQUIRE(take(front_b, answer));
  CHECK(answer.stream == "s");
  CHECK(numbers(answer.blocks) == range(5, 5));
  CHECK_FALSE(take(front_b, answer)); // 't' has nothing new
}

TEST_CASE_METHOD(fetch_world, "a waiting fetch gets all rows of the commit", "[journal]") {
  start();
  fetch(self, "s", 0);
  commit({{"s", 1}, {"t", 1}, {"s", 1}});
  REQUIRE(take(self, answer));
  CHECK(numbers(answer.blocks) == std::vector<std::uint64_t>{1, 3});
}

TEST_CASE_METHOD(fetch_world, "memory that does not reach back sends to the segments",
                 "[journal]") {
  SECTION("after a restart") {
    start();
    commit({{"s", 5}});
    restart();
    fetch(self, "s", 4);
    REQUIRE(take(self, answer));
    CHECK(answer.read_segments);
    CHECK(answer.stream == "s");
    CHECK(answer.blocks.empty());
    fetch(self, "s", 5); // all that was durable: nothing is missing
    CHECK_FALSE(take(self, answer));
    const auto first = store->next_seq();
    post(front_b, "s");
    run();
    REQUIRE(take(self, answer));
    CHECK_FALSE(answer.read_segments);
    CHECK(numbers(answer.blocks) == range(first, first));
  }
  SECTION("when it is small") {
    settings.recent_bytes = 8 << 10;
    start();
    commit({{"s", 1}});       // 1
    commit({{"s", 1, 6000}}); // 2
    fetch(self, "s", 0);
    REQUIRE(take(self, answer));
    CHECK(answer.blocks.size() == 2);
    commit({{"t", 1, 6000}}); // 3 takes the room
    fetch(self, "s", 1);
    REQUIRE(take(self, answer));
    CHECK(answer.read_segments);
    fetch(self, "s", 2);
    CHECK_FALSE(take(self, answer));
    commit({{"t", 1, 6000}}); // 4 drops 3, and so what lies after 2 is not complete any more
    commit({{"s", 1}});       // 5
    REQUIRE(take(self, answer));
    CHECK(answer.read_segments);
    CHECK(answer.blocks.empty());
    fetch(self, "s", 3);
    REQUIRE(take(self, answer));
    CHECK(numbers(answer.blocks) == range(5, 5));
  }
  SECTION("when the event that was waited for is larger than it") {
    settings.recent_bytes = 8 << 10;
    start();
    fetch(self, "s", 0);
    commit({{"s", 1, 9000}});
    REQUIRE(take(self, answer));
    CHECK(answer.read_segments);
    CHECK(answer.blocks.empty());
  }
}

TEST_CASE_METHOD(fetch_world, "only streams that someone fetches are kept", "[journal]") {
  start();
  const auto made = batch(front_a, {{"s", 1}, {"logs", 1}});
  const auto blocks = made->blocks;
  send(made);
  run();
  append_done done;
  REQUIRE(take(front_a, done));
  // A front end uses a block again that only it holds.
  CHECK(made->blocks.empty());
  CHECK(blocks[0].use_count() > 1); // in memory
  CHECK(blocks[1].use_count() == 1);
  fetch(self, "logs", 0);
  CHECK_FALSE(take(self, answer));
  CHECK(durable("logs") == range(2, 2));
}
