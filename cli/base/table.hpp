// Tables for people to read.
#pragma once

#include <string>
#include <vector>

namespace penstock {

/// Rows of cells in columns as wide as they need, two spaces apart, a line each; the first row is
/// the heading. Cells are UTF-8; control characters come out as '?'.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

} // namespace penstock
