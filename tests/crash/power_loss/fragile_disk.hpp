// A disk whose power can fail: a SQLite VFS that holds back what was not synced.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace penstock::test {

/// Files opened through the VFS `fragile` are real ones, but a write reaches them only at the next
/// xSync. When the power fails, unsynced writes are kept, dropped or torn at random, by sectors of
/// 512 bytes. One journal and its readers use it at a time, on one thread.
class fragile_disk {
 public:
  static constexpr const char* vfs_name = "fragile";
  static constexpr std::size_t sector_bytes = 512;

  /// The only one; registers the VFS at the first call.
  static fragile_disk& instance();

  /// The power fails at the n-th write or sync from now; every later one is an error.
  void fail_after(std::uint64_t operations) { operations_left_ = operations; }
  void never_fail() { operations_left_ = never; }
  bool failed() const { return failed_; }

  /// Turns the power off now and on again: of each unsynced write some sectors survive. All files
  /// must have been closed.
  void restart(std::mt19937_64& random);

  // For the VFS's methods.
  struct write {
    std::int64_t offset;
    std::string bytes;
  };
  using unsynced_writes = std::vector<write>;
  unsynced_writes& of(const std::string& path) { return unsynced_[path]; }
  /// Counts one operation; false when the power is off.
  bool powered();

 private:
  static constexpr std::uint64_t never = ~0ull;

  std::uint64_t operations_left_ = never;
  bool failed_ = false;
  std::map<std::string, unsynced_writes> unsynced_;
};

} // namespace penstock::test
