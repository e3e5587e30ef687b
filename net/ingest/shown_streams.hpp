// Which streams metrics and the status tell apart: outsiders choose names, so not all of them.
#pragma once

#include "storage/events/event_block.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Streams that are not configured and are shown each by itself: half of them those with the most
/// bytes, since one with few large events fills a disk, too; the others those with the most events.
inline constexpr std::size_t max_shown_streams = 100;
/// What stands for the rest, added up; no stream is called so.
inline constexpr std::string_view other_streams = "(other)";

using stream_test = std::function<bool(const std::string& stream)>;

/// Pure. The rows of configured streams and the largest of the others, in the order of their
/// names, and a row `other_streams` for the rest, if there is one. `volume_of(row)` gives its
/// events and bytes, `add(sum, row)` adds a row to another. A `row` has a `stream`. No
/// `is_configured`: no stream is.
template <class Row, class VolumeOf, class Add>
std::vector<Row> shown_streams(std::vector<Row> rows, const stream_test& is_configured,
                               VolumeOf volume_of, Add add) {
  const auto others = std::partition(rows.begin(), rows.end(), [&](const Row& row) {
    return is_configured && is_configured(row.stream);
  });
  const auto by_name = [](const Row& a, const Row& b) { return a.stream < b.stream; };
  std::vector<Row> rest;
  if (static_cast<std::size_t>(rows.end() - others) > max_shown_streams) {
    const auto sort_by = [&](auto from, auto figure, auto next_figure) {
      std::sort(from, rows.end(), [&](const Row& a, const Row& b) {
        const auto of_a = volume_of(a), of_b = volume_of(b);
        if (of_a.*figure != of_b.*figure) return of_a.*figure > of_b.*figure;
        if (of_a.*next_figure != of_b.*next_figure) return of_a.*next_figure > of_b.*next_figure;
        return by_name(a, b);
      });
    };
    const auto half = others + static_cast<std::ptrdiff_t>(max_shown_streams / 2);
    const auto first = others + static_cast<std::ptrdiff_t>(max_shown_streams);
    sort_by(others, &event_volume::bytes, &event_volume::events);
    sort_by(half, &event_volume::events, &event_volume::bytes);
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
