// What adopt finds in directories that other parts of Penstock leave; tests/integration has the
// rest.
#include "cli/node/adopt.hpp"
#include "storage/base/files.hpp"
#include "storage/journal/replica_store.hpp"
#include "storage/stores/cursor_store.hpp"
#include "tests/unit/storage/support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;
using namespace penstock::test;

namespace {

config two_sinks() {
  config settings;
  settings.node_name = "alive";
  settings.sinks["queue"].kind = "embedded";
  settings.sinks["next"].kind = "http";
  settings.sinks["next"].values["url"] = "http://127.0.0.1:9/";
  settings.streams["default"].sinks = {"next", "queue"};
  settings.streams["errors"].sinks = {"next"};
  return settings;
}

result<adopt_report> look_at(const std::filesystem::path& dir) {
  adopt_request request;
  request.dir = dir;
  request.dry_run = true;
  return adopt(two_sinks(), request, false, [](const progress&) {});
}

using backlog_by = std::map<std::pair<std::string, std::string>, std::uint64_t>;

backlog_by backlog_in(const adopt_report& report) {
  backlog_by all;
  for (const auto& one : report.streams)
    all[{one.sink, one.stream}] = one.backlog.events;
  return all;
}

} // namespace

TEST_CASE("a replica is adopted like a node's own directory, after what its origin let go",
          "[adopt]") {
  temporary_dir dir;
  const std::string tag = "aaaaaaaa";
  const auto replica = replica_dir(dir.path(), tag);
  {
    replica_options options;
    options.dir = dir.path();
    options.preallocate = false;
    auto store = replica_store::open(options);
    REQUIRE(store.has_value());
    require_ok((*store)->add_origin(tag, "gone"));
    require_ok((*store)->append(tag, numbered_block(101, 10)));
    require_ok((*store)->append(tag, numbered_block(111, 5, "errors")));
    require_ok((*store)->commit(tag));
    require_ok((*store)->forget_up_to(tag, 103));
    const auto refused = look_at(replica); // the node that holds it is alive
    REQUIRE(refused.has_error());
    CHECK(refused.error().code == errc::locked);
    require_ok((*store)->release(tag));
  }
  const auto report = look_at(replica);
  REQUIRE(report.has_value());
  CHECK(report->tag == tag);
  CHECK(report->node == "gone");
  CHECK(backlog_in(*report) ==
        backlog_by{{{"next", "default"}, 7}, {{"queue", "default"}, 7}, {{"next", "errors"}, 5}});
}

// What recovery put right it does not find again.
TEST_CASE("adopt tells of damage also where it ends with an error", "[adopt][damage]") {
  temporary_dir dir;
  {
    auto log = open_journal(options_in(dir.path()));
    append_and_commit(*log, numbered_block(1, 10));
    require_ok(log->rotate());
    append_and_commit(*log, numbered_block(11, 1));
  }
  std::vector<std::filesystem::path> segments;
  for (const auto& each : std::filesystem::directory_iterator{dir.path() / "journal"})
    if (each.path().extension() == ".db") segments.push_back(each.path());
  std::ranges::sort(segments);
  require_ok(write_file(segments.front(), std::string(8192, 'x')));
  std::filesystem::create_directory(dir.path() / "dead-letters.db");
  std::vector<std::string> damaged;
  adopt_request request{.dir = dir.path(), .without_queue = true, .damaged = &damaged};
  CHECK(adopt(two_sinks(), request, false, [](const progress&) {}).has_error());
  CHECK_FALSE(damaged.empty());
}

TEST_CASE("adopt goes by the cursors of each sink and of the queue", "[adopt]") {
  temporary_dir dir;
  {
    auto log = open_journal(options_in(dir.path()));
    append_and_commit(*log, numbered_block(1, 10));
    auto cursors = cursor_store::open(dir.path());
    REQUIRE(cursors.has_value());
    require_ok(
        (*cursors)->save({{"default", "next#0/1", 9, {}}, {"default", "queue", 2, {{5, 8}}}}));
  }
  const auto report = look_at(dir.path());
  REQUIRE(report.has_value());
  CHECK(report->node == "alive"); // not noted there
  CHECK(backlog_in(*report) == backlog_by{{{"next", "default"}, 1}, {{"queue", "default"}, 4}});
}

TEST_CASE("adopt takes nothing for a data directory that is none", "[adopt]") {
  temporary_dir dir;
  const auto nothing = look_at(dir.path());
  REQUIRE(nothing.has_error());
  CHECK(nothing.error().code == errc::invalid);
  open_journal(options_in(dir.path())).reset();
  const auto inside = look_at(dir.path() / "journal");
  REQUIRE(inside.has_error());
  CHECK(inside.error().message.find("give " + dir.path().string()) != std::string::npos);
  const auto empty = look_at(dir.path());
  REQUIRE(empty.has_value());
  CHECK(empty->streams.empty());
  CHECK(empty->is_done());
}
