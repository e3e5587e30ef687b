// What a limiter does in a cluster: it asks the owners of other nodes' shards and spends their
// leases, decides for other nodes, and moves its shards when the members change.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limiter/lease_returns.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/owner_backup.hpp"
#include "actors/limiter/owner_client.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_copies.hpp"
#include "actors/limiter/shard_mover.hpp"
#include "actors/limiter/shard_owner.hpp"
#include "actors/limiter/shard_table.hpp"
#include "actors/limits/limit_messages.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace penstock {

/// Puts the parts together: what a message or a view means to each of them, and in which order.
/// One a limiter; its actor's thread only.
class limiter_cluster {
 public:
  struct tools {
    limiter_self::pointer self;
    limit_ledger* ledger;
    std::function<std::int64_t()> clock; ///< of limits
    owner_backup::decide_function decide;
  };

  limiter_cluster(limiter_cluster_parts parts, tools with);
  limiter_cluster(const limiter_cluster&) = delete;
  limiter_cluster& operator=(const limiter_cluster&) = delete;

  // -- for front ends of this node ----------------------------------------------------------------

  admit_reply admit(const admit_request& request, const front_end_handle& front_end) {
    return client_.admit(request, front_end);
  }
  /// Who to ask how limits stand: null when it is this limiter itself, or nobody (`reached`).
  limiter_handle whom_to_ask(const limits_query& query, bool& reached) const;
  void on_reply(const owner_reply& reply, const limiter_handle& from) {
    client_.on_reply(reply, from);
  }
  void on_retry_timer() { client_.on_retry_timer(); }
  void on_returns_taken(const returns_taken& done) { returns_.on_taken(done); }

  // -- for other nodes ----------------------------------------------------------------------------

  void decide(const owner_request& request, const limiter_handle& from) {
    owner_.decide(request, from);
  }
  returns_taken take_back(const leases_returned& returned) { return owner_.take_back(returned); }
  /// To be called before the ledger changes its own.
  void plans_change() { granter_.forget_all(context_.clock()); }
  void on_backup_rows(const backup_rows& rows) { copies_.on_rows(rows); }
  void on_backup_taken(const caf::actor_addr& from);

  // -- members and shards -------------------------------------------------------------------------

  void on_placement(const placement_ptr& to);
  void on_rows(const shard_rows& rows, const limiter_handle& from);
  void on_taken(const shard_taken& done);
  /// The member will decide by no view before this one any more.
  void on_member_epoch(std::uint16_t member, std::uint64_t epoch) {
    table_.note_epoch(member, epoch);
  }
  void on_peer_up(const peer_up& peer);
  void on_peer_down(const peer_down& peer);
  /// Gives all leases back; true once nothing is owned nor under way, and their owners have them.
  bool has_left();

  /// Whether the store is to hear of shards that went or came; taking them says that it is told.
  bool has_marks() const { return mover_.has_marks(); }
  std::vector<shard_mark> take_marks() { return mover_.take_marks(); }

  /// Every sweep_interval.
  void tick();

 private:
  void leave_lost_view(const placement* before);
  void tell_new_backups(const placement* before);
  void show();

  // Each part knows those above it that it is given.
  limiter_context context_;
  shard_table table_;
  lease_granter granter_;
  owner_backup backup_;
  lease_returns returns_;
  shard_owner owner_;
  shard_copies copies_;
  shard_mover mover_;
  owner_client client_;
};

} // namespace penstock
