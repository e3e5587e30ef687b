// What each component counts: plain structs with one writer each, read by the metrics page.
#pragma once

#include "actors/space_book.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace penstock {

/// A number that only grows. One thread at a time adds; any thread reads. Having one writer, it
/// needs no locked instruction.
class counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A number that goes up and down. One thread at a time writes; any thread reads.
class gauge {
 public:
  void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
  void add(std::int64_t n) { set(value() + n); }
  std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Counts values by size. `Bounds` are the buckets' inclusive upper bounds, ascending; a last
/// bucket takes what lies above. One thread at a time observes; any thread reads.
template <auto Bounds>
class histogram {
 public:
  static constexpr auto bounds = Bounds;

  void observe(std::uint64_t value) {
    const auto at = std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin();
    buckets_[static_cast<std::size_t>(at)].add();
    sum_.add(value);
  }
  /// Observations in bucket `i` alone, not cumulated; i <= bounds.size().
  std::uint64_t bucket(std::size_t i) const { return buckets_[i].value(); }
  std::uint64_t sum() const { return sum_.value(); }

 private:
  std::array<counter, Bounds.size() + 1> buckets_;
  counter sum_;
};

/// Microseconds, from a refusal on loopback to a disk in trouble.
inline constexpr std::array<std::uint64_t, 16> latency_bounds_us{
    50,     100,    200,     500,     1'000,   2'000,     5'000,     10'000,
    20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000, 5'000'000};
inline constexpr std::array<std::uint64_t, 14> group_size_bounds{
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1'024, 4'096, 16'384, 65'536};
using latency_histogram = histogram<latency_bounds_us>;
using group_size_histogram = histogram<group_size_bounds>;

/// The statuses that the ingest plane answers with; any other is counted as the last, 0.
inline constexpr std::array<std::uint16_t, 21> counted_statuses{200, 202, 204, 400, 401, 403, 404,
                                                                405, 408, 411, 413, 415, 422, 429,
                                                                431, 500, 501, 503, 505, 507, 0};

/// What a lane holds for its clients, in http.max_in_flight.
enum class memory_part : std::uint8_t {
  input,    ///< of requests that are still arriving, but their bodies; and what came behind them
  bodies,   ///< of requests that are still arriving
  requests, ///< under way to the disk or to another node
  waits,    ///< requests that wait for sinks or a second node
  answers,  ///< not yet taken by the socket, and those that batches under way will have
};
inline constexpr std::array<const char*, 5> memory_part_names{"input", "bodies", "requests",
                                                              "waits", "answers"};

enum class timeout_kind : std::uint8_t { header, body, idle, write };
inline constexpr std::array<const char*, 4> timeout_names{"header", "body", "idle", "write"};

/// Why the node turned work away for its own sake (503, 507 or a closed connection).
enum class shed_reason : std::uint8_t {
  connections,   ///< http.max_connections is reached
  in_flight,     ///< http.max_in_flight_bytes is reached
  table_full,    ///< the limiter tracks as many clients as it may
  unreachable,   ///< the shard's owner can't be reached, and the cluster is set to refuse
  journal_full,  ///< the journal's cap is reached
  disk_full,     ///< the file system has no room
  journal_error, ///< the journal failed otherwise
  unknown_plan,  ///< the limiter that was asked does not have the client's plan
  expendable,    ///< the journal nears its cap, and the stream is expendable
  address_connections, ///< http.max_connections_per_address is reached
  stream_names,        ///< a stream's name is new, and there is no place for it…
  stream_share,        ///< …or none for its client
  slow_client,         ///< http.max_in_flight is reached, and this one sends or reads slowly
  stream_full,         ///< the stream holds as much of the journal as it may
};
inline constexpr std::array<const char*, 14> shed_names{
    "connections",   "in_flight",    "table_full",   "unreachable",         "journal_full",
    "disk_full",     "journal_error", "unknown_plan", "expendable",          "address_connections",
    "stream_names",  "stream_share", "slow_client",  "stream_full"};

/// Why a client may not come in, whatever it asks for.
enum class bar_reason : std::uint8_t {
  denied,    ///< an override denies it (403)
  anonymous, ///< it has no API key, and only who has one is served (401)
};
inline constexpr std::array<const char*, 2> bar_names{"denied", "anonymous"};

/// Why a 202 can't say that the sinks, or a second node, have the events, although the stream's ack
/// is "published" or "replicated".
enum class unpublished : std::uint8_t {
  no,          ///< it can
  earlier,     ///< an earlier request stored them; what became of them since is not looked up
  late,        ///< not within the stream's publish_timeout or replicate_timeout
  dead_letter, ///< a sink refused one for good
  draining,    ///< the node ends before they are confirmed
  too_many,    ///< as many requests wait as may
  alone,       ///< with "replicated": no other node is in reach
  /// Only between nodes: a second node has them, and nothing is said of the sinks.
  replicated,
};
inline constexpr std::array<const char*, 7> unpublished_names{
    "", "earlier", "late", "dead_letter", "draining", "too_many", "alone"};

/// One front end's, written by its thread only.
struct alignas(64) front_end_metrics {
  std::array<counter, counted_statuses.size()> requests;
  latency_histogram
      request_us; ///< request complete to answer written; those a limiter was asked for
  counter bytes_in;
  counter bytes_out;
  counter events;        ///< accepted, whatever the number of requests
  counter received_lost; ///< events of ack = "received" whose commit failed after their 202
  gauge connections;     ///< open now
  counter connections_total;
  std::array<counter, timeout_names.size()> timeouts;
  std::array<counter, shed_names.size()> shed;
  std::array<counter, bar_names.size()> barred;
  gauge in_flight_bytes;    ///< bodies between socket and disk
  std::array<gauge, memory_part_names.size()> memory_bytes; ///< see lane_memory
  gauge memory_max_bytes;   ///< their bound
  counter limiter_messages; ///< sent to this node's limiters
  counter journal_messages; ///< sent to the journal
  gauge publish_waits;      ///< requests that wait until the sinks, or a second node, have theirs
  counter published;        ///< those that were answered when the sinks had…
  std::array<counter, unpublished_names.size()> unpublished_answers; ///< …and those before, by why
  counter replicated; ///< those that were answered when a second node had…
  std::array<counter, unpublished_names.size()> unreplicated_answers; ///< …and those before

