// What `penstock adopt` says, and when it is content.
#include "cli/node/adopt.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;

namespace {

adopt_report some_adoption() {
  adopt_report report;
  report.directory = "/mnt/b";
  report.node = "b";
  report.tag = "nbjoxe3h";
  report.streams = {{"bus", "nats", "default", {1200, 2048}, 0},
                    {"queue", "embedded", "jobs", {30, 100}, 30}};
  return report;
}

bool says(const adopt_report& report, const std::string& words) {
  return adopt_text(report).find(words) != std::string::npos;
}

} // namespace

TEST_CASE("adopt is done when nothing is left and nothing was refused", "[adopt]") {
  auto report = some_adoption();
  CHECK_FALSE(report.is_done());
  CHECK(says(report, "run it again"));
  report.without_queue = true;
  CHECK(report.is_done());
  CHECK_FALSE(says(report, "run it again"));
  report.streams[0].left = 1;
  CHECK_FALSE(report.is_done());
  report.streams.clear();
  CHECK(report.is_done());
  report.dead_letters = 3; // those that were there are no failure of this run
  CHECK(report.is_done());
  report.refused = 1;
  CHECK_FALSE(report.is_done());
  report.refused = 0;
  report.stalled["bus"] = "refused";
  CHECK_FALSE(report.is_done());
  report.stalled.clear();
  report.interrupted = true;
  CHECK_FALSE(report.is_done());
}

TEST_CASE("adopt tells people what is left and what to do", "[adopt]") {
  auto report = some_adoption();
  CHECK(says(report, "/mnt/b: journal of node b, ids end in -nbjoxe3h"));
  CHECK(says(report, "bus    nats      default  1200  2.0 KiB  1200     0"));
  CHECK(says(report, "run it again"));
  report.stalled["bus"] = "no route";
  report.refused = 2;
  report.dead_letters = 1;
  CHECK(says(report, "sink bus takes nothing: no route"));
  CHECK(says(report, "2 events were refused"));
  CHECK(says(report, "3 dead letters stay in /mnt/b"));
  report = some_adoption();
  report.dry_run = true;
  CHECK_FALSE(says(report, "SETTLED"));
  CHECK_FALSE(says(report, "run it again"));
  report.streams.clear();
  CHECK(says(report, "nothing is owed"));
}

TEST_CASE("adopt tells scripts the same", "[adopt]") {
  auto report = some_adoption();
  report.damaged = {"a segment is damaged"};
  report.stalled["bus"] = "no route";
  report.dead_letters = 3;
  const auto all = boost::json::parse(adopt_json(report)).as_object();
  CHECK(all.at("left").as_int64() == 30);
  CHECK(all.at("dead_letters").as_int64() == 3);
  CHECK(all.at("damaged").as_array().size() == 1);
  CHECK(all.at("stalled").as_array().front().as_object().at("sink") == "bus");
  const auto& first = all.at("streams").as_array().front().as_object();
  CHECK(first.at("owed").as_int64() == 1200);
  CHECK(first.at("kind") == "nats");
}
