// What every client has used under every plan: the limiter's knowledge, without the actor.
#pragma once

#include "actors/limits/ledger_leases.hpp"
#include "actors/limits/ledger_rows.hpp"
#include "actors/limits/limit_books.hpp"
#include "actors/limits/limit_messages.hpp"
#include "storage/stores/counter_store.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace penstock {

/// Plans and, for each plan and scope, a client_table. A client that is new under a plan takes over
/// what it has used under other plans in limits that count the same: what its account used is not
/// forgotten with a change of plan. `now_ns` never goes back. Not synchronised.
class limit_ledger {
 public:
  /// `max_clients` bounds the entries of all tables together. The labels are shared with others.
  limit_ledger(plan_list plans, std::size_t max_clients, std::shared_ptr<limit_labels> labels);
  limit_ledger(const limit_ledger&) = delete;
  limit_ledger& operator=(const limit_ledger&) = delete;

  using location = ledger_location;
  /// Finds it, or makes room for it.
  location locate(const admit_item& item, std::int64_t now_ns);

  struct decision {
    verdict answer;
    limit_mask shadowed = 0;   ///< see admission
    std::int64_t retry_ns = 0; ///< likewise
    /// Where metrics count the plan's limits; see limit_labels.
    const std::array<std::uint16_t, max_limits_per_plan>* labels = nullptr; ///< null: no such plan
  };
  /// `sizes`: see admit_request. With many items at once, locating all before deciding any is
  /// quicker: their ways through memory overlap.
  decision decide(const location& at, const admit_item& item, std::span<const std::uint32_t> sizes,
                  std::int64_t now_ns);
  decision decide(const admit_item& item, std::span<const std::uint32_t> sizes,
                  std::int64_t now_ns) {
    return decide(locate(item, now_ns), item, sizes, now_ns);
  }

  /// The plan's rules; null: no such plan.
  const plan* rules_of(std::uint32_t plan);
  /// plan_digest() of them; 0: no such plan.
  std::uint16_t digest_of(std::uint32_t plan);

  /// All limits of the plan as they stand for the client; changes nothing.
  limits_reply look_up(const limits_query& query, std::int64_t now_ns);

  /// Visits at most `max_visits` clients, going round, and forgets the idle. Gives how many it did.
  std::size_t sweep(std::int64_t now_ns, std::size_t max_visits) {
    return books_.sweep(now_ns, max_visits);
  }

  /// What was used stays with the limits that count the same. What was used under a plan that is no
  /// more can still be taken over until it says nothing any more.
  void change_plans(const plan_list& plans, std::int64_t now_ns) {
    books_.change_plans(plans, now_ns);
  }

  /// Units set aside for other nodes.
  ledger_leases& leases() { return leases_; }

  // -- rows: for the disk, and for other nodes; see ledger_rows -----------------------------------

  bool has_changed(client_table::reader by = client_table::reader::disk) const {
    return books_.has_changed(by);
  }
  std::vector<counter_row> take_changed(std::size_t max_rows, std::int64_t now_ns,
                                        client_table::reader by = client_table::reader::disk) {
    return rows_.take_changed(max_rows, now_ns, by);
  }
  void restore(const counter_row& row, std::int64_t now_ns, bool merges = false) {
    rows_.restore(row, now_ns, merges);
  }
  void take_in(const counter_row& row, std::int64_t now_ns, bool merges = false) {
    rows_.take_in(row, now_ns, merges);
  }
  std::vector<counter_row> rows_of(std::uint32_t shard, std::int64_t now_ns) {
    return rows_.of_shard(shard, now_ns);
  }
  /// Whether there is a backup that is to hear of changes.
  void inform_backup(bool wanted) { books_.inform_backup(wanted); }
  /// Counts all of a shard as changed.
  void mark_shard(std::uint32_t shard, client_table::reader by) { books_.mark_shard(shard, by); }

  std::size_t size() const { return books_.size(); }
  std::size_t memory_bytes() const { return sizeof *this + books_.memory_bytes(); }

 private:
  void take_over(const limit_book& into, limit_scope scope, std::uint64_t client,
                 limit_state* states, std::int64_t now_ns);

  limit_books books_;
  ledger_rows rows_;
  ledger_leases leases_;
};

} // namespace penstock
