// Which idempotency keys are this node's to decide about, and how they come and go as the members
// of the cluster change.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/idempotency/claim_messages.hpp"
#include "actors/idempotency/idempotency_index.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace penstock {

/// Keys of so many records are looked at in one go, and sent in one message at most.
inline constexpr std::size_t max_keys_a_piece = 2048;
/// A new owner waits so long for the keys of who had the shard before, and goes on without.
inline constexpr std::int64_t key_handover_timeout_ns = 5'000'000'000;

struct key_moves_parts {
  std::uint16_t self = 0; ///< this node's number
  std::size_t lane = 0;   ///< of the index; shard s is with lane s % lanes
  std::size_t lanes = 1;
  std::string tag;                         ///< of this node's journal
  placement_ptr places{};                  ///< of a fixed list of members; null: to come
  std::function<std::int64_t()> steady_ns; ///< runs on while the process is stopped
  /// Until then (steady) the node may decide for its shards; null: for ever.
  std::shared_ptr<const std::atomic<std::int64_t>> decides_until_ns{};
};

/// Of one index; within its actor. Records are never taken away by a move, only copied: what a
/// journal holds is a fact, and whoever owns the key's shard must know it. When a shard's owner
/// changes every node sends what it knows of it to the new one, in pieces, the next when the last
/// was taken; who owned it before says when that was all, and until then the new owner lets
/// requests with these keys wait. So a node that was away tells its keys as well when it is back.
class key_moves {
 public:
  /// May this node say whether a key is new?
  enum class standing : std::uint8_t { ours, wait, elsewhere };
  struct tools {
    idempotency_index* index;
    /// To the front end of another node.
    std::function<void(const front_end_handle&, key_rows)> send;
    /// A key of the shard is claimed, and what comes of it is not known yet.
    std::function<bool(std::uint32_t shard)> is_under_way;
    std::function<std::int64_t()> wall_ms;
  };

  key_moves(key_moves_parts parts, tools with);

  /// `epoch`: of the view by which somebody thinks that the shard is ours.
  standing ask(std::uint32_t shard, std::uint64_t epoch) const;

  void on_placement(const placement_ptr& to);
  void on_rows(const key_rows& rows);
  void on_taken(const keys_taken& done);
  void on_peer_up(const peer_up& peer);
  void on_peer_down(const peer_down& peer);
  /// That node is told the keys of this one's journal, whoever owns them: it holds its events. Not
  /// when this node leaves.
  void copy_to(std::uint16_t member);
  /// From now on only shards that move are told of: no copy is begun, gone on with or waited for.
  void leave();
  /// About ten times a second: ends waiting that took too long, and goes on with sending.
  void tick();
  /// Sends the next piece, if nothing is under way: of shards that move before copies. True: there
  /// is more to look at, call again.
  bool send_next();
  /// Nothing is this node's any more, and the others have what it knows.
  bool has_left() const;

  std::size_t arriving() const;
  std::uint64_t sent() const { return sent_; }             ///< keys, so far
  std::uint64_t received() const { return received_; }     ///< keys, so far
  std::uint64_t incomplete() const { return incomplete_; } ///< shards whose keys did not come

 private:
  enum class role : std::uint8_t { foreign, arriving, own };
  using lane_of_peer = std::pair<std::uint16_t, std::uint32_t>; // its number, its lane

  bool is_mine(std::uint32_t shard) const { return shard % parts_.lanes == parts_.lane; }
  void place_own(std::uint32_t shard, std::uint64_t epoch_before);
  bool is_all_here(std::uint32_t shard) const;
  void send_all_of(std::uint32_t shard);
  const front_end_handle* target_of(std::uint32_t shard, lane_of_peer* where) const;
  bool is_under_way() const;
  bool send_moving();
  bool send_copies();
  void add(std::map<lane_of_peer, key_rows>& pieces, lane_of_peer where,
           const idempotency_record& record, std::string_view tag);
  void send(std::map<lane_of_peer, key_rows>& pieces, bool is_copy);
  void finish_pass();

  key_moves_parts parts_;
  tools with_;
  placement_ptr places_;
  std::vector<std::vector<front_end_handle>> peers_; // front ends, by member and lane
  std::array<role, shard_count> roles_{};
  std::array<std::int64_t, shard_count> waiting_since_ns_{};
  // The keys must have been sent by a view after this one.
  std::array<std::uint64_t, shard_count> waiting_after_{};
  std::array<std::uint64_t, shard_count> waiting_epoch_{}; // of the view that began the waiting
  // By which view each member, by its address, said that it has sent all it knows of a shard.
  std::map<std::string, std::array<std::uint64_t, shard_count>> complete_;
  std::bitset<shard_count> moving_; // to be sent to their owners
  bool passing_ = false;
  std::uint32_t position_ = 0;             // of the next record to look at
  std::optional<std::uint16_t> copies_to_; // a member that is told this journal's keys
  std::uint32_t copy_position_ = 0;
  std::uint64_t next_token_ = 1;
  struct piece_under_way {
    std::uint16_t member = 0;
    bool is_copy = false;
  };
  std::map<std::uint64_t, piece_under_way> asked_; // by token
  bool is_leaving_ = false;
  std::uint64_t sent_ = 0, received_ = 0, incomplete_ = 0;
};

} // namespace penstock
