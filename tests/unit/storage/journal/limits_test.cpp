// The journal at its limits: locked, full, out of disk, killed.
#include "storage/journal/segment.hpp"
#include "storage/stores/cursor_store.hpp"
#include "tests/unit/storage/support.hpp"

#include <csignal>

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace penstock;
using namespace penstock::test;
namespace fs = std::filesystem;

namespace {

/// A file system of a fixed size; nothing where mounting is not allowed.
class small_disk {
 public:
  explicit small_disk(const std::string& size) {
    mounted_ = ::geteuid() == 0 && ::mount("tmpfs", dir_.path().c_str(), "tmpfs", MS_NOSUID,
                                           ("size=" + size).c_str()) == 0;
    if (!mounted_) WARN("skipped: mounting a small tmpfs needs root");
  }
  ~small_disk() {
    if (mounted_) ::umount2(dir_.path().c_str(), MNT_DETACH);
  }
  explicit operator bool() const { return mounted_; }
  fs::path path() const { return dir_.path(); }

 private:
  temporary_dir dir_;
  bool mounted_ = false;
};

void fill_disk(const fs::path& file) {
  std::ofstream stream{file, std::ios::binary};
  const std::string block(4096, 'x');
  for (int i = 0; i < 100'000 && stream.good(); ++i)
    stream << block << std::flush;
}

} // namespace

TEST_CASE("a directory in use is locked", "[limits]") {
  temporary_dir dir;
  const auto options = options_in(dir.path());
  auto log = open_journal(options);
  auto second = journal::open(options);
  REQUIRE(!second);
  CHECK(second.error().code == errc::locked);
  CHECK(second.error().message.find(options.dir.string()) != std::string::npos);
  require_ok(log->close());
  open_journal(options);
}

TEST_CASE("the cap on bytes holds, and room comes back with retirement", "[limits]") {
  temporary_dir dir;
  auto options = options_in(dir.path());
  options.max_bytes = 4 << 20;
  options.preallocate = GENERATE(false, true);
  auto log = open_journal(options);
  auto keeper = segment_keeper::make(*log, options);
  std::uint64_t seq = 1, rounds = 0;
  for (int lap = 0; lap < 3; ++lap) {
    CHECK(!log->full());
    result<void> appended;
    for (rounds = 0; rounds < 1000; ++rounds) {
      appended = log->append(numbered_block(seq, 10, "default", 2000));
      if (!appended) break;
      require_ok(log->commit());
      seq += 10;
      if (log->wants_rotation()) require_ok(log->rotate());
    }
    REQUIRE(!appended);
    CHECK(appended.error().code == errc::journal_full);
    CHECK(log->full());
    CHECK(rounds > 100);
    std::uint64_t on_disk = 0;
    for (const auto& file : fs::directory_iterator{options.dir})
      if (file.path().extension() != ".db-shm") on_disk += file.file_size();
    CHECK(on_disk <= options.max_bytes);
    CHECK(on_disk > options.max_bytes * 3 / 4);
    const auto durable = log->catalog()->durable_seq();
    CHECK(durable == seq - 1);
    require_ok(keeper->retire(durable, far_future_ms));
  }
}

TEST_CASE("a full disk rolls back, and appends work again when there is room", "[limits]") {
  small_disk disk{"6m"};
  if (!disk) return;
  const auto options = options_in(disk.path());
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(1, 10));
  fill_disk(disk.path() / "filler");

  error why;
  for (std::uint64_t seq = 11; seq < 2000; seq += 10) {
    auto done = log->append(numbered_block(seq, 10, "default", 4000));
    if (done) done = log->commit();
    if (!done) why = done.error();
    if (!done) break;
  }
  CHECK(why.code == errc::disk_full);
  CHECK(log->catalog()->durable_seq() < 2000);

