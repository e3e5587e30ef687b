// Decisions about own shards, and what is streamed of them against a crash: to the node that takes
// over then.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_table.hpp"
#include "actors/limiter/unconfirmed_units.hpp"

#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <vector>

namespace penstock {

/// What no backup has confirmed is admitted again if the owner dies. A message goes to it at once
/// after so many units of all clients; and of a client nothing more is admitted than this part of
/// its least limit, or so many units, before the backup confirms some. A request is not divided.
inline constexpr std::uint64_t max_unsent_units = 32;
inline constexpr std::uint32_t unconfirmed_part = 200;
inline constexpr std::uint32_t min_unconfirmed_units = 8;
inline constexpr std::size_t max_backup_rows = 4096;
/// Messages to a backup under way: further ones follow a lost packet at once, so that it is missed
/// within a round trip and not when a timer ends. Of many rows there is one.
inline constexpr std::size_t max_backups_under_way = 16;
/// An answer with a lease leaves when the backup has the lease, so that no crash gives its units to
/// others too. After so long it leaves without.
inline constexpr std::int64_t max_lease_delay_ns = 100'000'000;

/// Whoever decides an item does so here, so that no charge is forgotten in the bound on what a
/// crash admits again. Not synchronised.
class owner_backup {
 public:
  /// Decides an item whose counters are here, and counts that.
  using decide_function =
      std::function<limit_ledger::decision(const limit_ledger::location&, const admit_item&,
                                           std::span<const std::uint32_t>, std::int64_t now_ns)>;

  owner_backup(const limiter_context& context, decide_function decide, const shard_table& table,
               lease_granter& granter)
      : context_(context), decide_(std::move(decide)), table_(table), granter_(granter) {}

  // -- decisions ----------------------------------------------------------------------------------

  /// Decides the item, and notes what it charged until a backup confirms to know.
  limit_ledger::decision decide(const limit_ledger::location& at, const admit_item& item,
                                std::span<const std::uint32_t> sizes, std::int64_t now_ns);
  /// True while so much of the client's is unconfirmed that it has to wait. A backup that can't be
  /// reached is not waited for.
  bool is_at_bound(const admit_item& item);
  /// So much is unsent that it is to be sent at once.
  bool is_due() const { return unconfirmed_.unsent() >= max_unsent_units; }
  /// Whether the client's shard has a backup, in reach.
  bool has_backup(std::uint64_t client) const {
    return table_.backup_limiter(shard_of(client)) != nullptr;
  }
  std::uint64_t unconfirmed() const { return unconfirmed_.all(); }

  // -- streaming ----------------------------------------------------------------------------------

  /// The shard's backup is to hear of all its counters, and when that was all.
  void tell_anew(std::uint32_t shard);
  /// The same of these shards, and of their leases.
  void tell_anew(const std::bitset<shard_count>& shards);
  /// Sends what changed, if anything did and not too much is under way.
  void back_up();
  /// A backup has what it was sent first. False: nothing was sent to it.
  bool on_taken(const caf::actor_addr& from);
  /// They don't answer any more.
  void lose(const std::vector<limiter_handle>& limiters);

  // -- answers ------------------------------------------------------------------------------------

  /// Sends the answer: at once, or when the backup has what was charged so far.
  void answer(const limiter_handle& to, owner_reply reply, bool waits);
  /// Sends those held since then or before, without the leases in them, which are taken back.
  void withhold_leases(std::int64_t since_ns = INT64_MAX);

 private:
  struct backup {
    std::vector<caf::actor_addr> asked;           // and not confirmed by them
    std::vector<unconfirmed_units::part> charged; // before it
    std::uint64_t number = 0;
    bool has_all = false; // that had changed
  };
  // An answer that waits until the backup has what it gives.
  struct held_reply {
    limiter_handle to;
    owner_reply reply;
    std::uint64_t backup = 0; // the first that may have it
    std::int64_t since_ns = 0;
  };
  // In an order that does not depend on where actors lie in memory.
  struct by_number {
    bool operator()(const limiter_handle* a, const limiter_handle* b) const {
      return a->address() < b->address();
    }
  };
  using messages_by_limiter = std::map<const limiter_handle*, backup_rows, by_number>;

  void add_rows(messages_by_limiter& to, const std::vector<counter_row>& rows);
  void add_lease_changes(messages_by_limiter& to);
  void add_whole_shards(messages_by_limiter& to);
  void confirm();
  void release_replies();

  const limiter_context& context_;
  decide_function decide_;
  const shard_table& table_;
  lease_granter& granter_;
  std::bitset<shard_count> whole_due_; // told anew: backups are to hear when that was all
  std::deque<backup> backups_;         // under way, the oldest first
  unconfirmed_units unconfirmed_;
  std::vector<unconfirmed_units::part> sent_charges_; // confirmed but for rows still to come
  bool more_to_back_up_ = false;
  std::uint64_t last_backup_ = 0;      // number of the last that was sent
  std::uint64_t confirmed_backup_ = 0; // the last that had all that had changed
  std::vector<held_reply> held_replies_;
};

} // namespace penstock
