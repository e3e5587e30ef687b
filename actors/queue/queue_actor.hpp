// The embedded queue: one actor for all its streams. What it decides is in queue_state.hpp.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/delivery/expired_events.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/queue/queue_messages.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "actors/queue/queue_settings.hpp"
#include "actors/streams/settled_streams.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/stores/cursor_store.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// Cursors are saved this long after the last save at the earliest, so that many acknowledgements
/// share one transaction; `max_acks_unsaved` of them are not kept waiting.
inline constexpr std::chrono::milliseconds cursor_save_interval{10};
inline constexpr std::size_t max_acks_unsaved = 4096;
/// After a failed save the next is tried this much later.
inline constexpr std::chrono::milliseconds cursor_retry_interval{1000};
/// Statistics, and what the keeper may retire, are told this often.
inline constexpr std::chrono::milliseconds queue_upkeep_interval{1000};
/// Receives held open at one time, over all streams.
inline constexpr std::size_t max_queue_waiters = 1024;
/// A consumer may wait for a stream that is not configured and has no event yet, up to this many
/// streams in all.
inline constexpr std::size_t max_queue_streams = 8192;
/// Events that become dead letters at one time, as no consumer can ask for their stream.
inline constexpr std::size_t max_unnamed_at_once = 256;
/// When memory is short, a stream that no consumer asked for in so long, and of which none holds a
/// message, is read ahead no more, and holds none.
inline constexpr std::chrono::milliseconds queue_idle_time{60'000};
/// One read of the journal gives about this much.
inline constexpr std::size_t queue_read_bytes = 4u << 20;

/// What the queue is made of; plain values and things that the actor owns.
struct queue_parts {
  std::string sink = "queue"; ///< the name of the embedded sink, as in the cursor store
  queue_settings settings;
  /// Whether a stream feeds this sink; called on the actor's thread.
  std::function<bool(const std::string& stream)> feeds;
  /// Streams that are never let go; null: none.
  std::function<bool(const std::string& stream)> is_configured;
  std::shared_ptr<memory_budget> budget; ///< of all streams; null: each has its own limits alone
  std::vector<cursor> saved; ///< what `cursors` loaded; other sinks' are ignored
  std::shared_ptr<cursor_store> cursors;
  std::shared_ptr<journal_reader> reader; ///< for consumers that lag
  std::shared_ptr<journal_reader> replay; ///< for reading again; a second one, so that a replay
                                          ///< does not make the first change its segment
  std::shared_ptr<segment_catalog> catalog;
  journal_handle journal;      ///< answers fetch_request
  confirmations_handle keeper; ///< is told confirmed_up_to
  /// Whether a consumer can ask for a stream; null: for each. Events of others, which an earlier
  /// version took, become dead letters.
  std::function<bool(const std::string& stream)> is_name{};
  burial_handle dead_letters{}; ///< answers bury_ptr
  std::string tag{};         ///< of the journal
  /// How much a stream may hold; null: as much as there is room for.
  stream_rules space_rule{};
  std::shared_ptr<queue_metrics> metrics;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
};

/// Answers queue_receive, queue_receipts, queue_replay, queue_stats_request; takes fetch_reply.
/// On `drain` it answers who waits, saves the cursors, answers `drained` and quits. It blocks on
/// the disk: spawn it detached.
/// With its own reminders.
using queue_self = queue_handle::extend<caf::reacts_to<wake_up>, caf::reacts_to<upkeep_tick>>;

class queue_actor_state {
 public:
  static constexpr const char* name = "queue"; // CAF shows it
  using self_ptr = queue_self::stateful_pointer<queue_actor_state>;

  explicit queue_actor_state(self_ptr self) : self_{self} {}

  void start(queue_parts parts);

  void on_receive(queue_receive request, caf::response_promise promise);
  void on_stop_waiting(const queue_stop_waiting& request);
  void on_receipts(const queue_receipts& request, caf::response_promise promise);
  queue_delivery_ptr on_replay(const queue_replay& request);
  queue_stats_reply on_stats(const queue_stats_request& request);
  void on_fetched(const fetch_reply& reply);
  void on_wake(const wake_up& wake);
  void change_rules(const stream_rules& rule_of) { parts_.space_rule = rule_of; }
  void on_upkeep();
  void on_drain();

 private:
  struct waiter {
    queue_receive request;
    caf::response_promise promise;
    std::int64_t deadline_ms = 0;
  };
  struct stream {
    stream(const cursor& saved, const queue_limits& limits, std::uint64_t first_lease,
           std::uint64_t recovered, budget_share share)
        : name{saved.stream}, state{saved, limits, first_lease, recovered, std::move(share)},
          durable_confirmed{saved.seq} {}
    std::string name;
    queue_state state;
    std::deque<waiter> waiters;
    bool burying = false;                // its events are on their way to the dead letters
    std::size_t burial_group = max_unnamed_at_once; // how many of them may be
    bool told_unburied = false;          // that they can't be kept
    bool wanted = false;                 // a consumer was here lately, so read ahead
    std::int64_t asked_ms = 0;           // when one was
    bool fetching = false;               // a fetch_request is under way…
    std::uint64_t fetch_from = 0;        // …for what lies after this
    bool read_failed = false;            // wait for the next upkeep before reading again
    bool dirty = false;                  // acknowledgements not yet saved
    std::uint64_t durable_confirmed = 0; // what the keeper may be told
    /// The window was let go meanwhile: what is fetched does not follow it.
    bool is_behind() const { return fetching && state.position() < fetch_from; }
    event_volume unread;                 // what is owed after state.position()
    appended_count appended;             // the catalog's count that `unread` takes in
    bool counted = false;                // `unread` is exact, but for what was appended since
    newest_events newest{};              // when nothing of it was owed last
    std::int64_t used_ms = 0;            // when something of it happened last
    /// What the window was let go at, and the time of the event that is next: while the position is
    /// this one, that much is known without holding a block.
    std::optional<std::uint64_t> let_go_at;
    std::int64_t next_time_ms = 0;
    bool acked_since = false;  // something was acknowledged since: read it again
    std::uint64_t expired = 0; // events let go, as the stream held too much
    bool is_stuck = false;     // it still does, and consumers hold the rest
  };
  struct unsaved_ack {
    caf::response_promise promise;
    queue_receipts_done done;
  };

  std::int64_t now_ms() const;
  // -- queue_actor.cpp
  result<void> check_feeds(const std::string& stream_name) const;
  stream* find(const std::string& stream_name);
  result<stream*> find_or_add(const std::string& stream_name);
  stream& add_stream(cursor saved);
  bool is_configured(const std::string& stream_name) const;
  void pump(stream& of);
  void read_segments(stream& of, std::size_t max_bytes);
  void add_blocks(stream& of, const std::vector<const_block_ptr>& blocks);
  void serve(stream& of);
  queue_delivery_ptr deliver(stream& of, const queue_receive& request);
  template <class Predicate>
  void end_waits_if(stream& of, Predicate ends);
  void end_waits(stream& of, std::int64_t now);
  void wake_at(std::int64_t at_ms);
  void plan_wake(const stream& of);
  // -- queue_upkeep.cpp
  void save_if_due();
  void save();
  using newest_map = std::map<std::string, newest_events>;
  void find_new_streams(const newest_map& newest);
  void let_go(stream& of);
  bool is_idle(const stream& of) const;
  void look_ahead(stream& of, std::uint64_t durable, const newest_map& newest);
  bool may_forget(const stream& of, std::uint64_t durable) const;
  void forget_idle(std::uint64_t durable, const newest_map& newest);
  void bury_unnamed(stream& of);
  void on_buried(const std::string& stream_name, const std::vector<receipt>& which,
                 const buried& outcome);
  void refresh_unread(stream& of);
  void note_moves();
  bool consumers_hold_too_much(const stream& of, const stream_rule& rule) const;
  void expire_old(stream& of);
  std::vector<queued_message> next_to_expire(stream& of, const stream_rule& rule);
  void tell_journal(const std::vector<queue_stats>& all);
  void tell_keeper(std::uint64_t durable);
  queue_stats stats_of(const stream& of) const;

  self_ptr self_;
  queue_parts parts_;
  queue_limits limits_;
  std::uint64_t first_lease_ = 1;
  std::uint64_t recovered_seq_ = 0;
  std::map<std::string, stream> streams_;
  settled_streams settled_;
  gone_streams gone_; // whose positions are to be dropped
  std::size_t waiters_ = 0;
  std::vector<unsaved_ack> unsaved_;
  std::size_t unsaved_receipts_ = 0;
  bool dirty_ = false; // some stream is
  std::int64_t next_save_ms_ = 0;
  std::int64_t wake_at_ms_ = 0; // 0: no wake is under way
  bool save_failed_ = false;
  std::uint64_t told_confirmed_ = 0;
  std::uint64_t moves_seen_ = 0;
};

queue_self::behavior_type queue_actor(queue_self::stateful_pointer<queue_actor_state> self,
                                      queue_parts parts);

} // namespace penstock
