// Which streams metrics and the status tell apart: outsiders choose names, so not all of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Streams that are not configured and are shown each by itself: those with the most events.
inline constexpr std::size_t max_shown_streams = 100;
/// What stands for the rest, added up; no stream is called so.
inline constexpr std::string_view other_streams = "(other)";

using stream_test = std::function<bool(const std::string& stream)>;

/// Pure. The rows of configured streams and the largest of the others, in the order of their
/// names, and a row `other_streams` for the rest, if there is one. `size_of(row)` is what largest
/// means, `add(sum, row)` adds a row to another. A `row` has a `stream`. No `is_configured`: no
/// stream is.
template <class Row, class SizeOf, class Add>
std::vector<Row> shown_streams(std::vector<Row> rows, const stream_test& is_configured,
                               SizeOf size_of, Add add) {
  const auto others =
      std::partition(rows.begin(), rows.end(),
                     [&](const Row& row) { return is_configured && is_configured(row.stream); });
  const auto by_name = [](const Row& a, const Row& b) { return a.stream < b.stream; };
  std::vector<Row> rest;
  if (static_cast<std::size_t>(rows.end() - others) > max_shown_streams) {
    std::sort(others, rows.end(), [&](const Row& a, const Row& b) {
      return size_of(a) != size_of(b) ? size_of(a) > size_of(b) : by_name(a, b);
    });
    const auto first = others + static_cast<std::ptrdiff_t>(max_shown_streams);
    rest.assign(std::make_move_iterator(first), std::make_move_iterator(rows.end()));
    rows.erase(first, rows.end());
  }
  std::sort(rows.begin(), rows.end(), by_name);
  if (rest.empty()) return rows;
  Row sum = std::move(rest.front());
  sum.stream = other_streams;
  for (auto row = rest.begin() + 1; row != rest.end(); ++row)
    add(sum, *row);
  rows.push_back(std::move(sum));
  return rows;
}

} // namespace penstock
