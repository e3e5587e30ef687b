// Which letters are sent to be kept, and when again.
#include "actors/delivery/unstored_dead_letters.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;

namespace {

const error without_room{errc::disk_full, "no room"};
const error beyond_all{errc::invalid, "larger than all"};

unstored_dead_letters with_letters(std::uint64_t count) {
  unstored_dead_letters out;
  for (std::uint64_t seq = 1; seq <= count; ++seq) {
    dead_letter letter;
    letter.seq = seq;
    out.add(std::move(letter));
  }
  return out;
}

} // namespace

TEST_CASE("dead letters to store: one group is under way, and no larger than a message",
          "[unstored_dead_letters]") {
  auto queue = with_letters(max_dead_letters_at_once + 10);
  CHECK(queue.next(0).size() == max_dead_letters_at_once);
  CHECK(queue.next(0).empty());
  CHECK(queue.kept().size() == max_dead_letters_at_once);
  CHECK(queue.next(0).size() == 10);
  CHECK(queue.kept().front().seq == max_dead_letters_at_once + 1);
  CHECK(queue.empty());
  CHECK(queue.next(0).empty());
}

TEST_CASE("dead letters to store: what there is room for is kept, down to the last letter",
          "[unstored_dead_letters]") {
  auto queue = with_letters(200);
  std::size_t room = 77, kept = 0;
  int tries = 0;
  for (auto group = queue.next(0); !group.empty(); group = queue.next(0)) {
    REQUIRE(++tries < 40);
    if (group.size() > room) {
      CHECK(queue.failed(without_room, 0).has_value() == (group.size() == 1));
      continue;
    }
    room -= group.size();
    kept += queue.kept().size();
  }
  CHECK(kept == 77);
  CHECK(queue.is_stuck());
  CHECK_FALSE(queue.empty());
}

TEST_CASE("dead letters to store: the next try waits, and is told once",
          "[unstored_dead_letters]") {
  auto queue = with_letters(1);
  CHECK(queue.next(1000).size() == 1);
  CHECK(queue.failed(without_room, 1000) == "no room");
  CHECK(queue.next(1000 + dead_letter_retry_interval.count() - 1).empty());
  CHECK(queue.next(1000 + dead_letter_retry_interval.count()).size() == 1);
  CHECK_FALSE(queue.failed(without_room, 2000));
  CHECK(queue.next(3000).size() == 1);
  queue.kept();
  CHECK_FALSE(queue.is_stuck());
}

TEST_CASE("dead letters to store: a letter that never fits holds none up, and is told clearly",
          "[unstored_dead_letters]") {
  auto queue = with_letters(3);
  std::vector<std::uint64_t> kept;
  std::vector<std::string> told;
  for (std::int64_t at_ms = 0; at_ms < 10'000; at_ms += 1000)
    for (auto group = queue.next(at_ms); !group.empty(); group = queue.next(at_ms)) {
      const bool fits = std::ranges::none_of(group, [](const auto& one) { return one.seq == 1; });
      if (!fits) {
        if (const auto what = queue.failed(group.size() == 1 ? beyond_all : without_room, at_ms))
          told.push_back(*what);
      } else {
        for (const auto& one : queue.kept())
          kept.push_back(one.seq);
      }
    }
  CHECK(kept == std::vector<std::uint64_t>{2, 3});
  CHECK(told == std::vector<std::string>{"larger than all"});
  // It is put apart, and still counts for its stream.
  CHECK(queue.empty());
  CHECK_FALSE(queue.is_stuck());
  CHECK(queue.waiting_of("").events == 1);
  CHECK(queue.waiting_of("other").events == 0);
}
