// The table of jobs in a database: part of the stores of replays and of dead letters.
#pragma once

#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/delivery_job.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace penstock {

/// Uses a connection that outlives it, within its owner's transactions. One thread.
class job_table {
 public:
  /// Makes the table if need be.
  result<void> open(sqlite_database& db);

  /// Keeps a new job under the next number, which is never given again.
  result<delivery_job> add(delivery_job job);
  /// Replaces what is known of a job.
  result<void> save(const delivery_job& job);
  result<std::optional<delivery_job>> find(job_kind kind, std::uint64_t number);
  /// The newest first, running ones before all others.
  result<std::vector<delivery_job>> list();
  /// Forgets ended jobs but for the newest max_ended_jobs.
  result<void> trim();

 private:
  sqlite_statement add_, save_, find_, list_, trim_;
};

} // namespace penstock
