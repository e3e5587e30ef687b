// The errors of single events in the answer to a batch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// Appends {"index":…,"status":…,"title":…,"detail":…}, after a comma unless it is the first.
void append_batch_error(std::string& out, bool& first, std::uint32_t index, unsigned status,
                        std::string_view detail);

} // namespace penstock
