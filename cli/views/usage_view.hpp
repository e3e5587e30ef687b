// A usage report as people read it: a table with bars, as wide as the terminal. Pure.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/usage.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

struct usage_view {
  struct row {
    std::string label; ///< an id, or when a bucket begins
    usage_counts counts;
  };
  std::string by, per, from, to;
  std::optional<std::string> id; ///< the rows are its buckets, empty ones too; else the top
  usage_counts total;
  std::uint64_t ids = 0;
  std::vector<row> rows;
  /// Of a cluster, a sentence each: nodes whose counts are missing, or known up to a time only.
  std::vector<std::string> gaps;
};

/// Reads what GET /v1/admin/usage answers. Errors: unavailable when it is something else.
result<usage_view> parse_usage(std::string_view json);

struct output_shape {
  std::size_t width = 0;  ///< columns of the terminal; 0: not a terminal
  bool can_block = false; ///< bars of block characters rather than '#'
};

/// On a terminal with sizes in units, and bars for what `order` names (requests, events, bytes or
/// refused) where there is room. Elsewhere exact numbers and no bars. Characters that would steer
/// a terminal are shown as '?'.
std::string usage_table(const usage_view& view, std::string_view order, const output_shape& shape);

/// `value` of `most` as a bar of at most `columns`, to an eighth of one with block characters.
std::string usage_bar(std::uint64_t value, std::uint64_t most, std::size_t columns, bool can_block);

} // namespace penstock
