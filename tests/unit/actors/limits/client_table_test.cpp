#include "actors/limits/client_table.hpp"
#include "tests/unit/actors/limits/admit_support.hpp"
#include "tests/unit/actors/limits/durations.hpp"
#include "tests/unit/actors/random.hpp"

#include <catch2/catch.hpp>

#include <malloc.h>

#include <set>
#include <unordered_map>
#include <vector>

using namespace penstock;

// What both compilers say of the address sanitizer, each in its way.
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

namespace {

plan two_limits() {
  return {"two",
          {{.name = "burst", .kind = algorithm::gcra, .amount = 10, .window_ns = second_ns},
           {.name = "minute",
            .kind = algorithm::fixed_window,
            .amount = 100,
            .window_ns = 60 * second_ns}}};
}

verdict admit_in(client_table& table, const plan& rules, std::uint64_t client, std::int64_t now,
                 std::uint32_t events) {
  limit_state* states = table.find_or_add(client).states;
  return admit_events(rules, {states, rules.limits.size()}, now, events);
}

// What the allocator has handed out, maps included.
std::size_t allocated_bytes() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

} // namespace

TEST_CASE("a client finds its states again, and others have their own", "[client_table]") {
  client_table table(two_limits().limits);
  test_random random(7);
  std::unordered_map<std::uint64_t, std::uint32_t> expected;
  for (std::uint32_t i = 1; i <= 20'000; ++i) {
    const std::uint64_t client = random.next();
    expected[client] = i;
    CHECK_FALSE(table.find(client).states);
    const auto entry = table.find_or_add(client);
    REQUIRE(entry.added);
    limit_state* const states = entry.states;
    REQUIRE(states[0] == limit_state{});
    REQUIRE(states[1] == limit_state{});
    states[0].used = i;
    states[1].used = i + 1;
  }
  CHECK(table.size() == expected.size());
  for (const auto& [client, i] : expected) {
    REQUIRE_FALSE(table.find_or_add(client).added);
    REQUIRE(table.find_or_add(client).states[0].used == i);
    REQUIRE(table.find(client).states[1].used == i + 1);
  }
}

