// Shards that come and go as the members change.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/owner_backup.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_copies.hpp"
#include "actors/limiter/shard_owner.hpp"
#include "actors/limiter/shard_table.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace penstock {

/// A handed-over shard comes in pieces of this many rows; so many shards are on their way at once.
inline constexpr std::size_t rows_per_chunk = 1000;
inline constexpr std::size_t max_moving_shards = 8;
/// A new owner waits this long for the old one's counters, and longer if that may still decide.
inline constexpr std::int64_t handover_timeout_ns = 5'000'000'000;
/// And this long for counters that may be on their way by a view that it never saw.
inline constexpr std::int64_t unseen_timeout_ns = 1'000'000'000;
/// Counters may come before the view that sends them, by so many views: who misses more is taken
/// out long before. What names a later view is nobody's, and says nothing of this node's views.
inline constexpr std::uint64_t max_views_ahead = 64;

/// Changes the roles of shards, and nobody else does: shard_mover.cpp draws how. Not synchronised.
class shard_mover {
 public:
  shard_mover(const limiter_context& context, shard_table& table, lease_granter& granter,
              owner_backup& backup, shard_owner& owner, shard_copies& copies)
      : context_(context), table_(table), granter_(granter), backup_(backup), owner_(owner),
        copies_(copies), handed_over_(context.parts.handed_over), marked_(handed_over_) {}

  /// The table has a new view. `before`: null, there was none. send() is to follow.
  void place_all(const placement* before);
  /// Sends what others own by now, to those in reach.
  void send();
  /// A piece of a shard. When that was the last: what the shard is by now.
  std::optional<shard_role> on_rows(const shard_rows& rows, const limiter_handle& from);
  void on_taken(const shard_taken& done);
  /// What was under way to the member may not have come.
  void lose(std::uint16_t member);
  /// Ends waits that took too long; true if there were some.
  bool end_late(std::int64_t steady_ns);

  /// Shards that are another's, but it has not confirmed their counters yet.
  std::size_t leaving() const {
    return static_cast<std::size_t>(std::ranges::count(moves_, false, &move::is_offer));
  }
  /// Nothing is to be sent any more, not even what was only saved here.
  bool has_sent_all() const { return moves_.empty(); }

  /// Shards that another node has by now, or that are here again, since the store was told last.
  bool has_marks() const { return handed_over_ != marked_; }
  std::vector<shard_mark> take_marks();

 private:
  // What an arriving shard waits for.
  enum class awaited : std::uint8_t { confirmation, counters, better_copy, unseen_move };
  struct arrival {
    awaited what = awaited::confirmation;
    std::uint16_t from = no_member;
    std::uint64_t epoch = 0;    // of the view that made it arriving
    std::int64_t until_ns = 0;  // then it goes on without
    bool is_incomplete = false; // some counters are lost
  };
  // How the counters of a shard that this node owns by a new view get here.
  enum class way_here : std::uint8_t {
    was_own,
    came_before_view,
    still_coming,
    from_backup_of_lost,
    by_unseen_view,
    from_better_copy,
    nowhere_else,
    from_source
  };
  struct move {
    std::uint32_t shard = 0;
    std::uint16_t to = 0;
    std::uint64_t epoch = 0; // of the view that moves it, also when it is sent again later
    bool sent = false;
    bool is_offer = false;   // of what was saved
    bool is_partial = false; // some counters are lost
  };

  // -- towards this node --------------------------------------------------------------------------
  void forget_arrival_of_no_view(std::uint32_t shard);
  void place_own(std::uint32_t shard, const placement* before);
  way_here way_of(std::uint32_t shard, const placement* before) const;
  void begin(std::uint32_t shard, bool owner_sent, bool is_incomplete);
  void take_over(std::uint32_t shard, bool waited);
  void await(std::uint32_t shard, awaited what, std::uint16_t from,
             std::int64_t patience_ns = handover_timeout_ns);
  void become_owner(std::uint32_t shard, bool is_incomplete);
  bool is_incomplete(std::uint32_t shard) const;
  bool is_waiting(std::uint32_t shard) const;
  bool is_of_no_view(std::uint64_t epoch) const;
  bool is_expected(const shard_rows& rows) const;
  bool is_beside_copies(const shard_rows& rows) const;

  // -- away from it -------------------------------------------------------------------------------
  void place_foreign(std::uint32_t shard, const placement* before);
  void note_copy(std::uint32_t shard, const placement* before);
  std::uint16_t lost_source(std::uint32_t shard, const placement* before) const;
  void note_last_copy(std::uint32_t shard, std::uint16_t of);
  void push(std::uint32_t shard, std::uint16_t to, bool is_partial = false);
  void drop_move(std::uint32_t shard);
  void drop_offer(std::uint32_t shard);
  void offer(std::uint32_t shard);
  void take_offer(const shard_rows& rows, const limiter_handle& from);
  void confirm(const shard_rows& rows, const limiter_handle& to);
  void redirect(std::uint32_t shard);
  std::uint16_t next_for(std::uint32_t shard) const;
  void send_shard(const move& what, const limiter_handle& to);
  std::vector<moved_lease> leases_of(std::uint32_t shard);

  const limiter_context& context_;
  shard_table& table_;
  lease_granter& granter_;
  owner_backup& backup_;
  shard_owner& owner_;
  shard_copies& copies_;
  std::array<arrival, shard_count> arrivals_{};            // where the role is arriving
  std::array<std::uint64_t, shard_count> arrived_epoch_{}; // of the last whole shard that came
  std::bitset<shard_count> last_copies_; // that the owner may want, once the view is confirmed
  std::array<std::uint16_t, shard_count> last_copy_of_{}; // of whose counters each is
  std::deque<move> moves_;
  std::bitset<shard_count> handed_over_; // another node has what was counted later
  std::bitset<shard_count> marked_;      // of these, what the store knows
};

} // namespace penstock
