// What nodes say about replicas survives CAF's binary serialiser; who speaks an earlier version of
// the wire reads and writes nothing that it does not know.
#include "actors/cluster/link_messages.hpp"
#include "actors/replication/replica_keys.hpp"
#include "actors/replication/replica_messages.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/storage/support.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
using namespace penstock::test;

namespace {

class replica_wire : public actor_fixture {
 public:
  template <class T>
  std::vector<char> bytes_of(const T& sent) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system, bytes};
    const caf::message out = caf::make_message(sent);
    REQUIRE_FALSE(sink(out));
    return bytes;
  }
  template <class T>
  T round_trip(const T& sent) {
    auto bytes = bytes_of(sent);
    caf::binary_deserializer source{system, bytes};
    caf::message in;
    REQUIRE_FALSE(source(in));
    REQUIRE(source.remaining() == 0);
    REQUIRE(in.template match_elements<T>());
    return in.template get_as<T>(0);
  }
};

event_block mixed_block() {
  event_block block;
  block.first_seq = 1'000'000'000'000;
  block.time_ms = -5;
  block.stream = "orders";
  block.push(std::string("\0\xff x", 4), "text/plain", UINT64_MAX);
  block.push("", "application/json", 2, R"({"traceparent":"00"})");
  block.push("third", "text/plain", 3);
  return block;
}

} // namespace

TEST_CASE_METHOD(replica_wire, "replica_batch", "[messages][replica]") {
  auto block = mixed_block();
  block.keys.push_back({{1, 2}, 3, 0, 1});
  const auto sent = std::make_shared<const event_block>(block);
  replica_batch batch;
  batch.session = 7;
  batch.tag = "aaaaaaaa";
  batch.node = "a";
  batch.confirmed_seq = 8;
  batch.after_seq = 9;
  batch.rows = {{sent}, {sent}};
  const auto got = round_trip(batch);
  CHECK(got.version == replicas_wire_version);
  CHECK(got.session == 7);
  CHECK(got.tag == "aaaaaaaa");
  CHECK(got.node == "a");
  CHECK(got.confirmed_seq == 8);
  CHECK(got.after_seq == 9);
  REQUIRE(got.rows.size() == 2);
  for (const auto& row : got.rows) {
    REQUIRE(row.block);
    CHECK(row.block != sent);
    CHECK(is_consistent(*row.block));
    CHECK(row.block->first_seq == block.first_seq);
    CHECK(row.block->time_ms == -5);
    CHECK(row.block->stream == "orders");
    CHECK(row.block->bodies == block.bodies);
    CHECK(row.block->content_types == block.content_types);
    CHECK(row.block->attributes == block.attributes);
    CHECK(row.block->keys.empty()); // the batch has them
    REQUIRE(row.block->size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(row.block->events[i].end == block.events[i].end);
      CHECK(row.block->events[i].type == block.events[i].type);
      CHECK(row.block->events[i].attributes == block.events[i].attributes);
      CHECK(row.block->events[i].client == block.events[i].client);
    }
  }
  CHECK(round_trip(replica_batch{}).rows.empty());
}

TEST_CASE_METHOD(replica_wire, "keys go with a batch since version 10", "[messages][wire]") {
  auto block = mixed_block();
  block.keys = {{{1, 2}, 3, 0, 1}, {{UINT64_MAX, 5}, 6, 1, 2}};
  replica_batch batch;
  batch.tag = "aaaaaaaa";
  batch.rows = {{std::make_shared<const event_block>(mixed_block())},
                {std::make_shared<const event_block>(block)}};
  batch.keys = keys_of(batch.rows);
  batch.is_passed_on = batch.is_partial = true;
  REQUIRE(batch.keys.size() == 2);
  SECTION("an earlier program gets none") {
    const auto got = round_trip(batch);
    CHECK_FALSE(got.is_partial);
    CHECK(got.keys.empty());
    CHECK_FALSE(got.is_passed_on);
  }
  SECTION("who knows them gets them with their rows") {
    batch.version = passing_wire_version;
    const auto got = round_trip(batch);
    CHECK(got.is_passed_on);
    CHECK(got.is_partial);
    const auto rows = rows_with_keys(got);
    REQUIRE(rows.has_value());
    CHECK(rows->at(0)->keys.empty());
    REQUIRE(rows->at(1)->keys.size() == 2);
    CHECK(rows->at(1)->keys[1].key == idempotency_key{UINT64_MAX, 5});
    CHECK(rows->at(1)->keys[1].content == 6);
    CHECK(rows->at(1)->keys[1].first == 1);
    CHECK(rows->at(1)->keys[1].count == 2);
  }
  SECTION("keys that are of no event are refused") {
    auto& key = batch.keys.back();
    SECTION("of no row") {
      key.row = 2;
    }
    SECTION("out of order") {
      std::swap(batch.keys[0], batch.keys[1]);
    }
    SECTION("beyond the row's end") {
      key.key.count = 3;
    }
    SECTION("overlapping") {
      key.key.first = 0;
    }
    SECTION("of nothing") {
      key.key.count = 0;
    }
    const auto rows = rows_with_keys(batch);
    REQUIRE_FALSE(rows.has_value());
    CHECK(rows.error().code == errc::corrupt);
  }
}

