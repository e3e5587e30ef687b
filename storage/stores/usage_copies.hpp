// What other nodes counted: a copy of each one's usage, so that it is not gone with the node.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/store_opening.hpp"
#include "storage/stores/usage_store.hpp"
#include "storage/stores/usage_tables.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Copies that a node keeps: of nodes that are there, and of all that ever left and of which there
/// are rows still.
inline constexpr std::size_t max_usage_copies = 16'384;
/// A copy without rows goes when nothing was heard of its node for so long.
inline constexpr std::int64_t usage_empty_copy_ms = 24 * 3'600'000;

/// All in `dir`/usage-copies.db, whose tables are those of usage.db. One thread uses it at a time;
/// it blocks on the disk. Nothing but trim() takes anything away.
class usage_copies {
 public:
  /// Makes the file if it is not there. Of a damaged one is kept what can be read.
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
  /// No less than the ids in all together, which share them.
  std::uint64_t names() const { return tables_.names(); }
  /// Another one is not taken.
  bool is_full() const { return all_.size() >= max_copies_; }

  /// Of each row keeps whichever counts are greater, and what `about` says if it has a later
  /// known_ms: all or, on an error, nothing. Makes the copy if there is none. True: a row says more
  /// than what was here. Errors: invalid for what is no origin, unavailable beyond max_copies.
  result<bool> raise(std::span<const usage_state> rows, const usage_about& about);
  /// See usage_store::states_after(). Errors: not_found.
  result<std::vector<usage_state>> states_after(const std::string& origin, usage_key& last,
                                                std::size_t max);
  /// See usage_store::trim(), of one copy, and of the same again while there may be more to delete;
  /// then of the next. All together have as many rows as the node's own usage may have: beyond it
  /// the one with most rows comes first. One that has none left, and whose node is not heard of, is
  /// given up.
  result<bool> trim(const usage_retention& keep, std::int64_t now_ms, std::size_t max_rows);

 private:
  explicit usage_copies(std::size_t max_copies) : max_copies_(max_copies) {}
  result<usage_slot*> slot_of(const std::string& origin);
  result<bool> trim_largest(const usage_retention& keep, std::int64_t now_ms, std::size_t max_rows);
  void note(const usage_slot& slot);

  std::size_t max_copies_;
  usage_tables tables_;
  std::map<std::string, usage_slot> slots_; // by origin, as the next
  std::map<std::string, copy> all_;
  std::uint64_t rows_ = 0; // of all together
  std::string trimmed_;    // the last
};

} // namespace penstock
