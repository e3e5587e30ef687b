// What `penstock check --data` finds, and that it changes nothing.
#include "storage/base/node_name.hpp"
#include "storage/check/data_dir_check.hpp"
#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/journal_place.hpp"
#include "storage/journal/replica_store.hpp"
#include "tests/unit/storage/stores/store_damage_support.hpp"

#include <map>
#include <sstream>

#include <csignal>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace penstock;
using namespace penstock::test;

namespace {

/// All files below with their content, mode and time of change.
std::map<std::string, std::string> all_files(const fs::path& dir) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator{dir}) {
    struct stat info {};
    REQUIRE(::lstat(entry.path().c_str(), &info) == 0);
    std::ostringstream text;
    text << info.st_mode << ' ' << info.st_nlink << ' ' << info.st_mtim.tv_sec << '.'
         << info.st_mtim.tv_nsec;
    if (entry.is_regular_file()) text << std::ifstream{entry.path(), std::ios::binary}.rdbuf();
    found[entry.path().string()] = text.str();
  }
  return found;
}

/// A data directory as a kill leaves it, with everything a node may have in it.
fs::path killed_data_dir(const temporary_dir& dir) {
  const auto alive = dir.path() / "alive", killed = dir.path() / "killed";
  auto options = options_in(alive);
  auto log = open_journal(options);
  for (std::uint64_t seq = 1; seq <= 100; seq += 10)
    append_and_commit(*log, numbered_block(seq, 10));
  { require_ok(idempotency_store::open(alive, log->tag(), 0)); }
  replica_options held;
  held.dir = alive;
  held.preallocate = false;
  auto replicas = replica_store::open(held);
  require_ok(replicas);
  require_ok((*replicas)->add_origin("abcdefgh", "b"));
  for (std::uint64_t seq = 1; seq <= 50; seq += 10) {
    require_ok((*replicas)->append("abcdefgh", numbered_block(seq, 10)));
    require_ok((*replicas)->commit("abcdefgh"));
  }
  for (const auto& store : all_samples())
    store.fill(alive, 0, items_made, [&] { copy_as_killed(alive, killed); });
  fs::copy(alive, killed, fs::copy_options::recursive | fs::copy_options::skip_existing);
  // Each store as it was while it was open.
  for (const auto& store : all_samples())
    store.fill(dir.path() / store.file, 0, items_made,
               [&] { copy_as_killed(dir.path() / store.file, killed); });
  return killed;
}

