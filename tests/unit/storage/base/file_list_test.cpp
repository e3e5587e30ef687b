// Files that must be there, and what is said when one is gone.
#include "storage/base/file_list.hpp"

#include "storage/base/files.hpp"
#include "storage/base/number_file.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/cursor_store.hpp"
#include "storage/stores/store_opening.hpp"
#include "tests/unit/storage/journal/damage_support.hpp"
#include "tests/unit/storage/support.hpp"

using namespace penstock;
using namespace penstock::test;
namespace fs = std::filesystem;

namespace {

using names = std::set<std::string>;

std::vector<std::string> damage_at_start(const journal_options& options) {
  recovery_report report;
  (void)open_journal(options, &report);
  return report.damaged;
}

void remove_with_log(const fs::path& db) {
  for (const auto& path : {db, fs::path{db.string() + "-wal"}, fs::path{db.string() + "-shm"}})
    fs::remove(path);
}

} // namespace

TEST_CASE("a list says what was written, or nothing", "[file_list]") {
  temporary_dir dir;
  const auto file = dir.path() / "list";
  file_list list{file};
  CHECK(list.names().empty());
  require_ok(list.set({"a", "b", "c"}));
  require_ok(list.drop({"b", "x"}));
  require_ok(list.add("d"));
  CHECK(file_list{file}.names() == names{"a", "c", "d"});
  const auto whole = read_file(file).value();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto damaged = whole;
    damaged[at] ^= 1;
    std::ofstream{file} << damaged;
    CHECK(file_list{file}.names().empty());
    std::ofstream{file} << whole.substr(0, at);
    CHECK(file_list{file}.names().empty());
  }
  std::ofstream{file} << std::string(file_list::max_file_bytes, 'x') + whole;
  CHECK(file_list{file}.names().empty());
}

TEST_CASE("a list with too many names is none", "[file_list]") {
  temporary_dir dir;
  const auto file = dir.path() / "list";
  names many;
  for (std::size_t i = 0; i < file_list::max_names; ++i)
    many.insert(std::to_string(i));
  file_list list{file};
  require_ok(list.set(many));
  CHECK(file_list{file}.names() == many);
  require_ok(list.add("one more"));
  CHECK_FALSE(fs::exists(file));
  require_ok(list.drop({"one more"}));
  CHECK(file_list{file}.names() == many);
}

TEST_CASE("as long as a list can't be written, nothing may go", "[file_list]") {
  temporary_dir dir;
  const auto file = dir.path() / "list";
  file_list list{file};
  require_ok(list.set({"a", "b"}));
  fs::remove(file);
  fs::create_directories(file / "in the way");
  CHECK_FALSE(list.drop({"a"}).has_value());
  CHECK_FALSE(list.drop({"a"}).has_value());
  fs::remove_all(file);
  require_ok(list.drop({"a"}));
  CHECK(file_list{file}.names() == names{"b"});
}

TEST_CASE("a segment that is gone with its log is told once, with the ids around it",
          "[file_list]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  const auto tag = read_file(options.dir / tag_file_name).value().substr(0, journal_tag_size);
  remove_with_log(segment_path(options.dir, 2));
  const auto told = damage_at_start(options);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("000000000002.db is gone, and so is its write-ahead log: events after " +
                     event_id(events_per_segment, tag) + " and before " +
                     event_id(2 * events_per_segment + 1, tag)) != std::string::npos);
  CHECK(damage_at_start(options).empty());
}

TEST_CASE("a segment that was retired is not missed, nor one that was never used", "[file_list]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  {
    auto log = open_journal(options);
    auto keeper = segment_keeper::make(*log, options);
    CHECK(keeper->retire(2 * events_per_segment, far_future_ms).value() == 2);
    CHECK_FALSE(file_list{options.dir / segments_file_name}.contains("000000000001.db"));
    require_ok(keeper->prepare());
  }
  CHECK(damage_at_start(options).empty());
  CHECK(damage_at_start(options).empty());
}

TEST_CASE("numbers of segments that are gone are not used again", "[file_list]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  std::uint64_t last = 0;
  for (const auto& entry : fs::directory_iterator{options.dir})
    last = std::max(last, segment_number(entry.path()).value_or(0));
  remove_with_log(segment_path(options.dir, last));
  auto log = open_journal(options);
  require_ok(log->rotate());
  CHECK_FALSE(fs::exists(segment_path(options.dir, last)));
}

TEST_CASE("where an earlier version was here since, the list says nothing", "[file_list]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  make_three_segments(options);
  remove_with_log(segment_path(options.dir, 2)); // as retired by the earlier version
  const auto next = read_number(options.dir / next_id_file_name).value().value().value;
  auto digits = std::to_string(next);
  digits.insert(0, 20 - digits.size(), '0');
  require_ok(write_file(options.dir / next_id_file_name, digits + "\n"));
  CHECK(damage_at_start(options).empty());
}

TEST_CASE("a store that is gone is told once", "[file_list]") {
  temporary_dir dir;
  store_report report;
  REQUIRE(cursor_store::open(dir.path(), 4096, {}, &report));
  CHECK(report.damaged.empty());
  remove_with_log(dir.path() / "cursors.db");
  REQUIRE(cursor_store::open(dir.path(), 4096, {}, &report));
  REQUIRE(report.damaged.size() == 1);
  CHECK(report.damaged[0].find("cursors.db is gone") != std::string::npos);
  REQUIRE(cursor_store::open(dir.path(), 4096, {}, &report));
  CHECK(report.damaged.size() == 1);
}
