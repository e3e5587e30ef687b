// usage.db: how much each account, key, address, Referer and stream sent, by time. The writing
// side.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/store_opening.hpp"
#include "storage/stores/usage.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace penstock {

using usage_batch_ptr = std::shared_ptr<const usage_batch>;

/// How long what is kept.
struct usage_retention {
  /// By usage_period; 0 is for ever.
  std::array<std::chrono::milliseconds, usage_periods> keep_ms{
      std::chrono::hours{48}, std::chrono::hours{24 * 60}, std::chrono::hours{24 * 730},
      std::chrono::milliseconds{0}};
  /// Rows of all periods together. Beyond it the oldest minutes go first, then hours, days and
  /// months.
  std::uint64_t max_rows = 20'000'000;
};

/// Names whose row ids are remembered, so that they are not looked up again each second.
inline constexpr std::size_t max_cached_usage_names = 1u << 16;

/// One thread uses it at a time; it blocks on the disk. What a transaction has written is safe from
/// a crash of the process; a power failure can lose what was written since SQLite's last checkpoint
/// (synchronous = NORMAL; 1000 pages of the log, minutes on a quiet node), never the database.
class usage_store {
 public:
  /// Opens or makes `dir`/usage.db. Of a damaged one is kept what can be read, and told in
  /// `report`.
  static result<std::unique_ptr<usage_store>> open(const std::filesystem::path& dir,
                                                   store_report* report = nullptr);
  virtual ~usage_store() = default;

  /// Adds the batches to the minutes, hours, days and months they belong to: all or, on an error,
  /// nothing of them.
  result<void> write(std::span<const usage_batch_ptr> batches) {
    std::vector<usage_key> changed;
    return write(batches, changed);
  }
  /// The same; `changed` gets the rows that it was added to, and on an error means nothing.
  virtual result<void> write(std::span<const usage_batch_ptr> batches,
                             std::vector<usage_key>& changed) = 0;

  // -- of its copy elsewhere ----------------------------------------------------------------------

  /// As it is on the disk.
  virtual usage_about about() const = 0;
  /// When the file was made: what was counted before is not in it. 0: by an earlier program, before
  /// there were copies.
  virtual std::int64_t begun_ms() const = 0;
  /// Takes over all but the origin, which stays.
  virtual result<void> describe(const usage_about& about) = 0;
  /// These rows as they are now, those that have gone left out.
  virtual result<std::vector<usage_state>> states(std::span<const usage_key> keys) = 0;
  /// The rows behind `last`, at most `max`, which is 1 or more; `last` becomes the last of them.
  /// The key before all: the default one.
  virtual result<std::vector<usage_state>> states_after(usage_key& last, std::size_t max) = 0;
  /// No less than the ids that it knows.
  virtual std::uint64_t names() const = 0;

  /// Deletes rows past their time or beyond the cap, at most `max_rows` of them in one short
  /// transaction. True when there may be more to delete.
  virtual result<bool> trim(const usage_retention& keep, std::int64_t now_ms,
                            std::size_t max_rows) = 0;

  /// Of all periods together.
  virtual std::uint64_t rows() const = 0;
};

} // namespace penstock
