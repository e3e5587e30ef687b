// All keys and plans of a node in memory: which record is right, and the snapshots made of them.
#pragma once

#include "actors/accounts/access_table.hpp"
#include "actors/limits/plan_set.hpp"
#include "storage/stores/account_store.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Keys a node holds, revoked ones of the last 30 days among them. About 600 bytes each.
inline constexpr std::size_t max_keys = 1'000'000;
/// Plans set while running.
inline constexpr std::size_t max_stored_plans = 1'000;
/// A version is a time in microseconds; one beyond this is damaged.
inline constexpr std::uint64_t max_record_version = std::uint64_t{1} << 62;
/// Two nodes compare what they know by so many hashes: one key in 100,000 that differs costs a
/// hundred records.
inline constexpr std::size_t digest_buckets = 1024;
/// What one message between nodes holds at most; the bytes are counted roughly, and one record
/// may exceed them.
inline constexpr std::size_t max_records_per_message = 1'000;
inline constexpr std::size_t max_record_bytes_per_message = 1u << 20;

/// Keyed by id and name. Between records of one name the higher version is right; of equal ones
/// (two nodes set one plan in the same microsecond) whichever compares greater, so that all nodes
/// choose alike. Not synchronised; takes time as an argument.
class account_book {
 public:
  account_book(account_records records, std::vector<plan> configured, name_hasher hash);

  // -- what is in force ---------------------------------------------------------------------------

  access_table_ptr access() const { return access_; }
  plan_set_ptr plans() const { return plans_; }

  /// Null when there is none (or not any more).
  const key_record* key(const std::string& id) const;
  /// Keys after `after` by id, at most `max`, of `account` if it is not empty; `more` tells
  /// whether there are others.
  std::vector<key_record> keys(const std::string& account, const std::string& after,
                               std::size_t max, bool& more) const;
  /// Live keys, by plan: those neither revoked nor expired.
  std::map<std::string, std::uint64_t> keys_by_plan(std::int64_t now_ms) const;
  /// Of all keys, revoked ones too; each once, sorted.
  std::vector<std::string> accounts() const;
  /// Null when there is none; one that was deleted is there for some time.
  const plan_record* stored_plan(const std::string& name) const;
  /// Calls `take` with each plan and each key, tombstones too.
  template <class Take>
  void each_record(Take take) const {
    for (const auto& [name, rules] : stored_plans_)
      take(rules);
    for (const auto& [id, key] : keys_)
      take(key);
  }
  std::size_t key_count() const { return keys_.size(); }
  std::size_t stored_plan_count() const;

  // -- changes ------------------------------------------------------------------------------------

  /// The version for a change made here now: higher than any that was seen.
  std::uint64_t next_version(std::int64_t now_us) const;
  /// Of these the records that are right where ours are not: what is left to save and apply. Old
  /// tombstones are not taken: they would come back from a node that has not swept yet.
  account_records newer(account_records theirs, std::int64_t now_ms) const;
  /// Takes over records that newer() gave, or that were made here.
  void apply(const account_records& changed);
  void configure(std::vector<plan> plans);
  /// Plans that were deleted while live keys use them, at nodes that did not know of each other, as
  /// they come back: for whoever knows the tombstone and a key the same record, just later than the
  /// tombstone, with the limits that the plan had. Not those that the configuration has, nor those
  /// whose limits neither the tombstone keeps nor `before` has. Looks at
  /// those that `changed` has or has keys of.
  std::vector<plan_record> revived(const account_records& changed,
                                   const std::vector<plan_record>& before,
                                   std::int64_t now_ms) const;
  /// Our live records of the plans that are deleted in `changed`.
  std::vector<plan_record> live_plans_of(const account_records& changed) const;
  /// To be called now and then: a plan that keys have and that is nowhere at two calls is missing
  /// from then on, so that one which comes later than its keys is none; all such at once with
  /// `at_once`. At most max_stored_plans. True: plans() are others now.
  bool note_missing(bool at_once);
  /// True when ours of that name is the one that is right, and another one.
  bool is_older(const key_record& theirs) const;
  bool is_older(const plan_record& theirs) const;
  /// Forgets keys revoked and plans deleted before that time, and tells which.
  account_records sweep(std::int64_t before_ms);

  // -- comparing with other nodes -----------------------------------------------------------------

  std::vector<std::uint64_t> digest() const { return {digest_.begin(), digest_.end()}; }
  /// All records of the buckets in which `theirs` differs from ours, in messages' portions.
  std::vector<account_records> lacking(const std::vector<std::uint64_t>& theirs) const;

 private:
  template <class Record>
  void note(const Record& record);
  void count(const key_record& key, int by);
  void set_plans();
  bool is_nowhere(const std::string& plan) const;

  std::map<std::string, key_record> keys_;
  std::map<std::string, plan_record> stored_plans_;
  std::vector<plan> configured_;
  name_hasher hash_;
  std::array<std::uint64_t, digest_buckets> digest_{};
  std::uint64_t last_version_ = 0;
  std::map<std::string, std::uint64_t> unrevoked_; // keys, by plan
  std::set<std::string> nowhere_;                  // plans, at the last note_missing()
  std::set<std::string> missing_;
  access_table_ptr access_;
  plan_set_ptr plans_;
};

/// Since when a record is a tombstone; 0: it is none.
inline std::int64_t end_of(const key_record& key) {
  return key.revoked_ms;
}
inline std::int64_t end_of(const plan_record& rules) {
  return rules.deleted_ms;
}
/// Of two records of one name: `a` is the one that is right, and another one.
bool is_newer(const key_record& a, const key_record& b);
bool is_newer(const plan_record& a, const plan_record& b);

/// The records in portions that fit a message each.
std::vector<account_records> in_portions(account_records records);

} // namespace penstock
