// One stream of the embedded queue: the journal seen through a cursor and leases. Pure: blocks and
// time come in as arguments.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/base/seq_ranges.hpp"
#include "storage/base/assert.hpp"
#include "storage/events/event_block.hpp"
#include "storage/journal/backlog_events.hpp"
#include "storage/stores/cursor_store.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a consumer shows to acknowledge a message: the event, and the lease under which it got it.
struct receipt {
  std::uint64_t seq = 0;
  std::uint64_t lease = 0;
  bool operator==(const receipt&) const = default;
};

/// Opaque to consumers: "<seq>.<lease>" in hexadecimal.
std::string format_receipt(const receipt& what);
void append_receipt(std::string& out, const receipt& what);
/// Nothing if `text` is not a receipt.
std::optional<receipt> parse_receipt(std::string_view text);

/// One message handed out. The block is shared with the window, not copied.
struct queued_message {
  std::shared_ptr<const event_block> block;
  std::uint32_t index = 0; ///< of the event in its block
  receipt ticket;
  bool repeat = false; ///< it was handed out before, in this life of the node
};

/// What became of a receipt.
enum class receipt_outcome : std::uint8_t {
  done,  ///< it counts (a repeated acknowledgement does too)
  stale, ///< the lease ended and the event went to someone else, or was given back
};

struct queue_limits {
  std::uint64_t max_in_flight = 100'000;   ///< events under a lease at one time
  std::size_t window_bytes = 32u << 20;    ///< blocks held; one block more may exceed it
  std::size_t read_ahead_bytes = 8u << 20; ///< of them, blocks with events not yet handed out
};

/// What consumers have yet to acknowledge of what lies behind the confirmed position. It refers to
/// the ranges that it is given.
class unacked_events final : public backlog_events {
 public:
  explicit unacked_events(const seq_ranges& acked) : acked_{acked} {}
  portion between(const std::string&, std::uint64_t first, std::uint64_t last) const override {
    if (!acked_.overlaps(first, last)) return portion::all;
    return acked_.covers(first, last) ? portion::none : portion::some;
  }
  bool is_in_backlog(const std::string&, std::uint64_t seq, std::uint64_t) const override {
    return !acked_.contains(seq);
  }

 private:
  const seq_ranges& acked_;
};

/// Events are handed out in journal order: those whose lease expired or that were given back
/// first, since they are older than all new ones. A block stays in the window until each of its
/// events is acknowledged, so a repeat needs no disk. Not synchronised.
class queue_state {
 public:
  /// `saved`: from the cursor store. `first_lease`: larger than every lease number of earlier
  /// lives. `recovered_seq`: the last durable event at the start; receipts of earlier lives count
  /// up to there, so that a restart does not void what consumers hold.
  queue_state(const cursor& saved, const queue_limits& limits, std::uint64_t first_lease,
              std::uint64_t recovered_seq, budget_share share = {});

  /// Everything of the stream up to here was read into the window (or passed over).
  std::uint64_t position() const { return position_; }
  /// True while there is room to read further.
  bool wants_blocks() const;
  /// How much to read at once, of the `most` that is wanted.
  std::size_t read_bytes(std::size_t most) const { return share_.room(most, least_read_bytes); }
  /// Adds blocks that follow position(), in order; skips what lies before it and stops when the
  /// window is full. Gives what it took that is not acknowledged.
  event_volume add(const std::vector<std::shared_ptr<const event_block>>& blocks);
  /// The stream has no event in (position(), seq].
  void pass_over(std::uint64_t seq);
  /// Forgets what the window holds: position() goes back to what is confirmed. Not while a message
  /// is under a lease; blocks that follow the old position must not be added any more. Gives what
  /// was held and is not acknowledged.
  event_volume let_go();

