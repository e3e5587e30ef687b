// Makes the next segment ahead of need and retires old ones, off the commit thread.
#pragma once

#include "storage/journal.hpp"

#include <cstdint>
#include <memory>

namespace penstock {

/// Opening and unlinking a segment takes 15 to 100 ms, which no commit should wait for. One
/// thread uses a keeper (not the writer's). The journal takes what it prepared, or makes its own.
class segment_keeper {
 public:
  static std::unique_ptr<segment_keeper> make(journal& owner, const journal_options& options);
  virtual ~segment_keeper() = default;

  /// Prepares a segment if none is waiting. Blocks.
  virtual result<void> prepare() = 0;

  /// Unlinks (or keeps for recycling) every sealed segment that lies wholly at or before
  /// `confirmed_seq` and whose last event is older than `before_time_ms`. Damaged ones are moved
  /// to `damaged/` instead. Needs no free space. Gives the number of segments retired.
  virtual result<std::size_t> retire(std::uint64_t confirmed_seq, std::int64_t before_time_ms) = 0;
};

} // namespace penstock
