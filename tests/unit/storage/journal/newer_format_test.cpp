// What a newer program left is no damage: it waits for that program.
#include "tests/unit/storage/journal/damage_support.hpp"

#include <map>

namespace penstock::test {

namespace {

std::map<std::string, std::string> contents_of(const fs::path& dir) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator{dir})
    if (entry.is_regular_file()) contents[entry.path().string()] = *read_file(entry.path());
  return contents;
}

void set_version(const fs::path& segment, const std::string& value) {
  auto db = open_segment(segment, sqlite_mode::read_write, {});
  require_ok(db);
  require_ok(db->exec(("UPDATE meta SET value = " + value + " WHERE key = 'version'").c_str()));
}

} // namespace

TEST_CASE("a segment of a newer format stops the start, and nothing is touched", "[newer]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto which = GENERATE(1u, 2u, 3u);
  set_version(segment_path(options.dir, which), std::to_string(journal_format_version + 1));
  // What a start would move to damaged/, or remove.
  std::ofstream{segment_path(options.dir, 7)} << "this is no database";
  std::ofstream{wal_path(segment_path(options.dir, 8))} << "an orphan";
  fs::remove(shm_path(segment_path(options.dir, which)));
  const auto before = contents_of(options.dir);
  for (int start = 0; start < 2; ++start) {
    recovery_report report;
    const auto opened = journal::open(options, &report);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == errc::newer);
    const auto& told = opened.error().message;
    INFO(told);
    CHECK(told.find(segment_path(options.dir, which).filename().string()) != std::string::npos);
    CHECK(told.find("format version is 3, and this program reads 1 to 2") != std::string::npos);
    CHECK(report.damaged.empty());
  }
  CHECK(contents_of(options.dir) == before);
}

TEST_CASE("a version that no program writes is damage", "[newer]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto value =
      GENERATE(as<std::string>{}, "0", "-3", "'3x'", "NULL", "'99999999999999999999'");
  set_version(segment_path(options.dir, 2), value);
  const auto found = reopen(options);
  CHECK(found.events == without(201, 400));
  CHECK(mentions(found, "000000000002.db"));
}

} // namespace penstock::test
