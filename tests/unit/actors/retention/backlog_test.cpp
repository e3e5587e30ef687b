// What adopt finds to publish.
#include "actors/retention/backlog.hpp"
#include "tests/unit/actors/limits/plain_reader.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

/// Blocks of one stream; a read gives one of them. Only what count_backlog() uses.
struct listed_blocks final : plain_reader {
  using blocks = std::vector<std::shared_ptr<const event_block>>;
  result<blocks> read(const std::string& stream, std::uint64_t after_seq, std::size_t,
                      std::vector<std::string>* damage) override {
    if (after_seq >= fails_after) return error{errc::io, "the disk is gone"};
    for (const auto& block : all)
      if (block->stream == stream && block->last_seq() > after_seq) {
        if (damage != nullptr && block->first_seq == 5) damage->push_back("a row before 5 is lost");
        return blocks{block};
      }
    return blocks{};
  }

  void add(std::uint64_t first_seq, std::vector<std::uint64_t> clients) {
    auto block = std::make_shared<event_block>();
    block->stream = "jobs";
    block->first_seq = first_seq;
    for (const auto client : clients)
      block->push("abc", "text/plain", client);
    all.push_back(std::move(block));
  }

  blocks all;
  std::uint64_t fails_after = ~0ull;
};

event_volume backlog_after(listed_blocks& journal, const std::vector<cursor>& saved) {
  const auto backlog = count_backlog(journal, "jobs", {saved, "queue", "jobs"}, nullptr);
  REQUIRE(backlog.has_value());
  return *backlog;
}

} // namespace

TEST_CASE("owed is what was neither delivered nor acknowledged", "[owed]") {
  listed_blocks journal;
  journal.add(1, {0, 1, 0, 1});
  journal.add(5, {0, 1, 2});
  CHECK(backlog_after(journal, {}) == event_volume{7, 21});
  CHECK(backlog_after(journal, {{"jobs", "queue#0/1", 2, {}}}) == event_volume{5, 15});
  CHECK(backlog_after(journal, {{"jobs", "queue#0/1", 7, {}}}) == event_volume{});
  CHECK(backlog_after(journal, {{"jobs", "other#0/1", 7, {}}}) == event_volume{7, 21});

  SECTION("by lane: clients 0 and 2 are in the first") {
    CHECK(backlog_after(journal, {{"jobs", "queue#0/2", 7, {}}, {"jobs", "queue#1/2", 1, {}}}) ==
          event_volume{3, 9});
  }
  SECTION("what can't be read is told") {
    std::vector<std::string> damage;
    REQUIRE(count_backlog(journal, "jobs", {{}, "queue", "jobs"}, &damage).has_value());
    CHECK(damage == std::vector<std::string>{"a row before 5 is lost"});
    journal.fails_after = 4;
    CHECK_FALSE(count_backlog(journal, "jobs", {{}, "queue", "jobs"}, nullptr).has_value());
  }
}

TEST_CASE("a publisher takes over where the queue's consumers stopped", "[owed]") {
  listed_blocks journal;
  journal.add(1, {0, 1, 0, 1, 0, 1});
  const std::vector<cursor> saved{{"jobs", "queue", 2, {{4, 4}, {6, 6}}},
                                  {"jobs", "bus#0/4", 6, {}}};
  CHECK(backlog_after(journal, saved) ==
        event_volume{6, 18}); // the queue's own cursor is no lane's
  auto all = with_queue_as_lane(saved, "queue");
  CHECK(backlog_after(journal, all) == event_volume{2, 6});
  CHECK(with_queue_as_lane(saved, "").size() == saved.size());

  // What an adopt before this one published adds to that.
  all.push_back({"jobs", "queue#0/2", 3, {}});
  all.push_back({"jobs", "queue#1/2", 0, {}});
  CHECK(backlog_after(journal, all) == event_volume{1, 3});
  // A sink of one lane goes by the same name: neither makes the other forget.
  all.push_back({"jobs", "queue#0/1", 5, {}});
  CHECK(backlog_after(journal, all) == event_volume{});
  std::reverse(all.begin(), all.end());
  CHECK(backlog_after(journal, all) == event_volume{});
}

TEST_CASE("a sink has stalled when it settled nothing for as long as it may", "[owed]") {
  stall_watch watch{1s};
  CHECK_FALSE(watch.has_stalled("bus", 5000));
  watch.note("bus", 0, 1000);
  watch.note("log", 0, 1000);
  watch.note("bus", 0, 1900);
  watch.note("log", 7, 1900);
  CHECK_FALSE(watch.has_stalled("bus", 1999));
  CHECK(watch.has_stalled("bus", 2000));
  CHECK_FALSE(watch.has_stalled("log", 2899));
  CHECK(watch.has_stalled("log", 2900));
  watch.note("bus", 1, 2500); // it came back
  CHECK_FALSE(watch.has_stalled("bus", 3000));
}
