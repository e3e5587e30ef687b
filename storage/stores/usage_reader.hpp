// Reports from usage.db, on a connection of their own that can only read.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/usage.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

inline constexpr std::uint32_t max_usage_top = 1000;
/// Buckets that one id's report may span.
inline constexpr std::int64_t max_usage_buckets = 10'000;
/// Names whose sums are held at once: a report over more reads its range again for the next ones.
inline constexpr std::int64_t usage_names_a_pass = 1 << 18;
/// Rows read between two moments at which the log may be cut back.
inline constexpr std::int64_t usage_rows_a_slice = 20'000;

/// What the top is ordered by.
enum class usage_order : std::uint8_t { requests, events, bytes, refused };

std::uint64_t count_of(const usage_counts& counts, usage_order order);

/// The buckets that begin in [from_s, to_s); from_s is cut down to a bucket's beginning.
struct usage_query {
  usage_dimension by = usage_dimension::ip;
  usage_period per = usage_period::hour;
  std::int64_t from_s = 0;
  std::int64_t to_s = 0;
  std::uint32_t top = 10; ///< at most max_usage_top; without an id
  usage_order order = usage_order::requests;
  std::optional<std::string> id{}; ///< its buckets one by one, rather than the top of all ids
};

struct usage_row {
  std::string id;
  std::int64_t start_s = 0; ///< of a bucket; 0 in a top
  usage_counts counts;
};

struct usage_report {
  std::int64_t from_s = 0; ///< as used
  std::int64_t to_s = 0;
  usage_counts total;          ///< of all ids, also those below the top; of the id's buckets
  std::uint64_t ids = 0;       ///< how many ids the range has
  std::vector<usage_row> rows; ///< the top, greatest first; or the buckets that have anything
};

/// One thread uses it at a time; it blocks on the disk. Memory: names_a_pass sums and a page
/// cache of 2 MiB, whatever the range. A bucket that is being written meanwhile is counted as it
/// is when it is read.
class usage_reader {
 public:
  /// Opens `dir`/usage.db, which a usage_store has made.
  static result<std::unique_ptr<usage_reader>> open(const std::filesystem::path& dir,
                                                    std::int64_t names_a_pass = usage_names_a_pass);
  /// The same for copies of other nodes' in `dir`/usage-copies.db, added up: of these origins.
  /// Errors: not_found when one of them is not there.
  static result<std::unique_ptr<usage_reader>> open_copies(const std::filesystem::path& dir,
                                                           const std::vector<std::string>& origins);
  virtual ~usage_reader() = default;

  /// `give_up` is asked every few thousand steps; true ends the report with errc::unavailable.
  /// Errors: invalid for a range of too many buckets.
  virtual result<usage_report> run(const usage_query& query,
                                   const std::function<bool()>& give_up) = 0;

  /// What a report over several stores adds up: of the ids in that part (see usage_part_of) the
  /// sums over the range; or, where the query names an id, its buckets. `top` and `order` count for
  /// nothing. Errors as above.
  virtual result<std::vector<usage_row>> run_part(const usage_query& query, std::uint32_t part,
                                                  std::uint32_t parts,
                                                  const std::function<bool()>& give_up) = 0;

  /// Calls `visit` with each row of a dimension in the buckets that begin in [from_s, to_s), by
  /// time; not in one transaction. `give_up` as above.
  virtual result<void> visit(usage_dimension by, usage_period per, std::int64_t from_s,
                             std::int64_t to_s, const std::function<void(const usage_row&)>& visit,
                             const std::function<bool()>& give_up) = 0;
};

} // namespace penstock