  void count_status(unsigned status) {
    const auto end = counted_statuses.end() - 1;
    const auto at = std::find(counted_statuses.begin(), end, status);
    requests[static_cast<std::size_t>(at - counted_statuses.begin())].add();
  }
  void count(timeout_kind kind) { timeouts[static_cast<std::size_t>(kind)].add(); }
  void count(shed_reason why, std::uint64_t times = 1) {
    shed[static_cast<std::size_t>(why)].add(times);
  }
  void count(bar_reason why) { barred[static_cast<std::size_t>(why)].add(); }
};

/// The journal actor's.
struct alignas(64) journal_metrics {
  counter commits;
  counter events;
  counter appended_bytes;          ///< bodies made durable
  counter failures;                ///< transactions that were rolled back
  latency_histogram fsync_us;      ///< one commit, until its data is on the disk
  group_size_histogram group_size; ///< events in one commit
  gauge durable_seq;
  gauge bytes;          ///< of all segment files
  gauge failed;         ///< 1 while nothing can be stored
  gauge scarce;         ///< 1 while expendable streams are refused
  gauge full;           ///< 1 while the cap or the disk refuses more
  gauge damaged;        ///< segments set aside or cut short at this start
  gauge unconfigured_bytes; ///< held by the streams that are not configured, together
  gauge unconfigured_full;  ///< 1 while nothing more of them is taken
  gauge damaged_stores; ///< damage to the stores beside the journal that this start found
  gauge queued_batches; ///< waiting for a commit
  counter messages;     ///< batches taken from the mailbox

  /// Replaced by the journal actor when it changes; read by any thread.
  void publish_refused(refused_streams_ptr which) {
    const std::lock_guard hold{mutex_};
    refused_ = std::move(which);
  }
  /// Streams that hold as much as they may; null: none.
  refused_streams_ptr refused() const {
    const std::lock_guard hold{mutex_};
    return refused_;
  }

 private:
  mutable std::mutex mutex_;
  refused_streams_ptr refused_;
};

/// What the queue tells of one stream.
struct queue_stats {
  std::string stream;
  std::uint64_t depth = 0;     ///< events not yet acknowledged, in flight ones included
  std::uint64_t in_flight = 0; ///< under a lease
  std::int64_t oldest_ms = 0;  ///< age of the oldest event not acknowledged; 0 when there is none
  std::uint64_t bytes = 0;     ///< of the bodies and attributes of those that make up the depth
  std::uint64_t expired = 0;   ///< events let go since the start, as the stream held too much
};

/// The queue actor's.
struct alignas(64) queue_metrics {
  counter delivered;   ///< messages handed out, repeats included
  counter redelivered; ///< repeats
  counter acked;
  counter nacked;
  counter stale; ///< receipts refused: their event went to another consumer since
  counter expired; ///< events let go, as their stream held too much
  counter cursor_saves;
  counter cursor_failures;
  gauge waiters;       ///< receives held open
  gauge confirmed_seq; ///< what the keeper was told

