#include "cli/base/table.hpp"

#include <algorithm>
#include <utility>

namespace penstock {
namespace {

std::size_t width_of(const std::string& cell) {
  // Bytes that go on a character don't take a column.
  return static_cast<std::size_t>(std::count_if(cell.begin(), cell.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

} // namespace

std::string table_text(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    std::size_t gap = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      // Spaces go before a cell, so that no line ends in them.
      if (!row[i].empty()) line.append(std::exchange(gap, 0), ' ').append(row[i]);
      gap += widths[i] - width_of(row[i]) + 2;
    }
    std::replace_if(
        line.begin(), line.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    out += line + '\n';
  }
  return out;
}

} // namespace penstock