  fs::remove(disk.path() / "filler");
  append_and_commit(*log, numbered_block(5001, 10));
  CHECK(numbers(read_all(*log, "default", 5000)) == range(5001, 5010));
  const auto durable = numbers(read_all(*log));
  log.reset();
  recovery_report report;
  log = open_journal(options, &report);
  CHECK(report.damaged.empty());
  CHECK(numbers(read_all(*log)) == durable);
}

TEST_CASE("a node starts on a full disk, delivers and frees segments", "[limits]") {
  small_disk disk{"6m"};
  if (!disk) return;
  const auto options = options_in(disk.path());
  auto log = open_journal(options);
  append_and_commit(*log, numbered_block(1, 100, "default", 4000));
  require_ok(log->rotate());
  append_and_commit(*log, numbered_block(101, 100, "default", 4000));
  log.reset();
  for (std::uint64_t number = 1; number <= 2; ++number) // a crash leaves them, a reboot does not
    fs::remove(shm_path(segment_path(options.dir, number)));
  fill_disk(disk.path() / "filler");

  auto reopened = journal::open(options);
  if (!reopened) FAIL(reopened.error().message);
  log = std::move(*reopened);
  auto retired = segment_keeper::make(*log, options)->retire(100, far_future_ms);
  require_ok(retired);
  CHECK(*retired == 1);
  const auto next = log->next_seq();
  append_and_commit(*log, numbered_block(next, 10));
  CHECK(numbers(read_all(*log, "default", next - 1)).size() == 10);
}

TEST_CASE("cursors are written on a full disk", "[limits]") {
  small_disk disk{"6m"};
  if (!disk) return;
  auto store = cursor_store::open(disk.path(), 1 << 20);
  require_ok(store);
  fill_disk(disk.path() / "filler");
  cursor position{"default", "queue", 7, {}};
  for (std::uint64_t i = 0; i < 3000; ++i) // far more text than the file had room for
    position.acked_ahead.emplace_back(1'000'000 + 2 * i, 1'000'000 + 2 * i);
  require_ok((*store)->save({position}));
  auto loaded = (*store)->load();
  require_ok(loaded);
  REQUIRE(loaded->size() == 1);
  CHECK(loaded->front().acked_ahead.size() == 3000);
}

TEST_CASE("what a killed process committed is there", "[limits]") {
  temporary_dir dir;
  auto options = options_in(dir.path());
  options.segment_max_bytes = 128 << 10;
  std::uint64_t told = 0;
  for (int kill_number = 0; kill_number < 5; ++kill_number) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto log = journal::open(options);
      if (!log) ::_exit(1);
      auto seq = (*log)->next_seq();
      for (int i = 0; i < 100'000; ++i, seq += 20) {
        if (!(*log)->append(numbered_block(seq, 20)) || !(*log)->commit()) ::_exit(2);
        const auto last = seq + 19;
        if (::write(pipe_ends[1], &last, sizeof last) != sizeof last) ::_exit(3);
        if ((*log)->wants_rotation() && !(*log)->rotate()) ::_exit(4);
      }
      ::_exit(0);
    }
    ::close(pipe_ends[1]);
    std::uint64_t commits = 0, last = 0;
    while (commits < 20u + 17u * static_cast<unsigned>(kill_number) &&
           ::read(pipe_ends[0], &last, sizeof last) == sizeof last)
      ++commits;
    ::kill(child, SIGKILL);
    while (::read(pipe_ends[0], &last, sizeof last) == sizeof last)
      ++commits;
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(pipe_ends[0]);
    CHECK(WIFSIGNALED(status));
    told += commits * 20;

    recovery_report report;
    auto log = open_journal(options, &report);
    CHECK(report.damaged.empty());
    const auto events = numbers(read_all(*log));
    // The last commit may have been made but not told.
    CHECK(events.size() >= told);
    CHECK(std::find(events.begin(), events.end(), last) != events.end());
    CHECK(log->next_seq() > last);
    told = events.size();
  }
}
