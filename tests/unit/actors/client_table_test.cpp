#include "actors/client_table.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <malloc.h>

#include <unordered_map>
#include <vector>

using namespace penstock;

namespace {

constexpr std::int64_t second = 1'000'000'000;

plan two_limits() {
  return {"two",
          {{.name = "burst", .kind = algorithm::gcra, .amount = 10, .window_ns = second},
           {.name = "minute",
            .kind = algorithm::fixed_window,
            .amount = 100,
            .window_ns = 60 * second}}};
}

// What the allocator has handed out, maps included.
std::size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

} // namespace

TEST_CASE("a client finds its states again, and others have their own", "[client_table]") {
  client_table table(2, 100'000);
  test_random random(7);
  std::unordered_map<std::uint64_t, std::uint32_t> expected;
  for (std::uint32_t i = 1; i <= 20'000; ++i) {
    const std::uint64_t client = random.next();
    expected[client] = i;
    const std::span<limit_state> states = table.find_or_add(client);
    REQUIRE(states.size() == 2);
    REQUIRE(states[0] == limit_state{});
    REQUIRE(states[1] == limit_state{});
    states[0].used = i;
    states[1].used = i + 1;
  }
  CHECK(table.size() == expected.size());
  for (const auto& [client, i] : expected) {
    REQUIRE(table.find_or_add(client)[0].used == i);
    REQUIRE(table.find_or_add(client)[1].used == i + 1);
  }
}

TEST_CASE("a full table takes no new client but keeps those it has", "[client_table]") {
  client_table table(1, 3);
  for (std::uint64_t client = 1; client <= 3; ++client)
    table.find_or_add(client)[0].used = 5;
  CHECK(table.find_or_add(4).empty());
  CHECK(table.find_or_add(2)[0].used == 5);
  CHECK(table.size() == 3);
}

TEST_CASE("a sweep forgets the idle, and only them", "[client_table]") {
  const plan rules = two_limits();
  client_table table(2, 100'000);
  test_random random(3);
  std::vector<std::uint64_t> early;
  std::vector<std::uint64_t> late;
  for (int i = 0; i < 10'000; ++i) {
    (i % 2 == 0 ? early : late).push_back(random.next());
    const std::uint64_t client = i % 2 == 0 ? early.back() : late.back();
    admit(rules, table.find_or_add(client), i % 2 == 0 ? 0 : 30 * second, 1);
  }
  // At 60 s the windows of the early ones are over, those of the late ones are not.
  CHECK(table.sweep(rules, 60 * second - 1, 20'000) == 0);
  std::size_t forgotten = 0;
  int calls = 0;
  for (; forgotten < early.size() && calls < 1000; ++calls)
    forgotten += table.sweep(rules, 60 * second, 100);
  CHECK(forgotten == early.size());
  CHECK(calls == 100);
  CHECK(table.size() == late.size());
  for (const std::uint64_t client : late)
    REQUIRE(table.find_or_add(client)[1].used == 1);
  for (const std::uint64_t client : early)
    REQUIRE(table.find_or_add(client)[1] == limit_state{});
}

TEST_CASE("slots freed are used again before memory grows", "[client_table]") {
  const plan rules = two_limits();
  client_table table(2, 10'000);
  test_random random(5);
  std::size_t bytes = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10'000; ++i) {
      const auto states = table.find_or_add(random.next());
      REQUIRE_FALSE(states.empty());
      REQUIRE(states[0] == limit_state{});
      REQUIRE(states[1] == limit_state{});
      admit(rules, states, round * 100 * second, 3);
    }
    CHECK(table.size() == 10'000);
    if (round == 4) bytes = table.memory_bytes();
    CHECK(table.sweep(rules, (round + 1) * 100 * second, 20'000) == 10'000);
    CHECK(table.size() == 0);
  }
  // The shards' shares differ from round to round, so a few hash tables grow once more.
  CHECK(table.memory_bytes() < bytes * 5 / 4);
}

TEST_CASE("a changed plan keeps the states of limits that stay", "[client_table]") {
  const plan before = two_limits();
  client_table table(2, 100);
  const std::span<limit_state> states = table.find_or_add(42);
  admit(before, states, 5 * second, 4);
  const limit_state burst = states[0];
  const limit_state minute = states[1];

  plan after;
  after.limits = {before.limits[1],
                  {.name = "day", .kind = algorithm::calendar, .amount = 9},
                  before.limits[0]};
  after.limits[0].amount = 50;
  table.change_plan(before, after);
  REQUIRE(table.find_or_add(42).size() == 3);
  CHECK(table.find_or_add(42)[0] == minute);
  CHECK(table.find_or_add(42)[1] == limit_state{});
  CHECK(table.find_or_add(42)[2] == burst);
  CHECK(table.find_or_add(43).size() == 3);
  CHECK(table.find_or_add(43)[2] == limit_state{});

  // Of another kind, a limit of the same name begins anew.
  plan other{"other", {{.name = "burst", .kind = algorithm::interval}}};
  table.change_plan(after, other);
  REQUIRE(table.find_or_add(42).size() == 1);
  CHECK(table.find_or_add(42)[0] == limit_state{});

  table.change_plan(other, {});
  CHECK(table.find_or_add(42).empty());
  CHECK(table.sweep({}, 0, 100) == 2);
  table.change_plan({}, before);
  CHECK(table.find_or_add(42).size() == 2);
}

TEST_CASE("the fraction that gcra keeps survives a change of its amount as a whole",
          "[client_table]") {
  plan before = two_limits();
  before.limits[0].amount = 3;
  client_table table(2, 100);
  admit(before, table.find_or_add(1), 0, 1);
  CHECK(table.find_or_add(1)[0] == limit_state{333'333'333, 1, 0});
  plan after = before;
  after.limits[0].amount = 2;
  table.change_plan(before, after);
  CHECK(table.find_or_add(1)[0] == limit_state{333'333'334, 0, 0});
}

TEST_CASE("the table knows its own memory, at most 100 bytes a client", "[client_table]") {
  // Just after the hash tables doubled is the worst moment; the sizes between cover it.
  for (const std::size_t clients : {40'000u, 60'000u, 100'000u, 210'000u, 220'000u, 230'000u}) {
    const std::size_t before = allocated_bytes();
    auto table = std::make_unique<client_table>(2, clients);
    test_random random(clients);
    for (std::size_t i = 0; i < clients; ++i)
      table->find_or_add(random.next());
    const std::size_t taken = allocated_bytes() - before;
    INFO(clients << " clients, " << taken / clients << " bytes each");
    CHECK(table->size() == clients);
    CHECK(table->memory_bytes() <= 100 * clients);
#ifndef __SANITIZE_ADDRESS__ // whose allocator does not tell what was taken
    CHECK(taken <= 100 * clients);
    CHECK(table->memory_bytes() >= taken * 98 / 100);
    CHECK(table->memory_bytes() <= taken * 102 / 100);
#endif
  }
}
