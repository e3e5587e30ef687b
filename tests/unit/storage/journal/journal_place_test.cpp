// A journal that is not mounted, is older than the cursors, or can't be opened is not taken for
// another.
#include "storage/base/files.hpp"
#include "storage/journal/journal_place.hpp"
#include "storage/stores/store_opening.hpp"
#include "tests/unit/storage/support.hpp"

#include <fcntl.h>
#include <sys/resource.h>

using namespace penstock;
using namespace penstock::test;

namespace {

namespace fs = std::filesystem;

/// As a node starts, and stops: the next id, or why it does not start.
result<std::uint64_t> start_in(const fs::path& data_dir, std::uint64_t add_events = 0) {
  if (auto there = miss_journal(data_dir); !there) return there.error();
  auto log = journal::open(options_in(data_dir));
  if (!log) return log.error();
  note_journal(data_dir);
  const auto next = (*log)->next_seq();
  if (add_events > 0) append_and_commit(**log, numbered_block(next, add_events));
  return next;
}

} // namespace

TEST_CASE("a journal that is gone stops the start until its note is removed", "[place]") {
  temporary_dir dir;
  require_ok(start_in(dir.path(), 10));
  const auto journal_dir = options_in(dir.path()).dir;
  const auto away = dir.path() / "away";
  fs::rename(journal_dir, away);
  SECTION("no directory") {}
  SECTION("a place to mount it") {
    fs::create_directory(journal_dir);
  }
  SECTION("a lock that an earlier version made there") {
    fs::create_directory(journal_dir);
    std::ofstream{journal_dir / "lock"};
  }
  for (int i = 0; i < 2; ++i) {
    const auto refused = start_in(dir.path());
    REQUIRE(!refused);
    CHECK(refused.error().code == errc::corrupt);
    CHECK(refused.error().message.find("mount") != std::string::npos);
    CHECK(refused.error().message.find((dir.path() / "stores").string()) != std::string::npos);
    CHECK(!fs::exists(journal_dir / "tag"));
  }
  SECTION("mounted again") {
    fs::remove_all(journal_dir);
    fs::rename(away, journal_dir);
    CHECK(*start_in(dir.path()) > 10);
  }
  SECTION("given up") {
    fs::remove(dir.path() / "stores");
    CHECK(*start_in(dir.path()) == 1);
    require_ok(start_in(dir.path()));
  }
}

TEST_CASE("a new node, one without events and one without a list start", "[place]") {
  temporary_dir dir;
  require_ok(start_in(dir.path()));
  require_ok(start_in(dir.path()));
  fs::remove(dir.path() / "stores"); // as an earlier version leaves it
  require_ok(start_in(dir.path(), 3));
  const auto next = start_in(dir.path());
  CHECK(*next > 3);
}

TEST_CASE("ids go on beyond cursors that are ahead of the journal", "[place]") {
  temporary_dir dir;
  auto log = open_journal(options_in(dir.path()));
  append_and_commit(*log, numbered_block(1, 10));
  const auto next = log->next_seq();
  CHECK(go_beyond_cursors(*log, {}).value().empty());
  CHECK(go_beyond_cursors(*log, {{"default", "queue", next - 1, {}}}).value().empty());
  CHECK(log->next_seq() == next);
  SECTION("a position") {
    CHECK(go_beyond_cursors(*log, {{"default", "queue", next, {}}}).value().find("cursors.db") !=
          std::string::npos);
    CHECK(log->next_seq() > next);
  }
  SECTION("what was acknowledged out of order") {
    CHECK(!go_beyond_cursors(*log, {{"default", "queue", 0, {{next + 50, next + 60}}}})
               .value()
               .empty());
    CHECK(log->next_seq() > next + 60);
  }
  const auto beyond = log->next_seq();
  append_and_commit(*log, numbered_block(beyond, 1));
  log.reset();
  log = open_journal(options_in(dir.path()));
  CHECK(log->next_seq() > beyond);
  CHECK(go_beyond_cursors(*log, {{"default", "queue", next + 60, {}}}).value().empty());
}

TEST_CASE("too few descriptors move no segment, and are no damage", "[place]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  {
    auto log = open_journal(options);
    for (std::uint64_t i = 0; i < 3; ++i) {
      append_and_commit(*log, numbered_block(1 + i * 10, 10));
      require_ok(log->rotate());
    }
  }
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  for (rlim_t free_ones = 0; free_ones < 8; ++free_ones) {
    CAPTURE(free_ones);
    const auto lowest = open_file(options.dir / "tag", O_RDONLY)->get();
    const rlimit few{static_cast<rlim_t>(lowest) + free_ones, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    recovery_report report;
    const auto opened = journal::open(options, &report);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    if (!opened) CHECK(opened.error().code == errc::io);
    CHECK(report.damaged.empty());
  }
  CHECK(!fs::exists(options.dir / "damaged"));
  recovery_report report;
  CHECK(numbers(read_all(*open_journal(options, &report))) == range(1, 30));
  CHECK(report.damaged.empty());
}
