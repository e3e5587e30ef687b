// Idempotency records that outlive their segments: idempotency.db in the data directory.
#pragma once

#include "storage/events/idempotency.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace penstock {

inline constexpr std::uint64_t default_idempotency_reserve_bytes = 4u << 20;

/// A segment goes when every sink has its events; what a repeat is recognised by stays for the
/// window. One thread uses a store at a time; it blocks on the disk.
class idempotency_store {
 public:
  /// `tag`: of the journal whose numbers the records hold; those of another are dropped.
  /// `reserve_bytes`: held so that records can be copied, and so a segment freed, when the disk is
  /// full. A damaged one is begun anew, and told in `report`. Errors: disk_full, io.
  static result<std::unique_ptr<idempotency_store>>
  open(const std::filesystem::path& dir, const std::string& tag,
       std::uint64_t reserve_bytes = default_idempotency_reserve_bytes, const std::string& vfs = {},
       store_report* report = nullptr);
  virtual ~idempotency_store() = default;

  /// Visits the records that are not older than `since_ms`, in journal order.
  virtual result<void> visit(std::int64_t since_ms, const record_visitor& visit) = 0;

  /// Copies a segment's records that are not older than `since_ms` and forgets what is older here,
  /// and the oldest beyond `max_records`, in one durable transaction.
  virtual result<void> keep(const std::filesystem::path& segment, std::int64_t since_ms,
                            std::size_t max_records) = 0;

  /// Takes the reserve again if it was given back and there is room by now; cheap when it is held.
  virtual void restore_reserve() = 0;
};

} // namespace penstock
