// What the kernel says of this process.
#pragma once

#include <cstdint>

namespace penstock {

struct process_figures {
  std::uint64_t resident_bytes = 0;
  double cpu_seconds = 0; ///< user and system
  std::uint64_t open_descriptors = 0;
  std::uint64_t threads = 0;
};

/// Reads /proc/self; what can't be read is 0.
process_figures read_process_figures();

} // namespace penstock