  /// Replaced about once a second by the queue actor; read by any thread.
  void publish(std::vector<queue_stats> streams) {
    const std::lock_guard hold{mutex_};
    streams_ = std::move(streams);
  }
  std::vector<queue_stats> streams() const {
    const std::lock_guard hold{mutex_};
    return streams_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<queue_stats> streams_;
};

enum class sink_state : std::uint8_t {
  ok,
  retrying, ///< the last batch of a lane failed; it is being tried again
  open,     ///< the breaker is open: only a probe now and then
};
inline constexpr std::array<const char*, 3> sink_state_names{"ok", "retrying", "open"};

/// A stream of a sink.
enum class stream_state : std::uint8_t {
  ok,
  held,    ///< it fails while the sink is there, and is tried now and then
  missing, ///< held, as what it goes to is not there: a topic, a queue
};
inline constexpr std::array<const char*, 3> stream_state_names{"ok", "held", "missing"};
/// Held streams of a sink of which the reason is told.
inline constexpr std::size_t max_told_holds = 32;

/// How far a sink is behind in one stream: events that are durable and that it has not settled.
struct sink_lag {
  std::string sink;
  std::string kind;
  std::string stream;
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;    ///< of their bodies and attributes
  std::int64_t oldest_ms = 0; ///< age of the oldest of them; 0 when there is none
  std::uint64_t expired = 0;  ///< let go since the start, as the stream held too much
  stream_state state = stream_state::ok;
  std::string error{}; ///< why it is held; "" for all but the max_told_holds with most events
};

/// A sink in words.
struct sink_status {
  std::string sink;
  std::string kind;
  sink_state state = sink_state::ok;
  std::string last_error; ///< of the last batch that failed; names no secret; "" for none yet
  std::int64_t last_error_ms = 0; ///< wall clock, Unix time
};

/// A publisher's, one a sink. Counters have the publisher actor as their only writer.
class alignas(64) sink_metrics {
 public:
  sink_metrics(std::string sink, std::string kind) {
    status_.sink = std::move(sink);
    status_.kind = std::move(kind);
  }

  counter delivered; ///< events that the sink confirmed, repeats included
  counter refused;   ///< events given up after max_tries: dead letters
  counter failures;  ///< batches that the sink did not confirm, wholly or in part
  counter batches;   ///< handed to a lane
  counter repeats;   ///< events handed to a lane once more
  counter expired;   ///< events let go, as their stream held too much
  gauge inflight_batches;
  gauge held_streams;    ///< that are tried now and then only, since they alone fail…
  gauge missing_targets; ///< …and those of them whose topic, queue or path is not there
  latency_histogram batch_us; ///< handed to a lane until its outcome is known

  /// Called about once a second, and when the state changes, by the publisher actor. The lags name
  /// this sink. Read by any thread.
  void publish(sink_state state, std::string last_error, std::int64_t last_error_ms,
               std::vector<sink_lag> lags) {
    const std::lock_guard hold{mutex_};
    status_.state = state;
    status_.last_error = std::move(last_error);
    status_.last_error_ms = last_error_ms;
    lags_ = std::move(lags);
  }
  sink_status status() const {
    const std::lock_guard hold{mutex_};
    return status_;
  }
  std::vector<sink_lag> lags() const {
    const std::lock_guard hold{mutex_};
    return lags_;
  }

 private:
  mutable std::mutex mutex_;
  sink_status status_;
  std::vector<sink_lag> lags_;
};

/// The keeper actor's.
struct alignas(64) keeper_metrics {
  counter retired;  ///< segments
  counter failures; ///< of preparing or retiring a segment
  counter moved;    ///< segments of which what was left was put into another
  counter moved_bytes; ///< written by that
};

/// The usage actor's.
struct alignas(64) usage_metrics {
  counter entries;  ///< taken from front ends: an id and what was counted for it
  counter lost;     ///< entries given up, as usage.db could not be written for too long
  counter failures; ///< transactions that were rolled back
  gauge rows;       ///< in usage.db
};

} // namespace penstock
