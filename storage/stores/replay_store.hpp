// Replays on disk: `replays.db`, so that one goes on where it was after a crash.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/delivery_job.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// One thread uses it at a time; it blocks on the disk. Errors: io, disk_full, locked; corrupt also
/// when the file was written by a newer version of penstock.
class replay_store {
 public:
  /// Opens or makes `dir`/replays.db. Of a damaged one is kept what can be read, and told in
  /// `report`.
  static result<std::unique_ptr<replay_store>> open(const std::filesystem::path& dir,
                                                    const std::string& vfs = {},
                                                    store_report* report = nullptr);
  virtual ~replay_store() = default;

  /// Makes a new job durable under a number of its own, and forgets the oldest ended ones.
  virtual result<delivery_job> add(delivery_job job) = 0;
  /// Makes what changed of a job durable.
  virtual result<void> save(const delivery_job& job) = 0;
  virtual result<std::optional<delivery_job>> find(std::uint64_t number) = 0;
  /// Running ones first, then the newest.
  virtual result<std::vector<delivery_job>> list() = 0;
};

} // namespace penstock