TEST_CASE_METHOD(replica_wire, "who speaks for a node that is away says so since version 10",
                 "[messages][wire]") {
  replica_news news{.tag = "bbbbbbbb", .confirmed_seq = 12};
  news.by = "cccccccc";
  news.held_seq = 20;
  news.is_published = news.is_partial = true;
  CHECK(round_trip(news).by.empty());
  news.version = passing_wire_version;
  const auto got = round_trip(news);
  CHECK(got.by == "cccccccc");
  CHECK(got.held_seq == 20);
  CHECK(got.is_published);
  CHECK(got.is_partial);
}

TEST_CASE_METHOD(replica_wire, "replica_held and replica_news", "[messages][replica]") {
  const auto held = round_trip(
      replica_held{.session = UINT64_MAX, .settled_seq = 2, .ok = false, .why = "no room"});
  CHECK(held.session == UINT64_MAX);
  CHECK(held.settled_seq == 2);
  CHECK_FALSE(held.ok);
  CHECK(held.why == "no room");
  const auto update = round_trip(replica_news{.tag = "bbbbbbbb", .confirmed_seq = 12});
  CHECK(update.tag == "bbbbbbbb");
  CHECK(update.confirmed_seq == 12);
}

namespace {

/// News as version 7 has them.
struct update_7 {
  std::uint8_t version = replicas_wire_version;
  std::string tag;
  std::uint64_t confirmed_seq = 0;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, update_7& x) {
  return f(x.version, x.tag, x.confirmed_seq);
}

} // namespace

TEST_CASE_METHOD(replica_wire, "what was delivered is told since version 8", "[messages][wire]") {
  replica_news update{.tag = "bbbbbbbb", .confirmed_seq = 12};
  update.as_of_seq = 20;
  update.delivered = {{"a", 12, {{14, 15}, {17, UINT64_MAX}}}, {"b", 0, {}}};
  const auto plain = [this](auto& value) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system, bytes};
    REQUIRE_FALSE(sink(value));
    return bytes;
  };
  SECTION("an earlier program reads, to the byte, what it always did") {
    update_7 before{.tag = "bbbbbbbb", .confirmed_seq = 12};
    CHECK(plain(update) == plain(before));
    const auto got = round_trip(update);
    CHECK(got.as_of_seq == 0);
    CHECK(got.delivered.empty());
  }
  SECTION("who knows it reads it") {
    update.version = delivered_wire_version;
    const auto got = round_trip(update);
    CHECK(got.confirmed_seq == 12);
    CHECK(got.as_of_seq == 20);
    REQUIRE(got.delivered.size() == 2);
    CHECK(got.delivered[0].stream == "a");
    CHECK(got.delivered[0].floor == 12);
    CHECK(got.delivered[0].beyond == update.delivered[0].beyond);
    CHECK(got.delivered[1].stream == "b");
    CHECK(got.delivered[1].beyond.empty());
  }
}

namespace {

/// A welcome as version 4 has it.
struct welcome_4 {
  std::uint32_t version = 4;
  std::vector<caf::actor> limiters, front_ends;
  caf::actor accounts, directory;
};
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, welcome_4& x) {
  return f(x.version, x.limiters, x.front_ends, x.accounts, x.directory);
}

} // namespace

TEST_CASE_METHOD(replica_wire, "a welcome is of the version that both speak", "[messages][wire]") {
  const auto someone =
      system.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; });
  welcome here;
  here.limiters = {someone};
  here.replicas = someone;
  here.version = 5;
  CHECK(round_trip(here).replicas == someone);

  // What the earlier program reads, to the byte, and what it writes.
  const auto plain = [this](auto& value) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system, bytes};
    REQUIRE_FALSE(sink(value));
    return bytes;
  };
  here.version = 4;
  welcome_4 before;
  before.limiters = {someone};
  CHECK(plain(here) == plain(before));
  auto bytes = plain(before);
  caf::binary_deserializer source{system, bytes};
  welcome read;
  REQUIRE_FALSE(source(read));
  CHECK(source.remaining() == 0);
  CHECK(read.version == 4);
  CHECK(read.limiters == std::vector<caf::actor>{someone});
  CHECK_FALSE(read.replicas);
  CHECK_FALSE(round_trip(here).replicas);
  caf::anon_send_exit(someone, caf::exit_reason::user_shutdown); // the serialiser registered it
}
