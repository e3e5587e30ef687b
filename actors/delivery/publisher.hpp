// The publisher: one actor a sink, which moves all streams that feed it from the journal to the
// sink.
#pragma once

#include "actors/base/lifecycle_messages.hpp"
#include "actors/delivery/burial_queue.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/delivery/expired_events.hpp"
#include "actors/delivery/publish_watches.hpp"
#include "actors/delivery/sink_breaker.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/delivery/stream_feed.hpp"
#include "actors/delivery/stream_hold.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/streams/settled_streams.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/stores/cursor_store.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// Cursors are saved this often at most: after a crash what was delivered since comes again, and a
/// save is an fsync.
inline constexpr std::chrono::milliseconds publisher_save_interval{100};
/// After a failed save the next try is this much later.
inline constexpr std::chrono::milliseconds publisher_retry_interval{1000};
inline constexpr std::chrono::milliseconds publisher_upkeep_interval{1000};
/// A drain waits so long for batches under way before it asks the sink to give up.
inline constexpr std::chrono::milliseconds publisher_drain_time{3000};
/// One read of the journal gives about this much.
inline constexpr std::size_t publisher_read_bytes = 4u << 20;
/// Requests to send events again that are under way at one time.
inline constexpr std::size_t max_again_requests = 64;
/// While its node drains a sink that is away is tried this often at least.
inline constexpr std::chrono::milliseconds max_drain_pause{500};
/// Single failures are logged this often at most.
inline constexpr std::chrono::milliseconds retrying_told_interval{60'000};
/// Dead letters that are logged one by one in a second; of the others their number is.
inline constexpr std::size_t max_deaths_told = 5;
/// Streams that are logged one by one in a second when they begin or cease to be held.
inline constexpr std::size_t max_holds_told = 5;
/// Bodies of events that are given up at once since their target is missing.
inline constexpr std::size_t max_condemned_bytes = 4u << 20;
/// A stream that has failed so often since it is held lets go of what it has in memory.
inline constexpr std::uint32_t failures_until_rewind = 3;
/// Held streams that are looked at for one whose lane is free.
inline constexpr std::size_t max_probe_candidates = 64;

/// What a publisher is made of; plain values and things that the actor owns.
struct publisher_parts {
  std::string sink; ///< its name
  std::string kind;
  delivery_settings settings;
  sink_traits traits;
  std::uint64_t max_batch_bytes = ~0ull; ///< of a batch whose size is the kind's own
  std::function<void()> stop_sink; ///< see sink::stop()
  /// Whether a stream feeds this sink; called on the actor's thread.
  std::function<bool(const std::string& stream)> feeds;
  /// Streams that are never let go; null: none.
  std::function<bool(const std::string& stream)> is_configured{};
  std::vector<cursor> saved; ///< of all sinks
  std::shared_ptr<cursor_store> cursors;
  std::shared_ptr<journal_reader> reader;
  std::shared_ptr<segment_catalog> catalog;
  std::shared_ptr<memory_budget> budget; ///< of all publishers; null: only max_feed_bytes counts
  journal_handle journal;                ///< answers fetch_request, watch_streams
  confirmations_handle keeper;           ///< is told confirmed_up_to
  burial_handle dead_letters;            ///< answers bury_ptr
  std::vector<delivery_lane_handle> lanes; ///< they end with the publisher
  std::shared_ptr<sink_metrics> metrics;
  std::string tag; ///< of the journal
  std::function<std::int64_t()> wall_ms;
  std::function<double()> random; ///< in [0, 1)
  /// How much a stream may hold; null: as much as there is room for.
  stream_rules space_rule{};
};

/// With its own reminders.
using publisher_self =
    publisher_handle::extend<caf::reacts_to<wake_up>, caf::reacts_to<upkeep_tick>,
                             caf::reacts_to<caf::tick_atom>>;

/// Takes fetch_reply, stream_seen, lane_delivered, deliver_again_ptr (answered with again_done),
/// await_published_ptr, publish_rest (answered with publish_left). On `drain` it waits for
/// the batches under way, saves the cursors, answers `drained` and quits. It blocks on the disk:
/// spawn it detached.
class publisher_state {
 public:
  static constexpr const char* name = "publisher"; // CAF shows it
  using self_ptr = publisher_self::stateful_pointer<publisher_state>;

  explicit publisher_state(self_ptr self) : self_{self} {}

  void start(publisher_parts parts);

  void on_stream_seen(const std::string& stream);
  void on_fetched(const fetch_reply& reply);
  void on_delivered(const lane_delivered& news);
  void on_again(const deliver_again_ptr& request, caf::response_promise promise);
  void on_await(const await_published_ptr& request);
  void on_wake(const wake_up& wake);
  void change_rules(const stream_rules& rule_of) { parts_.space_rule = rule_of; }
  void on_upkeep();
  publish_left on_publish_rest();
  void on_drain(caf::response_promise promise);
  void give_up();

 private:
  struct stream {
    stream(stream_feed from, std::uint32_t lanes, const stream_hold::rules& rules)
        : feed{std::move(from)}, hold{rules}, watches{lanes} {}
    stream_feed feed;
    stream_hold hold;
    std::string last_error;           // why it is held
    std::uint64_t condemned_to = 0;   // what came before the sink said once too often "missing"
    std::int64_t quiet_until_ms = 0;  // its holds were told
    bool told_held = false;           // that it is, so that its release will be
    publish_watches watches;
    std::uint64_t deliveries = 0; // events that the sink took
    std::size_t in_flight = 0;    // batches
    bool fetching = false;
    std::uint64_t fetch_after = 0; // what the last fetch was to follow
    bool read_failed = false; // wait for the next upkeep before reading again
    bool dirty = false;       // its cursors moved since they were saved
    std::uint64_t durable_confirmed = 0;
    bool counted = false;  // `unread` is exact, but for what was appended since
    event_volume unread;   // what is owed after feed.position()
    appended_count appended; // the catalog's count that `unread` takes in
    std::int64_t used_ms = 0; // when something of it happened last
    std::uint64_t expired = 0; // events let go, as the stream held too much
    bool is_stuck = false;     // it still does, and no more can be let go
  };
  /// Events that someone asked to be sent again.
  struct again_job {
    deliver_again_ptr request;
    caf::response_promise promise;
    std::vector<lane_feed> lanes;
    again_done out;
    std::vector<std::string> reasons; // by event
    std::size_t open = 0;
    std::uint64_t deliveries = 0;
  };
  /// Whose events may be next on a lane.
  struct source {
    stream* of = nullptr;
    again_job* job = nullptr;
    bool operator==(const source&) const = default;
  };
  struct lane {
    delivery_lane_handle worker;
    std::uint64_t token = 0; // of the batch under way; 0: none
    std::size_t events = 0;
    source busy_with;
    std::deque<source> queue; // those with events that wait; each once
  };

  std::int64_t now_ms() const;
  // -- publisher.cpp
  stream* find(const std::string& stream_name);
  void pump(stream& of);
  std::size_t most_to_read(const stream& of) const;
  bool is_resting(const stream& of) const;
  void read_segments(stream& of, std::size_t max_bytes);
  void add_blocks(stream& of, const std::vector<const_block_ptr>& blocks);
  void enqueue(std::uint32_t lane_number, const source& from);
  lane_feed& feed_of(const source& from, std::uint32_t lane_number);
  void dispatch();
  void dispatch(std::uint32_t lane_number);
  void probe_sink();
  bool is_unproven(const source& from) const;
  void send_batch(std::uint32_t lane_number, const source& from, std::uint32_t allowance);
  // -- publisher_holds.cpp
  stream_hold::rules hold_rules() const;
  void queue_probe(stream& of);
  void probe_held();
  bool send_probe(stream& of);
  void hold_back(stream& of, const delivery& outcome, bool was_probe);
  void release(stream& of);
  void shrink(stream& of);
  void condemn(stream& of);
  void condemn_all();
  void hurry_holds();
  bool is_all_held() const;
  void tell_holds(std::vector<sink_lag>& lags);
  // -- publisher_outcomes.cpp
  void judge(const lane_delivered& news, const source& of, bool was_probe);
  void note_error(const delivery& outcome, std::uint64_t taken, std::uint64_t refused);
  void sink_answered();
  void bury_event(std::uint32_t lane_number, stream& of, const lane_feed::dead_event& dead,
                  std::vector<publish_watches::answer>& answers);
  void settle_stream(std::uint32_t lane_number, stream& of, const delivery& outcome);
  void settle_again(std::uint32_t lane_number, again_job& job, delivery outcome);
  void finish_again(again_job& job);
  void advance_watches(stream& of, std::uint32_t lane_number);
  void tell_front_ends(const std::vector<publish_watches::answer>& answers);
  void tell_death(const dead_letter& letter);
  burial_queue& burials_of(const std::string& stream);
  void send_bury();
  void send_bury(burial_queue& from);
  void on_buried(burial_queue& from, const buried& news);
  void set_state(sink_state state);
  // -- publisher_upkeep.cpp
  void wake_at(std::int64_t at_ms);
  void save_if_due();
  void save();
  void refresh_unread(stream& of);
  using newest_map = std::map<std::string, newest_events>;
  void find_new_streams(const newest_map& newest);
  bool may_forget(const stream& of, std::uint64_t durable) const;
  void forget_idle(std::uint64_t durable, const newest_map& newest);
  void note_moves();
  // -- publisher_expiry.cpp
  void expire_old(stream& of);
  static event_volume lag_of(const stream& of);
  std::uint64_t excess_bytes(const stream& of, const stream_rule& rule) const;
  std::size_t drop_oldest(stream& of, const stream_rule& rule, expired_events& gone);
  void tell_keeper(std::uint64_t durable);
  void publish_status();
  void finish_drain_if_idle();

  self_ptr self_;
  publisher_parts parts_;
  batch_rules rules_;
  sink_breaker breaker_{0, 0};
  probe_budget budget_;
  stream* probed_ = nullptr;                          // of budget_'s try that is under way
  std::set<std::pair<std::int64_t, stream*>> held_;   // with events that wait, by when they are due
  std::uint64_t taken_ = 0;                           // events, by the sink
  std::size_t holds_since_upkeep_ = 0;
  std::map<std::string, stream> streams_;
  settled_streams settled_;
  gone_streams gone_; // whose positions are to be dropped
  std::list<again_job> jobs_;
  std::vector<lane> lanes_;
  std::uint64_t next_token_ = 1;
  std::vector<front_end_handle> front_ends_;

  burial_queue burials_;
  burial_queue unconfigured_burials_; // which share a bound, and wait for each other
  std::size_t dead_since_upkeep_ = 0;

  sink_state state_ = sink_state::ok;
  std::string last_error_;
  std::int64_t last_error_ms_ = 0;
  std::int64_t quiet_until_ms_ = 0; // of single failures, which may come and go

  bool dirty_ = false; // some stream is
  bool save_failed_ = false;
  std::int64_t next_save_ms_ = 0;
  std::int64_t wake_at_ms_ = 0; // 0: no wake is under way
  std::uint64_t told_confirmed_ = 0;
  std::uint64_t moves_seen_ = 0;
  bool draining_ = false;
  caf::response_promise drained_;
};

publisher_self::behavior_type publisher(publisher_self::stateful_pointer<publisher_state> self,
                                        publisher_parts parts);

} // namespace penstock
