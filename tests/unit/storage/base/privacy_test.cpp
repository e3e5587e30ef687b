// What the stores write is for their owner alone, whatever the umask and whatever was there before.
#include "storage/base/files.hpp"
#include "storage/journal/idempotency_store.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/counter_store.hpp"
#include "storage/stores/cursor_store.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/replay_store.hpp"
#include "storage/stores/usage_store.hpp"
#include "tests/unit/storage/support.hpp"

#include <set>

#include <sys/stat.h>

using namespace penstock;
using namespace penstock::test;
namespace fs = std::filesystem;

namespace {

class umask_for_now {
 public:
  explicit umask_for_now(::mode_t mask) : was_(::umask(mask)) {}
  ~umask_for_now() { ::umask(was_); }

 private:
  ::mode_t was_;
};

/// Opens all stores in `dir` and closes them.
void open_all(const fs::path& dir) {
  auto log = open_journal(options_in(dir));
  append_and_commit(*log, numbered_block(log->next_seq(), 5));
  require_ok(segment_keeper::make(*log, options_in(dir))->prepare());
  const auto cursors = cursor_store::open(dir);
  require_ok(cursors);
  const auto counters = counter_store::open(dir);
  require_ok(counters);
  const auto accounts = account_store::open(dir);
  require_ok(accounts);
  const auto letters = dead_letter_store::open(dir, 1 << 20);
  require_ok(letters);
  const auto replays = replay_store::open(dir);
  require_ok(replays);
  const auto usage = usage_store::open(dir);
  require_ok(usage);
  const auto keys = idempotency_store::open(dir, log->tag());
  require_ok(keys);
}

std::set<std::string> open_to_others(const fs::path& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator{dir})
    if (is_open_to_others(entry.path())) names.insert(entry.path().filename().string());
  return names;
}

} // namespace

TEST_CASE("what stores write is for their owner alone, whatever the umask", "[private]") {
  const ::mode_t mask = GENERATE(0u, 022u, 077u);
  temporary_dir dir;
  const umask_for_now now{mask};
  require_ok(make_directory(dir.path() / "data"));
  CHECK(!is_open_to_others(dir.path() / "data"));
  open_all(dir.path() / "data");
  CHECK(open_to_others(dir.path()).empty());
}

TEST_CASE("a store that an earlier version left open to others is closed to them", "[private]") {
  temporary_dir dir;
  open_all(dir.path());
  // A crash leaves logs and shared memory behind.
  std::ofstream{dir.path() / "counters.db-wal"};
  std::ofstream{dir.path() / "counters.db-shm"};
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator{dir.path()})
    if (entry.path().filename().string().find(".db") != std::string::npos) {
      fs::permissions(entry.path(), fs::perms{0644});
      ++files;
    }
  CHECK(files > 10); // logs and shared memory, too
  open_all(dir.path());
  CHECK(open_to_others(dir.path()).empty());
}

TEST_CASE("a directory that can't be made is an error", "[private]") {
  temporary_dir dir;
  std::ofstream{dir.path() / "file"} << "x";
  CHECK_FALSE(make_directory(dir.path() / "file").has_value());
  CHECK_FALSE(make_directory(dir.path() / "file" / "below").has_value());
  CHECK_FALSE(make_directory("/proc/penstock").has_value());
  CHECK_FALSE(make_directory("/proc/penstock/below").has_value());
  require_ok(make_directory(dir.path() / "a" / "b" / "c"));
  CHECK(fs::is_directory(dir.path() / "a" / "b" / "c"));
}
