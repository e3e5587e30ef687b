// What every client has used under every plan: the limiter's knowledge, without the actor.
#pragma once

#include "actors/limits/admit.hpp"
#include "actors/limits/client_table.hpp"
#include "actors/limits/lease_terms.hpp"
#include "actors/limits/limit_labels.hpp"
#include "actors/limits/limit_messages.hpp"
#include "storage/stores/counter_store.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace penstock {

/// The key of a scope's table under which an item's use is counted. Its shard is the client's, so
/// that all limits of a request lie with one limiter.
std::uint64_t counted_for(limit_scope scope, std::uint64_t client, std::uint64_t key,
                          std::uint32_t stream);

/// What the limits of a plan must remember of a lease; see lease_mark().
using lease_marks = std::array<std::int64_t, max_limits_per_plan>;

/// Plans and, for each plan and scope, a client_table. A client that is new under a plan takes over
/// what it has used under other plans in limits that count the same: what its account used is not
/// forgotten with a change of plan. `now_ns` never goes back. Not synchronised.
class limit_ledger {
 public:
  /// `max_clients` bounds the entries of all tables together. The labels are shared with others.
  limit_ledger(plan_list plans, std::size_t max_clients, std::shared_ptr<limit_labels> labels);
  ~limit_ledger();
  limit_ledger(const limit_ledger&) = delete;
  limit_ledger& operator=(const limit_ledger&) = delete;

  struct book; // a plan and its tables

  /// Where an item's use is counted; good until the next sweep or change of plans.
  struct location {
    book* in = nullptr; ///< null: no such plan
    bool full = false;  ///< a table has no room for the client
    std::array<client_table::entry, scope_count> entries{};
  };
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

  // -- leases -------------------------------------------------------------------------------------

  lease_terms terms(const location& at, limit_mask applying) const;
  static lease_key key_of(const location& at, const admit_item& item);
  struct room {
    std::uint32_t units = 0;
    std::int64_t lifetime_ns = 0; ///< that asked for, or until the first window ends
  };
  /// What could be set aside for so long.
  room leasable(const location& at, limit_mask applying, std::int64_t lifetime_ns,
                std::int64_t now_ns) const;
  /// No more than leasable() told.
  lease_marks set_aside(const location& at, limit_mask applying, std::uint32_t units,
                        std::int64_t now_ns);
  /// Of the `leased` units of a lease so many were not spent.
  void settle(const lease_key& key, const lease_marks& marks, std::uint32_t leased,
              std::uint32_t unspent, std::int64_t now_ns);
  /// See limits.hpp: before leases of the key are forgotten, and after one that is in the counters
  /// that came from another node has become known.
  void fold(const lease_key& key, std::int64_t now_ns);
  void unfold(const lease_key& key, std::uint32_t units);

  /// The plan's rules; null: no such plan.
  const plan* rules_of(std::uint32_t plan);
  /// plan_digest() of them; 0: no such plan.
  std::uint16_t digest_of(std::uint32_t plan);

  /// All limits of the plan as they stand for the client; changes nothing.
  limits_reply look_up(const limits_query& query, std::int64_t now_ns);

  /// Visits at most `max_visits` clients, going round, and forgets the idle. Gives how many it did.
  std::size_t sweep(std::int64_t now_ns, std::size_t max_visits);

  /// What was used stays with the limits that count the same. What was used under a plan that is no
  /// more can still be taken over until it says nothing any more.
  void change_plans(const plan_list& plans, std::int64_t now_ns);

  // -- what survives a restart --------------------------------------------------------------------

  bool has_changed(client_table::reader by = client_table::reader::disk) const;
  /// Rows of clients that changed since they were taken last, of about `max_rows`.
  std::vector<counter_row> take_changed(std::size_t max_rows, std::int64_t now_ns,
                                        client_table::reader by = client_table::reader::disk);
  /// What was saved once, or comes from another node. A row of a plan or limit that is no more, or
  /// that says nothing any more, is passed over.
  void restore(const counter_row& row, std::int64_t now_ns);

  // -- what goes to other nodes -------------------------------------------------------------------

  void inform_backup(bool wanted);
  /// Counts all of a shard as changed, for the backup.
  void mark_shard(std::uint32_t shard);
  /// All of a shard that says anything.
  std::vector<counter_row> rows_of(std::uint32_t shard, std::int64_t now_ns);
  /// As restore(), and to be saved: the shard is ours now.
  void take_in(const counter_row& row, std::int64_t now_ns);

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const;

 private:
  struct place_of; // a limit in a book

  book* find_book(std::uint32_t plan);
  template <class Change>
  void change_leased(const lease_key& key, Change&& change);
  limit_states states_at(const location& at, limit_mask applying) const;
  void set_rules(book& which, const plan& rules, std::int64_t now_ns);
  void index_limits();
  void add_rows(std::vector<counter_row>& rows, const book& in, std::size_t scope,
                std::uint64_t client, const limit_state* states, std::int64_t now_ns,
                bool all) const;
  client_table::entry restore_into(const counter_row& row, std::int64_t now_ns);
  void take_over(const book& into, limit_scope scope, std::uint64_t client, limit_state* states,
                 std::int64_t now_ns);

  std::size_t max_clients_;
  std::size_t size_ = 0;
  std::shared_ptr<limit_labels> labels_;
  std::vector<std::unique_ptr<book>> books_;
  boost::unordered_flat_map<std::uint32_t, book*> book_of_; // by plan id
  // Limits that count the same, by scope and limit id.
  boost::unordered_flat_map<std::uint64_t, std::vector<place_of>> same_limits_;
  std::vector<std::pair<book*, std::uint8_t>>
      tables_; // all, as sweep() and take_changed() go round
  std::size_t sweep_at_ = 0;
  std::array<std::size_t, client_table::reader_count> take_at_{};
  bool backed_up_ = false;
};

} // namespace penstock
