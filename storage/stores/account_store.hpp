// Keys and plans on disk: `accounts.db`, which a person can read with sqlite3.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/api_key.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// All we know of one API key; of the key itself only the keyed hash and the first characters.
/// Times are milliseconds since the Unix epoch, 0 for never.
struct key_record {
  std::string id;            ///< public, see make_key_id()
  std::uint64_t version = 0; ///< grows with each change in the cluster; the highest is right
  std::string account;
  std::string plan;
  key_hash hash{};
  std::string shown;                 ///< "psk_live_ab"
  std::vector<std::string> streams;  ///< allowed; empty: all
  std::vector<std::string> origins;  ///< allowed in Referer; empty: all
  std::vector<std::string> networks; ///< allowed; empty: all
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0;
  std::int64_t revoked_ms = 0; ///< a revoked key is kept as a tombstone

  bool operator==(const key_record&) const = default;
};

/// A plan that was set while running; it wins over the configuration's of that name.
struct plan_record {
  std::string name;
  std::uint64_t version = 0;
  std::string limits = "[]"; ///< JSON, as the admin API shows it
  std::int64_t changed_ms = 0;
  std::int64_t deleted_ms = 0; ///< a deleted plan is kept as a tombstone, see keeps_limits()

  bool operator==(const plan_record&) const = default;
};

/// Whether a tombstone has the limits that its plan had: those of version 9 of the wire and before
/// do not, and say that the plan was changed when it was deleted.
inline bool keeps_limits(const plan_record& tombstone) {
  return tombstone.deleted_ms > tombstone.changed_ms;
}

/// Keys and plans that belong together: all there are, or those that changed.
struct account_records {
  std::vector<key_record> keys;
  std::vector<plan_record> plans;

  bool empty() const { return keys.empty() && plans.empty(); }
  std::size_t size() const { return keys.size() + plans.size(); }
  bool operator==(const account_records&) const = default;
};

/// Tombstones are kept so long, so that a node that was away learns what is gone.
inline constexpr std::int64_t tombstone_ms = 30ll * 86'400'000;

/// One thread uses it at a time; it blocks on the disk. Errors: io, disk_full, locked; corrupt
/// also when the file was written by a newer version of penstock.
class account_store {
 public:
  /// Opens or makes `dir`/accounts.db. A damaged one is refused (corrupt) and left as it is: a
  /// revoked key may be among what is lost. `report` gets what a power cut leaves.
  static result<std::unique_ptr<account_store>> open(const std::filesystem::path& dir,
                                                     const std::string& vfs = {},
                                                     store_report* report = nullptr);
  virtual ~account_store() = default;

  /// Everything, tombstones too; by id and by name.
  virtual result<account_records> load() = 0;
  /// Replaces these records in one durable transaction: all or nothing.
  virtual result<void> save(const account_records& changed) = 0;
  /// Forgets keys revoked and plans deleted before that time.
  virtual result<void> sweep(std::int64_t before_ms) = 0;
};

} // namespace penstock