data_dir_report check(const fs::path& dir) {
  temporary_dir scratch;
  const auto before = all_files(dir);
  data_dir_report report;
  {
    auto copy = data_dir_copy::make(dir, scratch.path());
    require_ok(copy);
    struct stat info {};
    REQUIRE(::stat(copy->path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    auto found = open_all_stores(copy->path());
    require_ok(found);
    report = std::move(*found);
    for (auto& sentence : report.damaged) {
      sentence = copy->of_original(std::move(sentence));
      CHECK(sentence.find(scratch.path().string()) == std::string::npos);
    }
  }
  CHECK(all_files(dir) == before);
  CHECK(fs::is_empty(scratch.path()));
  return report;
}

} // namespace

TEST_CASE("a killed node's directory is sound, and is not changed", "[check]") {
  temporary_dir dir;
  const auto killed = killed_data_dir(dir);
  const auto report = check(killed);
  CHECK(report.damaged == std::vector<std::string>{});
  CHECK(report.torn == std::vector<std::string>{});
  CHECK(report.events == 100);
}

TEST_CASE("a check tells the damage of each store in one sentence", "[check]") {
  temporary_dir dir;
  const auto killed = killed_data_dir(dir);
  std::vector<fs::path> logs{killed / "journal" / "000000000001.db-wal",
                             killed / "replicas" / "abcdefgh" / "journal" / "000000000001.db-wal"};
  for (const auto& store : all_samples())
    logs.push_back(wal_path(killed / store.file));
  for (const auto& log : logs) {
    CAPTURE(log.string());
    const auto offset = frame_at(scan_wal(log)->committed_frames / 2) + 100;
    flip_bit(log, offset);
    const auto report = check(killed);
    REQUIRE(report.damaged.size() == 1);
    const auto name = log.string();
    CHECK(report.damaged[0].find(name.substr(0, name.size() - 4)) != std::string::npos);
    flip_bit(log, offset);
  }
}

TEST_CASE("a check says what a start then says", "[check]") {
  temporary_dir dir;
  const auto killed = killed_data_dir(dir);
  for (const auto& store : all_samples()) {
    const auto wal = wal_path(killed / store.file);
    flip_bit(wal, frame_at(scan_wal(wal)->committed_frames / 2) + 100);
  }
  auto told = check(killed).damaged;
  std::vector<std::string> said;
  for (const auto& store : all_samples()) {
    store_report report;
    const auto count = store.count(killed, report);
    if (!count) said.push_back(count.error().message);
    said.insert(said.end(), report.damaged.begin(), report.damaged.end());
  }
  // The copies are numbered in the order in which stores are opened.
  for (auto* all : {&told, &said}) {
    for (auto& sentence : *all)
      if (const auto at = sentence.rfind("/damaged/"); at != std::string::npos) sentence.resize(at);
    std::sort(all->begin(), all->end());
  }
  CHECK(told == said);
}

TEST_CASE("rows that were altered are told by a check", "[check]") {
  temporary_dir dir;
  const auto killed = killed_data_dir(dir);
  for (const auto& [file, sql] : std::vector<std::pair<std::string, const char*>>{
           {"cursors.db", "UPDATE cursor SET seq = seq + 4 WHERE stream = 'stream 3'"},
           {"accounts.db", "UPDATE key SET plan = 'x' WHERE id = 'key_3'"},
           {"dead-letters.db", "UPDATE letter SET client = 9 WHERE number < 3"}}) {
    auto db = sqlite_database::open(killed / file, sqlite_mode::read_write);
    require_ok(db);
    sqlite3_db_config(db->raw(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    require_ok(db->exec(sql));
  }
  const auto report = check(killed);
  REQUIRE(report.damaged.size() == 3);
  CHECK(report.damaged[0].find("stream 3") != std::string::npos);
  CHECK(report.damaged[1].find("key_3") != std::string::npos);
  CHECK(report.damaged[2].find("2 dead letters") != std::string::npos);
}

TEST_CASE("a directory that is in use, or none, is not checked", "[check]") {
  temporary_dir dir, scratch;
  CHECK(data_dir_copy::make(dir.path(), scratch.path()).error().code == errc::not_found);
  auto log = open_journal(options_in(dir.path()));
  CHECK(data_dir_copy::make(dir.path(), scratch.path()).error().code == errc::locked);
  log.reset();
  {
    const auto copy = data_dir_copy::make(dir.path(), scratch.path());
    require_ok(copy);
    // Nor does a node start meanwhile.
    CHECK(journal::open(options_in(dir.path())).error().code == errc::locked);
  }
  open_journal(options_in(dir.path()));
  CHECK(data_dir_copy::make(dir.path(), dir.path() / "nowhere").has_error());
}

// As it is when a signal ends the check while it copies.
TEST_CASE("a copy that was removed is not made again", "[check]") {
  temporary_dir dir, scratch;
  open_journal(options_in(dir.path()));
  std::filesystem::create_directory(dir.path() / "replicas");
  const auto copy = data_dir_copy::make(dir.path(), scratch.path(), [](const std::string& pattern) {
    return result<std::filesystem::path>{pattern};
  });
  CHECK(copy.has_error());
  CHECK(std::filesystem::is_empty(scratch.path()));
}

TEST_CASE("links that lead out of a data directory to what a node does not open are not followed",
          "[check]") {
  temporary_dir dir, outside;
  open_journal(options_in(dir.path()));
  std::ofstream{outside.path() / "file"} << "somebody else's";
  fs::create_symlink(outside.path() / "file", dir.path() / "notes");
  fs::create_directory_symlink(outside.path(), dir.path() / "elsewhere");
  const auto report = check(dir.path());
  CHECK(report.damaged.empty());
  CHECK(all_files(outside.path()).size() == 1);
}

TEST_CASE("stores and a journal behind links are looked at", "[check]") {
  temporary_dir dir, outside;
  const auto killed = killed_data_dir(dir);
  for (const char* name : {"journal", "replicas"}) {
    fs::rename(killed / name, outside.path() / name);
    fs::create_directory_symlink(outside.path() / name, killed / name);
  }
  for (const char* name : {"accounts.db", "accounts.db-wal", "accounts.db-shm"})
    fs::rename(killed / name, outside.path() / name);
  fs::create_symlink(outside.path() / "accounts.db", killed / "accounts.db");
  const auto sound = check(killed);
  CHECK(sound.damaged == std::vector<std::string>{});
  CHECK(sound.events == 100);
  for (const auto& log :
       {outside.path() / "accounts.db-wal", outside.path() / "journal" / "000000000001.db-wal",
        outside.path() / "replicas" / "abcdefgh" / "journal" / "000000000001.db-wal"}) {
    CAPTURE(log.string());
    const auto offset = frame_at(scan_wal(log)->committed_frames / 2) + 100;
    flip_bit(log, offset);
    CHECK(check(killed).damaged.size() == 1);
    flip_bit(log, offset);
  }
}

TEST_CASE("a journal that is not there is told, and so are cursors ahead of it", "[check]") {
  temporary_dir dir;
  const auto killed = killed_data_dir(dir);
  { require_ok((*cursor_store::open(killed, 0))->save({{"default", "queue", 1'000'000'000, {}}})); }
  const auto ahead = check(killed).damaged;
  REQUIRE(ahead.size() == 1);
  CHECK(ahead[0].find("cursors.db knows of events up to") != std::string::npos);
  note_journal(killed);
  fs::remove_all(killed / "journal");
  const auto told = check(killed).damaged;
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("mount") != std::string::npos);
}

TEST_CASE("an index that does not fit its table is told by a check alone", "[check]") {
  temporary_dir dir;
  const auto killed = killed_data_dir(dir);
  std::uint64_t root = 0;
  {
    auto db = sqlite_database::open(killed / "dead-letters.db", sqlite_mode::read_write);
    require_ok(db);
    require_ok(db->exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    auto look = db->prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'letter_group'");
    REQUIRE(*look->step());
    root = static_cast<std::uint64_t>(look->integer(0));
  }
  std::ifstream in{killed / "dead-letters.db", std::ios::binary};
  const std::string content{std::istreambuf_iterator<char>{in}, {}};
  const auto sink = content.find("bus", (root - 1) * page_bytes);
  REQUIRE(sink < root * page_bytes);
  flip_bit(killed / "dead-letters.db", sink, 4); // "rus": order and form stay
  const auto told = check(killed).damaged;
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("A start does not look at indexes") != std::string::npos);
}

TEST_CASE("a node whose lock was removed is seen by the locks on its stores", "[check]") {
  temporary_dir dir, scratch;
  const auto killed = killed_data_dir(dir);
  int ready[2], end[2];
  REQUIRE((::pipe(ready) == 0 && ::pipe(end) == 0));
  const auto child = ::fork();
  if (child == 0) {
    auto store = account_store::open(killed);
    char byte = store ? 'y' : 'n';
    (void)!::write(ready[1], &byte, 1);
    (void)!::read(end[0], &byte, 1);
    ::_exit(0);
  }
  char outcome = 0;
  REQUIRE(::read(ready[0], &outcome, 1) == 1);
  CHECK(outcome == 'y');
  fs::remove(killed / "journal" / "lock");
  CHECK(data_dir_copy::make(killed, scratch.path()).error().code == errc::locked);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  require_ok(data_dir_copy::make(killed, scratch.path()));
}
