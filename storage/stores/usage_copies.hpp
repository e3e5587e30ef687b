// What other nodes counted: a copy of each one's usage, so that it is not gone with the node.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/store_opening.hpp"
#include "storage/stores/usage_store.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Copies that a node keeps: of nodes that are there, and of all that ever left.
inline constexpr std::size_t max_usage_copies = 1024;
/// Of these files so many are open.
inline constexpr std::size_t max_open_usage_copies = 8;

/// `dir`/usage-copies/ORIGIN.db, each as usage.db is. One thread uses it at a time; it blocks on
/// the disk. Nothing but trim() takes anything away.
class usage_copies {
 public:
  /// Makes the directory if it is not there. Of a damaged copy is kept what can be read.
  static result<std::unique_ptr<usage_copies>> open(const std::filesystem::path& dir,
                                                    store_report* report = nullptr,
                                                    std::size_t max_copies = max_usage_copies);

  struct copy {
    usage_about about;
    std::uint64_t names = 0; ///< no less than the ids in it
    std::uint64_t rows = 0;
  };
  /// By origin.
  const std::map<std::string, copy>& all() const { return all_; }

  /// See usage_store::raise(); makes the copy if there is none. Errors: invalid for what is no
  /// origin, unavailable beyond max_copies.
  result<bool> raise(std::span<const usage_state> rows, const usage_about& about);
  /// See usage_store::states_after(). Errors: not_found.
  result<std::vector<usage_state>> states_after(const std::string& origin, usage_key& last,
                                                std::size_t max);
  /// See usage_store::trim(), of one copy after the other; all together have as many rows as the
  /// node's own usage may have.
  result<bool> trim(const usage_retention& keep, std::int64_t now_ms, std::size_t max_rows);

  static std::filesystem::path file_of(const std::filesystem::path& dir, const std::string& origin);

 private:
  usage_copies(std::filesystem::path dir, std::size_t max_copies)
      : dir_(std::move(dir)), max_copies_(max_copies) {}
  result<usage_store*> store_of(const std::string& origin, store_report* report = nullptr);
  void note(const std::string& origin, const usage_store& store);

  std::filesystem::path dir_; // the data directory
  std::size_t max_copies_;
  std::map<std::string, copy> all_;
  std::list<std::pair<std::string, std::unique_ptr<usage_store>>> open_; // the latest used first
  std::string trimmed_;                                                  // the last
};

} // namespace penstock