  /// Leases up to `max` events, whose bodies together exceed `max_bytes` by one at most, until
  /// now_ms + lease_ms. Call expire() first.
  std::vector<queued_message> receive(std::size_t max, std::size_t max_bytes, std::int64_t lease_ms,
                                      std::int64_t now_ms);
  receipt_outcome ack(const receipt& what);
  /// Gives the event back, to be handed out again at once.
  receipt_outcome nack(const receipt& what);
  /// Ends the leases that ran out at or before `now_ms`; gives how many events that frees.
  std::size_t expire(std::int64_t now_ms);
  /// When the next lease runs out.
  std::optional<std::int64_t> next_expiry_ms() const;
  /// What was acknowledged before what lies in front of it; other streams' events may be within.
  const seq_ranges& acked_ahead() const { return acked_; }
  /// True when receive() would give something.
  bool has_ready() const;

  /// What the cursor store keeps; at most max_acked_ranges ranges, the lowest.
  cursor to_save() const;
  /// The last sequence number of which the queue needs nothing any more.
  std::uint64_t confirmed() const;

  std::uint64_t in_flight() const { return in_flight_; }
  /// Events in the window that are not acknowledged.
  std::uint64_t unacked_in_window() const { return unacked_; }
  std::uint64_t unacked_bytes_in_window() const { return unacked_bytes_; }
  /// Of the oldest event that is not acknowledged, if the window holds one.
  std::optional<std::int64_t> oldest_time_ms() const;
  /// When the event was accepted that receive() would give first.
  std::optional<std::int64_t> ready_time_ms();
  std::size_t window_bytes() const { return share_.held_bytes(); }

 private:
  enum class phase : std::uint8_t { fresh, leased, ready_again, acked };
  struct slot {
    std::uint64_t lease = 0; // the last one given; 0 after it was given back
    phase at = phase::fresh;
  };
  struct entry {
    std::shared_ptr<const event_block> block;
    std::uint64_t after = 0; // where the stream's previous event lies at the latest
    std::uint32_t unacked = 0;
    std::uint32_t fresh = 0;
    std::uint32_t next_fresh = 0; // no slot before it is fresh
    std::size_t bytes = 0;
    std::vector<slot> slots;
  };
  // By the first number that no entry before it has: rows may overlap.
  using window = std::map<std::uint64_t, entry>;
  struct lease_batch {
    std::int64_t expiry_ms = 0;
    std::vector<std::uint64_t> seqs;
    std::size_t open = 0; // of them, still under this lease
  };
  struct place {
    window::iterator at;
    std::uint32_t index = 0;
    std::uint64_t seq() const { return at->second.block->first_seq + index; }
    slot& state() const {
      PENSTOCK_ASSERT(index < at->second.slots.size());
      return at->second.slots[index];
    }
  };

  std::optional<place> find(std::uint64_t seq);
  event_volume add_block(const std::shared_ptr<const event_block>& block);
  queued_message hand_out(const place& where, std::uint64_t lease);
  void end_lease(std::uint64_t lease);
  void mark_acked(const place& where);
  void used_fresh(entry& of);

  cursor saved_; // seq is kept current; acked_ahead lives in acked_
  queue_limits limits_;
  std::uint64_t first_lease_;
  std::uint64_t next_lease_;
  std::uint64_t recovered_seq_;
  std::uint64_t position_;
  std::uint64_t fresh_from_ = 0; // no event before it is fresh
  std::uint64_t in_flight_ = 0;
  std::uint64_t unacked_ = 0;
  std::uint64_t unacked_bytes_ = 0; // of bodies
  std::uint64_t fresh_ = 0;
  std::size_t fresh_bytes_ = 0;
  budget_share share_; // by the window's blocks
  window window_;
  seq_ranges acked_;
  std::set<std::uint64_t> ready_again_;
  std::map<std::uint64_t, lease_batch> leases_;               // by number
  std::set<std::pair<std::int64_t, std::uint64_t>> expiries_; // (expiry, number)

  static constexpr std::size_t least_read_bytes = 64u << 10;
};

} // namespace penstock
