// What clients have used of the limits that survive a restart.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace penstock {

/// One client's use of one limit. What `at`, `used` and `previous` mean is the limit's affair.
struct counter_row {
  std::uint64_t client = 0; ///< whatever the limit counts for: the key of its table
  std::uint32_t plan = 0;
  std::uint32_t limit = 0;
  std::uint8_t scope = 0;
  std::int64_t at = 0;
  std::uint32_t used = 0;
  std::uint32_t previous = 0;
  std::int64_t idle_at = 0; ///< from then on the row says nothing; ns since the epoch, like `at`

  bool operator==(const counter_row&) const = default;
};

/// A shard of clients, by the top byte of their hash, and whether another node has its counters.
struct shard_mark {
  std::uint8_t shard = 0;
  bool is_handed_over = false;

  bool operator==(const shard_mark&) const = default;
};

/// `counters.db` in the data directory. One thread uses it at a time; it blocks on the disk.
class counter_store {
 public:
  /// Errors: io, disk_full, locked; corrupt names the file and what to do about it.
  /// Of a damaged one is kept what can be read, and told in `report`: clients then have more of
  /// their limits than they are due, until those begin anew.
  static result<std::unique_ptr<counter_store>> open(const std::filesystem::path& dir,
                                                     const std::string& vfs = {},
                                                     store_report* report = nullptr);
  virtual ~counter_store() = default;

  /// Gives the rows that still say something at `now_ns`, those of one client together.
  virtual result<void> load(std::int64_t now_ns,
                            const std::function<void(const counter_row&)>& take) = 0;
  /// Replaces the rows of the same client, plan, scope and limit, in one durable transaction.
  /// Marks tell which shards are with another node by now, or here again.
  virtual result<void> save(std::span<const counter_row> rows,
                            std::span<const shard_mark> marks = {}) = 0;
  /// Marked as with another node: what the rows of such a shard say may be old.
  virtual result<std::vector<std::uint8_t>> handed_over() = 0;
  /// Looks at about `max_rows` from where it looked last, going round the table, and deletes those
  /// that say nothing any more. Gives how many it deleted.
  virtual result<std::size_t> remove_idle(std::int64_t now_ns, std::size_t max_rows) = 0;
};

} // namespace penstock
