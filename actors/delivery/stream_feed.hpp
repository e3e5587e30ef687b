// One stream on its way to one sink: blocks come in, lanes take events out, a cursor follows.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/base/seq_ranges.hpp"
#include "actors/delivery/lane_feed.hpp"
#include "storage/journal/backlog_events.hpp"
#include "storage/stores/cursor_store.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// Blocks that a stream holds for a sink, by their memory; it reads no further then, nor when its
/// share of what all streams and sinks may hold together is used up.
inline constexpr std::size_t max_feed_bytes = 32u << 20;
/// The same of a stream that waits for its target (stream_hold.hpp): enough to try it with.
inline constexpr std::size_t max_held_feed_bytes = 64u << 10;
/// Events that were delivered before an earlier one of their lane and are remembered over a
/// restart; those beyond come again.
inline constexpr std::size_t max_done_ranges_per_lane = 512;

/// The name under which a lane's cursor is saved: "bus#0/4".
std::string lane_cursor_name(const std::string& sink, std::uint32_t lane, std::uint32_t lanes);

/// What earlier lives of the node delivered, perhaps with other numbers of lanes.
class delivered_before {
 public:
  /// Takes the cursors of `sink` and `stream` out of what was saved.
  delivered_before(const std::vector<cursor>& saved, const std::string& sink,
                   const std::string& stream);
  /// Takes in more of them.
  void add(const std::vector<cursor>& saved, const std::string& sink, const std::string& stream);
  bool contains(std::uint64_t seq, std::uint64_t client) const;
  /// Whether it has all from `first` to `last`, of whichever client.
  bool covers(std::uint64_t first, std::uint64_t last) const;
  /// Everything up to here was delivered.
  std::uint64_t position() const { return position_; }
  /// Nothing after this was.
  std::uint64_t end() const { return end_; }
  /// How far a lane of this number of lanes came.
  std::uint64_t position_of(std::uint32_t lane, std::uint32_t lanes) const;
  /// What it delivered behind that.
  std::vector<seq_ranges::range> ahead_of(std::uint32_t lane, std::uint32_t lanes) const;

 private:
  struct lane {
    std::uint64_t seq = 0;
    seq_ranges ahead;
  };
  const lane* find(std::uint32_t lane_number, std::uint32_t lanes) const;
  std::vector<std::vector<lane>> lives_; ///< by number of lanes
  std::uint64_t position_ = 0;
  std::uint64_t end_ = 0;
};

/// What one sink was not delivered, as far as `before` tells, to which it refers.
class undelivered_events final : public backlog_events {
 public:
  explicit undelivered_events(const delivered_before& before) : before_{before} {}
  portion between(const std::string&, std::uint64_t first, std::uint64_t last) const override {
    if (before_.end() < first) return portion::all;
    return before_.covers(first, last) ? portion::none : portion::some;
  }
  bool is_in_backlog(const std::string&, std::uint64_t seq, std::uint64_t client) const override {
    return !before_.contains(seq, client);
  }

 private:
  const delivered_before& before_;
};

/// Pure. An event of a client goes to lane `client % lanes`.
class stream_feed {
 public:
  stream_feed(std::string stream, delivered_before before, std::uint32_t lanes,
              const batch_rules& rules, budget_share share = {});

  const std::string& stream() const { return stream_; }
  /// The last sequence number that was read or passed over.
  std::uint64_t position() const { return position_; }
  /// What of the stream is owed, of all that is not in memory.
  undelivered_events backlog() const { return undelivered_events{before_}; }
  /// Something that is still to be read was delivered before.
  bool has_delivered_ahead() const { return before_.end() > position_; }
  bool wants_blocks() const { return share_.held_bytes() < max_bytes_ && share_.may_grow(); }
  /// How much to read at once, of the `most` that is wanted.
  std::size_t read_bytes(std::size_t most) const { return share_.room(most, least_read_bytes); }
  /// How much memory it may hold from now on, max_feed_bytes at first.
  void limit(std::size_t max_bytes) { max_bytes_ = max_bytes; }
  /// Lets go of what was read and not delivered, if that is more than it may hold: it is read
  /// again. False if nothing changed: it holds little, or events are under way or being stored as
  /// dead letters.
  bool rewind(const std::string& sink);
  /// Gives what was read and is to be delivered.
  event_volume add(const std::vector<std::shared_ptr<const event_block>>& blocks,
                   std::int64_t now_ms);
  /// The stream has no event between position() and `seq`.
  void pass_over(std::uint64_t seq);

  std::uint32_t lanes() const { return static_cast<std::uint32_t>(lanes_.size()); }
  std::uint32_t lane_of(std::uint64_t client) const {
    return static_cast<std::uint32_t>(client % lanes_.size());
  }
  lane_feed& lane(std::uint32_t number) { return lanes_[number]; }
  const lane_feed& lane(std::uint32_t number) const { return lanes_[number]; }

  lane_feed::settlement settle(std::uint32_t lane, const delivery& outcome, std::int64_t now_ms,
                               std::uint64_t sink_deliveries, double random);
  void dead_letter_done(std::uint64_t seq, std::uint64_t client);

  /// All events of the lane up to here are delivered, or stored as dead letters.
  std::uint64_t confirmed(std::uint32_t lane) const;
  /// The same for all lanes.
  std::uint64_t confirmed() const;
  std::vector<cursor> to_save(const std::string& sink) const;

  std::uint64_t open_events() const;
  std::uint64_t open_bytes() const { return open_bytes_; }
  std::optional<std::int64_t> oldest_time_ms() const;

 private:
  struct held_block {
    std::size_t memory_bytes = 0;
    std::uint32_t open = 0;
  };
  void release(const lane_feed::done_event& done);
  void drop_released();

  std::string stream_;
  batch_rules rules_;
  delivered_before before_;
  std::uint64_t position_;
  std::vector<lane_feed> lanes_;
  std::deque<held_block> held_;
  std::uint32_t first_held_ = 0; ///< the ref of held_.front()
  budget_share share_;           // by held_
  std::size_t max_bytes_ = max_feed_bytes;
  std::uint64_t open_bytes_ = 0;

  static constexpr std::size_t least_read_bytes = 64u << 10;
};

} // namespace penstock
