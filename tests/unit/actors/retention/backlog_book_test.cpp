// What is owed of the journal, by the cursors that were saved.
#include "actors/retention/backlog_book.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

using enum backlog_events::portion;

const auto every_stream = [](const std::string&) { return true; };

std::vector<sink_route> to(std::vector<std::string> sinks) {
  std::vector<sink_route> routes;
  for (auto& sink : sinks)
    routes.push_back({std::move(sink), every_stream});
  return routes;
}

cursor lane(std::uint32_t number, std::uint64_t seq,
            std::vector<std::pair<std::uint64_t, std::uint64_t>> ahead = {}) {
  return {"s", lane_cursor_name("bus", number, 2), seq, std::move(ahead)};
}

} // namespace

TEST_CASE("nothing is owed of a stream without a sink", "[owed]") {
  const backlog_book book{{}, {{"bus", [](const std::string& s) { return s != "quiet"; }}}, {}};
  CHECK(book.between("quiet", 1, 10) == none);
  CHECK_FALSE(book.is_in_backlog("quiet", 5, 0));
  CHECK(book.between("loud", 1, 10) == all); // nobody has taken anything
  CHECK(book.is_in_backlog("loud", 5, 0));
}

TEST_CASE("the queue owes what its consumers have not acknowledged", "[owed]") {
  const backlog_book book{{{"s", "queue", 10, {{13, 20}}}}, to({"queue"}), "queue"};
  CHECK(book.between("s", 1, 10) == none);
  CHECK(book.between("s", 14, 19) == none);
  CHECK(book.between("s", 1, 11) == some);
  CHECK(book.between("s", 20, 21) == some);
  CHECK(book.between("s", 21, 30) == all);
  CHECK_FALSE(book.is_in_backlog("s", 10, 7));
  CHECK(book.is_in_backlog("s", 11, 7));
  CHECK_FALSE(book.is_in_backlog("s", 13, 7));
  CHECK(book.is_in_backlog("s", 21, 7));
}

TEST_CASE("a publisher owes by lane", "[owed]") {
  const backlog_book book{{lane(0, 10), lane(1, 5, {{7, 30}})}, to({"bus"}), {}};
  CHECK(book.between("s", 1, 5) == none);
  CHECK(book.between("s", 6, 10) == some); // 6 may be of the second lane
  CHECK(book.between("s", 7, 10) == none);
  CHECK(book.between("s", 11, 20) == some); // the first lane has none of these
  CHECK(book.between("s", 31, 40) == all);
  CHECK(book.is_in_backlog("s", 6, 1));
  CHECK_FALSE(book.is_in_backlog("s", 6, 2));
  CHECK(book.is_in_backlog("s", 11, 2));
  CHECK_FALSE(book.is_in_backlog("s", 11, 1));
}

TEST_CASE("an event is owed until every sink has it", "[owed]") {
  const backlog_book book{
      {{"s", "queue", 10, {}}, lane(0, 20), lane(1, 20)}, to({"queue", "bus"}), "queue"};
  CHECK(book.between("s", 1, 10) == none);
  CHECK(book.between("s", 11, 20) == all);
  CHECK(book.is_in_backlog("s", 11, 0));
  CHECK_FALSE(book.is_in_backlog("s", 10, 0));
}

TEST_CASE("a lane whose cursor was never saved owes all", "[owed]") {
  const backlog_book book{{lane(0, 10)}, to({"bus"}), {}};
  CHECK(book.between("s", 1, 10) == some);
  CHECK(book.is_in_backlog("s", 3, 1));
  CHECK_FALSE(book.is_in_backlog("s", 3, 0));
}

TEST_CASE("what all sinks of a stream have", "[owed]") {
  using ranges = std::vector<seq_ranges::range>;
  SECTION("nobody is fed from it") {
    CHECK(backlog_book{{}, {}, {}}.delivered("s").floor == UINT64_MAX);
  }
  SECTION("the queue's consumers acknowledge ahead") {
    const backlog_book book{{{"s", "queue", 10, {{13, 20}, {30, 31}}}}, to({"queue"}), "queue"};
    CHECK(book.delivered("s").floor == 10);
    CHECK(book.delivered("s").beyond == ranges{{13, 20}, {30, 31}});
    CHECK(book.delivered("other").floor == 0);
  }
  SECTION("of lanes the slowest counts") {
    const backlog_book book{{lane(0, 10), lane(1, 5, {{7, 30}})}, to({"bus"}), {}};
    CHECK(book.delivered("s").floor == 5);
    CHECK(book.delivered("s").beyond.empty());
  }
  SECTION("of sinks the one that is furthest behind, as far as the others came") {
    const backlog_book book{{{"s", "queue", 10, {{13, 20}, {30, 31}}}, lane(0, 15), lane(1, 16)},
                            to({"bus", "queue"}),
                            "queue"};
    CHECK(book.delivered("s").floor == 10);
    CHECK(book.delivered("s").beyond == ranges{{13, 15}});
  }
  SECTION("what a life with one lane delivered ahead, a later one passed") {
    const backlog_book book{
        {{"s", lane_cursor_name("bus", 0, 1), 3, {{7, 9}, {11, 20}}}, lane(0, 12), lane(1, 14)},
        to({"bus"}),
        {}};
    CHECK(book.delivered("s").floor == 12);
    CHECK(book.delivered("s").beyond == ranges{{13, 20}});
  }
}