TEST_CASE("a sweep forgets the idle, and only them", "[client_table]") {
  const plan rules = two_limits();
  client_table table(rules.limits);
  test_random random(3);
  std::vector<std::uint64_t> early;
  std::vector<std::uint64_t> late;
  for (int i = 0; i < 10'000; ++i) {
    (i % 2 == 0 ? early : late).push_back(random.next());
    const std::uint64_t client = i % 2 == 0 ? early.back() : late.back();
    admit_in(table, rules, client, i % 2 == 0 ? 0 : 30 * second_ns, 1);
  }
  // At 60 s the windows of the early ones are over, those of the late ones are not.
  const auto none = table.sweep(60 * second_ns - 1, 20'000);
  CHECK(none.forgotten == 0);
  CHECK(none.visited == 10'000);
  CHECK(none.at_end);
  std::size_t forgotten = 0;
  int calls = 0;
  for (; forgotten < early.size() && calls < 1000; ++calls)
    forgotten += table.sweep(60 * second_ns, 100).forgotten;
  CHECK(forgotten == early.size());
  CHECK(calls == 100);
  CHECK(table.size() == late.size());
  for (const std::uint64_t client : late)
    REQUIRE(table.find_or_add(client).states[1].used == 1);
  for (const std::uint64_t client : early)
    REQUIRE(table.find_or_add(client).states[1] == limit_state{});
}

TEST_CASE("slots freed are used again before memory grows", "[client_table]") {
  const plan rules = two_limits();
  client_table table(rules.limits);
  test_random random(5);
  std::size_t bytes = 0;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 10'000; ++i) {
      const std::uint64_t client = random.next();
      const auto entry = table.find_or_add(client);
      REQUIRE(entry.states[0] == limit_state{});
      REQUIRE(entry.states[1] == limit_state{});
      admit_in(table, rules, client, round * 100 * second_ns, 3);
      table.mark_changed(entry);
    }
    CHECK(table.size() == 10'000);
    if (round == 4) bytes = table.memory_bytes();
    CHECK(table.sweep((round + 1) * 100 * second_ns, 20'000).forgotten == 10'000);
    CHECK(table.size() == 0);
    CHECK_FALSE(table.has_changed(client_table::reader::disk));
  }
  // The shards' shares differ from round to round, so a few hash tables grow once more.
  CHECK(table.memory_bytes() < bytes * 5 / 4);
}

TEST_CASE("changed rules keep the states of limits that stay", "[client_table]") {
  const plan before = two_limits();
  client_table table(before.limits);
  admit_in(table, before, 42, 5 * second_ns, 4);
  const limit_state burst = table.find(42).states[0];
  const limit_state minute = table.find(42).states[1];

  plan after;
  after.limits = {before.limits[1],
                  {.name = "day", .kind = algorithm::calendar, .amount = 9},
                  before.limits[0]};
  after.limits[0].amount = 50;
  table.change_rules(after.limits, 5 * second_ns);
  CHECK(table.find(42).states[0] == minute);
  CHECK(table.find(42).states[1] == limit_state{});
  CHECK(table.find(42).states[2] == burst);
  CHECK(table.find_or_add(43).states[2] == limit_state{});

  // Of another kind, or counting bytes, a limit of the same name begins anew.
  std::vector<limit> other{{.name = "burst", .kind = algorithm::interval}, after.limits[0]};
  other[1].cost = limit_cost::byte;
  table.change_rules(other, 5 * second_ns);
  CHECK(table.find(42).states[0] == limit_state{});
  CHECK(table.find(42).states[1] == limit_state{});
  CHECK(table.size() == 2);
}

TEST_CASE("clients that changed are visited once, all of them, a few at a time", "[client_table]") {
  client_table table(two_limits().limits);
  test_random random(11);
  std::set<std::uint64_t> changed;
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t client = random.next();
    const auto entry = table.find_or_add(client);
    if (i % 3 != 0) continue;
    table.mark_changed(entry);
    table.mark_changed(entry);
    changed.insert(client);
  }
  std::set<std::uint64_t> seen;
  const auto visit = [&](std::uint64_t client, limit_state* states) {
    CHECK(states == table.find(client).states);
    CHECK(seen.insert(client).second);
  };
  int calls = 0;
  for (; table.has_changed(client_table::reader::disk) && calls < 100; ++calls) {
    const std::size_t before = seen.size();
    table.take_changed(client_table::reader::disk, 70, visit);
    CHECK(seen.size() == std::min<std::size_t>(before + 70, changed.size()));
  }
  CHECK(calls == 15);
  CHECK(seen == changed);
  // Changed again, and forgotten before it was visited.
  seen.clear();
  table.mark_changed(table.find(*changed.begin()));
  CHECK(table.sweep(0, 10'000).forgotten == 3000); // nothing was charged
  CHECK_FALSE(table.has_changed(client_table::reader::disk));
  table.take_changed(client_table::reader::disk, 10, visit);
  CHECK(seen.empty());
  // Other rules change what is to be saved of everyone; what is short-lived is not saved.
  table.find_or_add(5);
  table.change_rules({two_limits().limits[1], two_limits().limits[0]}, 0);
  CHECK_FALSE(table.has_changed(client_table::reader::disk));
  auto other = two_limits().limits[1];
  other.amount += 1;
  table.change_rules({other}, 0);
  CHECK(table.has_changed(client_table::reader::disk));
  table.change_rules({other, two_limits().limits[0]}, 0);
  CHECK(table.has_changed(client_table::reader::disk)); // still
  table.change_rules({two_limits().limits[0]}, 0);
  table.mark_changed(table.find(5));
  CHECK_FALSE(table.has_changed(client_table::reader::disk));
}

TEST_CASE("the table knows its own memory, at most 100 bytes a client", "[client_table]") {
  // Just after the hash tables doubled is the worst moment; the sizes between cover it.
  for (const std::size_t clients : {40'000u, 60'000u, 100'000u, 210'000u, 220'000u, 230'000u}) {
    const std::size_t before = allocated_bytes();
    auto table = std::make_unique<client_table>(two_limits().limits);
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
