// Which files a directory must have, so that one that is gone is missed.
#pragma once

#include "storage/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// A small text file: a name a line, and a checksum in the last. A file is added before anybody
/// relies on it, and dropped before it is removed, so that one that is listed and not there is
/// lost. Where the list can't be written it is removed: it says what is true, or nothing, and a
/// full disk keeps nobody from making room. Any thread may use it; it blocks on the disk.
class file_list {
 public:
  /// With more names there is no list.
  static constexpr std::size_t max_names = 16'384;
  static constexpr std::uint64_t max_file_bytes = 1u << 20;

  /// Reads what there is. A list that is damaged says nothing.
  explicit file_list(std::filesystem::path file);

  std::set<std::string> names() const;
  bool contains(const std::string& name) const;

  /// Durable. An error means that the list could neither be written nor removed: then nothing may
  /// be removed that it names.
  result<void> set(std::set<std::string> names);
  result<void> add(const std::string& name);
  result<void> drop(const std::vector<std::string>& names);

 private:
  result<void> write_locked();

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
  std::set<std::string> names_;
  bool is_dirty_ = false; ///< the file may say something else
};

} // namespace penstock
