// What a publisher counts, and tells of its sink and streams.
#pragma once

#include "actors/base/metrics.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

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
  gauge held_streams;         ///< that are tried now and then only, since they alone fail…
  gauge missing_targets;      ///< …and those of them whose topic, queue or path is not there
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

} // namespace penstock
