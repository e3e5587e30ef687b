// Data directories to be damaged, as nodes leave them, made from a seed.
#pragma once

#include "storage/journal/replica_store.hpp"
#include "tests/crash/damage/book.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace penstock::damage {

struct base {
  std::string name;
  std::filesystem::path dir;     ///< the node's data_dir
  std::filesystem::path earlier; ///< the same some time before
  book truth;
};

/// Small segments, so that a directory has several and is copied in a millisecond.
journal_options options_of(const std::filesystem::path& data_dir, bool preallocate = true);
replica_options replica_options_of(const std::filesystem::path& data_dir);

/// The embedded queue, as cursors name it.
inline constexpr const char* queue_sink = "queue";

/// Makes all of them below `under`. Ends the process where one can't be made.
std::vector<base> make_bases(const std::filesystem::path& under, std::uint64_t seed);

} // namespace penstock::damage
