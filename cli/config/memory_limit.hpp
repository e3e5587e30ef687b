// How much memory the kernel lets this process have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace penstock {

struct memory_limit {
  enum class origin : std::uint8_t { setting, cgroup, machine };

  std::uint64_t bytes = 0;
  origin from = origin::machine;
};

/// The smallest limit of the control groups that the process is in and of those above them
/// (version 2: memory.max, version 1: memory.limit_in_bytes), or the machine's memory where none is
/// smaller. What can't be read sets no limit; 1 GiB when not even the machine's memory can be read.
/// `root` stands before all paths, for tests.
memory_limit read_memory_limit(const std::filesystem::path& root = "/");

/// "node.memory", "the cgroup" or "the machine".
std::string name_of(memory_limit::origin from);

} // namespace penstock
