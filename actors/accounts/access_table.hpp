// API keys as front ends look them up: one immutable table, shared by all.
#pragma once

#include "actors/base/ip_network.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/api_key.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a key is restricted to. An empty list allows everything of its kind.
struct key_restrictions {
  std::vector<std::string> streams;
  std::vector<std::string> origins; ///< lower case, "https://example.org"
  std::vector<ip_network> networks;
  bool has_networks = false; ///< with none in `networks`: none could be read, so nobody may
};

/// What a live key stands for.
struct access_entry {
  std::uint64_t client = 0;                     ///< of the account: whom limits count
  std::uint64_t key_client = 0;                 ///< of the key itself
  std::int64_t expires_ms = 0;                  ///< 0: never
  std::shared_ptr<const key_restrictions> only; ///< null: unrestricted
  std::uint32_t plan_id = 0;                    ///< see plan_id() in plan_set.hpp
  std::string id;
  std::string account;
  std::string plan;
};
using access_entry_ptr = std::shared_ptr<const access_entry>;

/// The keyed 64-bit hash of a name of some kind: ("account", its name) or ("key", its id).
using name_hasher = std::function<std::uint64_t(std::string_view kind, std::string_view name)>;

/// The entry for a record that is not revoked.
access_entry_ptr make_access_entry(const key_record& record, const name_hasher& hash);

/// Why a key may not be used for a request.
enum class restriction : std::uint8_t { none, expired, network, origin, stream };

/// Pure. `origin`: the Referer's, "" when there is none, which a key that is restricted to origins
/// refuses. Host and scheme are compared without regard to case. `stream`: none for what is not
/// for a stream.
restriction may_use(const access_entry& entry, std::optional<std::string_view> stream,
                    std::string_view origin, const ip_address& address, std::int64_t now_ms);

/// A live key in the table: what each request needs, in one line of the processor's cache.
struct alignas(64) access_key {
  key_hash hash{};
  std::uint64_t client = 0; ///< these three as in the entry
  std::uint64_t key_client = 0;
  const access_entry* entry = nullptr; ///< null: revoked, or a place that is free
  std::uint32_t plan_id = 0;
  bool is_taken = false;
  bool has_conditions = false; ///< the entry has an expiry or restrictions
};
static_assert(sizeof(access_key) == 64);

/// The same for a key as find() gives it; its entry is looked at only when it has conditions.
inline restriction may_use(const access_key& key, std::optional<std::string_view> stream,
                           std::string_view origin, const ip_address& address,
                           std::int64_t now_ms) {
  if (!key.has_conditions) return restriction::none;
  return may_use(*key.entry, stream, origin, address, now_ms);
}

/// "HTTPS://Example.org:443" as "https://example.org": a scheme of http or https, a host, at most
/// a port, no path; "" when it is no such origin.
std::string normal_origin(std::string_view text);

/// Rows by key hash, placed by its first bytes: the hash is keyed, so nobody outside can aim at a
/// place. Immutable once made.
class access_rows {
 public:
  struct row {
    key_hash hash{};
    access_entry_ptr entry; ///< null: revoked
  };
  explicit access_rows(const std::vector<row>& rows);

  /// Null when the hash is not there; of several rows with it the first that was given.
  const access_key* find(const key_hash& hash) const;
  const std::vector<row>& all() const { return rows_; }
  std::size_t memory_bytes() const;

 private:
  std::size_t place_of(const key_hash& hash) const;

  std::vector<row> rows_;          // own the entries
  std::vector<access_key> places_; // a power of two; a row lies at its hash's place or behind it
};

/// A snapshot. Most keys are in a base that snapshots share; what changed since lies in a small
/// overlay, so that a change of one key does not rebuild the whole. Any number of threads may read.
class access_table {
 public:
  /// An overlay that grows larger is merged into a new base.
  static constexpr std::size_t max_overlay = 1024;

  access_table();
  explicit access_table(const std::vector<access_rows::row>& rows);

  /// A live key, or null; good as long as the table. Doesn't allocate.
  const access_key* find(const key_hash& hash) const {
    const auto* key = overlay_->find(hash);
    if (!key) key = base_->find(hash);
    return key && key->entry ? key : nullptr;
  }

  /// This table with these rows put in place of those with the same hash, or added. Of two rows
  /// with one hash the later counts.
  access_table with(const std::vector<access_rows::row>& changes) const;

  std::size_t size() const { return size_; } ///< live keys
  std::size_t overlay_size() const { return overlay_->all().size(); }
  std::size_t memory_bytes() const; ///< of base and overlay, without the entries

 private:
  std::shared_ptr<const access_rows> base_;
  std::shared_ptr<const access_rows> overlay_;
  std::size_t size_ = 0;
};
using access_table_ptr = std::shared_ptr<const access_table>;

} // namespace penstock
