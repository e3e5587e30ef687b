// Looks for damage in the data directory of a node that does not run, without changing it.
#pragma once

#include "storage/base/files.hpp"
#include "storage/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Files and directories that a data directory may have, to be checked.
inline constexpr std::size_t max_checked_files = 1'000'000;

/// Makes a directory, mode 0700, of a name that ends in XXXXXX, in place of which it has others
/// then.
result<std::filesystem::path> make_private_directory(std::string pattern);

/// A private copy of a data directory, mode 0700, that goes away with the object. Opening it as a
/// node does tells what a node would say and do, in the same words, and leaves the original alone.
/// What was set aside earlier, logs that wait for their use and reserves are left out. Of symbolic
/// links those are followed that lead to journal/, replicas/, the secret or a store.
class data_dir_copy {
 public:
  /// Locks the original against a node's start, without writing, for as long as the copy lives.
  /// Errors: locked when a node runs on it; not_found when it is none; disk_full when there is no
  /// room for the copy in `scratch`, which takes at most as much as the original; io. `make_copy`
  /// is make_private_directory, or calls it and notes what it made.
  using directory_maker = std::function<result<std::filesystem::path>(std::string pattern)>;
  static result<data_dir_copy> make(const std::filesystem::path& dir,
                                    const std::filesystem::path& scratch,
                                    const directory_maker& make_copy = make_private_directory);
  data_dir_copy(data_dir_copy&& other) noexcept
      : dir_(std::move(other.dir_)), copy_(std::exchange(other.copy_, {})),
        lock_(std::move(other.lock_)) {}
  data_dir_copy& operator=(data_dir_copy&&) = delete;
  ~data_dir_copy();

  const std::filesystem::path& path() const { return copy_; }
  /// A sentence about the copy, as one about the original.
  std::string of_original(std::string sentence) const;

 private:
  data_dir_copy(std::filesystem::path dir, unique_fd lock)
      : dir_(std::move(dir)), lock_(std::move(lock)) {}
  result<void> fill(const std::filesystem::path& scratch, const directory_maker& make_copy);

  std::filesystem::path dir_;
  std::filesystem::path copy_;
  unique_fd lock_;
};

/// What a start would find. Sentences are those of the start.
struct data_dir_report {
  std::uint64_t events = 0; ///< in the journal
  std::uint64_t segments = 0;
  std::vector<std::string> damaged;
  std::vector<std::string> torn; ///< last transactions that are not whole, which is no damage
};

/// Opens all that a node opens in its data directory, and has each page and row read. It changes
/// what it opens, so it is for a copy. What stops a start is damage here, and the other stores are
/// looked at all the same. Errors: all but corrupt.
result<data_dir_report> open_all_stores(const std::filesystem::path& copy);

} // namespace penstock
