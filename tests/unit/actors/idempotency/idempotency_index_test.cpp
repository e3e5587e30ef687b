// The memory of keys: the window, the bound, and what it costs.
#include "actors/idempotency/idempotency_index.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <random>
#include <set>

using namespace penstock;

namespace {

constexpr std::int64_t day_ms = 24 * 3'600'000;
constexpr std::int64_t index_start_ms = 1'790'000'000'000;

idempotency_record record(std::uint64_t n, std::int64_t time_ms) {
  return {
      {n * 0x9e3779b97f4a7c15, n}, n + 7, n + 1, static_cast<std::uint32_t>(n % 100 + 1), time_ms};
}

} // namespace

TEST_CASE("idempotency index: a key is found with all that was noted, until the window is over") {
  idempotency_index index{100, 10'000};
  index.insert(record(5, index_start_ms), index_start_ms);
  const auto key = record(5, 0).key;
  const auto found = index.find(key, index_start_ms + 9'999);
  REQUIRE(found);
  CHECK(found->content == 12);
  CHECK(found->seq == 6);
  CHECK(found->count == 6);
  CHECK_FALSE(index.find({key.high, key.low + 1}, index_start_ms));
  CHECK_FALSE(index.find({key.high + 1, key.low}, index_start_ms)); // all 128 bits count
  CHECK_FALSE(index.find(key, index_start_ms + 11'001));
  CHECK(index.size() == 0);
}

TEST_CASE("idempotency index: never shorter than the window, at most a second longer") {
  for (std::int64_t offset : {0, 1, 499, 999}) {
    idempotency_index index{10, 5'000};
    index.insert(record(1, index_start_ms + offset), index_start_ms + offset);
    CHECK(index.find(record(1, 0).key, index_start_ms + offset + 4'999));
    CHECK_FALSE(index.find(record(1, 0).key, index_start_ms + offset + 6'000));
  }
}

TEST_CASE("idempotency index: the oldest go first when there are too many") {
  idempotency_index index{100, day_ms};
  for (std::uint64_t n = 0; n < 250; ++n)
    index.insert(record(n, index_start_ms), index_start_ms);
  CHECK(index.size() == 100);
  CHECK_FALSE(index.find(record(149, 0).key, index_start_ms));
  for (std::uint64_t n = 150; n < 250; ++n)
    CHECK(index.find(record(n, 0).key, index_start_ms));
}

TEST_CASE("idempotency index: a key used again replaces the old record") {
  idempotency_index index{3, day_ms};
  index.insert(record(1, index_start_ms), index_start_ms);
  auto later = record(1, index_start_ms + 1);
  later.seq = 99;
  index.insert(later, index_start_ms);
  index.insert(record(2, index_start_ms), index_start_ms);
  REQUIRE(index.find(later.key, index_start_ms));
  CHECK(index.find(later.key, index_start_ms)->seq == 99);
  // The replaced record leaves, and takes nothing with it.
  index.insert(record(3, index_start_ms), index_start_ms);
  CHECK(index.find(later.key, index_start_ms));
  CHECK(index.size() == 3);
}

// At a start the journal and idempotency.db tell the same of segments that were moved.
TEST_CASE("idempotency index: a record that comes twice takes no room") {
  idempotency_index index{4, day_ms};
  for (std::uint64_t n : {1, 2, 3, 4, 3})
    index.restore(record(n, index_start_ms), index_start_ms);
  for (std::uint64_t n : {1, 2, 3, 4})
    CHECK(index.find(record(n, 0).key, index_start_ms));
}

TEST_CASE("idempotency index: the same as a plain map over any sequence") {
  std::mt19937_64 random{11};
  constexpr std::int64_t window_ms = 5'000;
  idempotency_index index{1'000'000, window_ms};
  std::map<std::uint64_t, std::pair<std::uint64_t, std::int64_t>> model; // n → seq, time
  auto now = index_start_ms;
  std::uint64_t seq = 1;
  for (int step = 0; step < 100'000; ++step) {
    now += static_cast<std::int64_t>(random() % 20);
    const auto n = random() % 500;
    const auto found = index.find(record(n, 0).key, now);
    const auto known = model.find(n);
    if (known != model.end() && known->second.second + window_ms > now) {
      REQUIRE(found);
      REQUIRE(found->seq == known->second.first);
    } else if (known == model.end() || known->second.second + window_ms + 1000 < now) {
      REQUIRE_FALSE(found);
    }
    if (found) continue;
    auto fresh = record(n, now);
    fresh.seq = seq++;
    index.insert(fresh, now);
    model[n] = {fresh.seq, now};
  }
}

TEST_CASE("idempotency index: at most 64 bytes a key") {
  constexpr std::size_t keys = 1'000'000;
  idempotency_index index{keys, day_ms};
  for (std::uint64_t n = 0; n < 2 * keys; ++n)
    index.insert(record(n, index_start_ms), index_start_ms);
  REQUIRE(index.size() == keys);
  INFO(static_cast<double>(index.memory_bytes()) / keys << " bytes a key");
  CHECK(index.memory_bytes() <= 64 * keys);
}

TEST_CASE("idempotency index: what other journals have is told apart, and never overrides") {
  idempotency_index index{100, 10'000};
  index.insert(record(1, index_start_ms), index_start_ms);
  auto other = record(1, index_start_ms);
  other.seq = 99;
  index.take_in(other, "other---", index_start_ms);
  CHECK(index.find(other.key, index_start_ms)->seq == 2);
  CHECK(index.find(other.key, index_start_ms)->tag.empty());
  index.take_in(record(2, index_start_ms), "other---", index_start_ms);
  CHECK(index.find(record(2, 0).key, index_start_ms)->tag == "other---");
  // Out of the window before it came.
  index.take_in(record(3, index_start_ms - 10'000), "other---", index_start_ms);
  CHECK_FALSE(index.find(record(3, 0).key, index_start_ms));
  CHECK(index.size() == 2);
}

TEST_CASE("idempotency index: all are visited once, in pieces, while others come and go") {
  idempotency_index index{100, day_ms};
  for (std::uint64_t n = 0; n < 60; ++n)
    index.insert(record(n, index_start_ms), index_start_ms);
  index.insert(record(5, index_start_ms + 1), index_start_ms); // replaced
  std::multiset<std::uint64_t> seen;
  const auto see = [&](const idempotency_record& each, std::string_view tag) {
    CHECK(tag.empty());
    CHECK(each.seq == each.key.low + 1);
    seen.insert(each.key.low);
  };
  auto position = index.begin();
  CHECK_FALSE(index.visit(position, 20, see));
  CHECK(seen.size() == 19); // the one that was replaced is met later
  for (std::uint64_t n = 60; n < 110; ++n)
    index.insert(record(n, index_start_ms), index_start_ms); // the first 11 go
  while (!index.visit(position, 7, see))
    ;
  CHECK(index.visit(position, 7, see));
  for (std::uint64_t n = 20; n < 110; ++n)
    CHECK(seen.count(n) == 1);
  CHECK(seen.count(5) == 1);
  // From what was forgotten it goes on with what is there.
  auto old = index.begin() - 5;
  std::size_t all = 0;
  CHECK(index.visit(old, 1'000, [&](auto&, auto) { ++all; }));
  CHECK(all == index.size());
}
