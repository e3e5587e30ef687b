// What a sink is: a downstream queue as the publisher sees it. A folder a kind in net/sinks/.
#pragma once

#include "storage/base/result.hpp"
#include "storage/events/event_block.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// One event on its way to a sink; keeps its block alive.
struct outgoing_event {
  std::shared_ptr<const event_block> block;
  std::uint32_t index = 0;

  std::uint64_t seq() const { return block->first_seq + index; }
  std::uint64_t client() const { return block->events[index].client; }
  std::string_view body() const { return block->body(index); }
  std::string_view content_type() const { return block->content_types[block->events[index].type]; }
  /// A JSON object with "ce_…", "traceparent", "tracestate"; "" for none.
  std::string_view attributes() const { return block->attributes[block->events[index].attributes]; }
};

/// Events of one stream for one lane, in the order in which they must arrive. Events of a client
/// never are in two batches at once.
struct sink_batch {
  std::string stream{};
  std::string tag{}; ///< of the journal that the events are from; with seq() it makes the id
  /// Empty for first deliveries. When someone asked for events to be sent again, what must be added
  /// to an id by which the sink would otherwise drop them as duplicates.
  std::string again{};
  /// Which part of the stream this is, stable over restarts while the number of lanes is; its
  /// batches come in order of seq(). "0/4". Empty when events are sent again.
  std::string lane{};
  std::vector<outgoing_event> events{};
};

enum class settled_as : std::uint8_t {
  failed,    ///< not known to be there; may be tried again
  delivered, ///< the sink confirmed it
  refused,   ///< the sink has seen it and will not take it: too large, malformed, forbidden
};

/// Whose fault it is that nothing of a batch was taken.
enum class failure_scope : std::uint8_t {
  sink,    ///< the sink's, or nobody can tell: it is away, slow, or does not accept who we are
  stream,  ///< this stream's: its queue is throttled, we may not write to its topic
  missing, ///< this stream's: the topic, queue or path that it goes to is not there
};

/// What became of a batch.
struct delivery {
  /// One for each event, in their order. An event that failed or was refused never stands before
  /// a delivered one of the same client, unless the sink's traits say that its batches may break.
  std::vector<settled_as> events{};
  /// Why, for the first event that was refused and the first that failed; names no secret.
  std::string refusal{};
  std::string failure{};
  /// The sink asked for a pause (Retry-After, throttling); 0: it did not.
  std::chrono::milliseconds pause_ms{0};
  /// Of `failure`. More than `sink` only where another stream goes to another target, and only
  /// when the server itself has said so: `missing` ends in dead letters.
  failure_scope scope = failure_scope::sink;
  /// The refusals hold for ever, and nobody was asked: the stream's name makes no target.
  bool is_final = false;

  std::uint64_t count(settled_as how) const {
    return static_cast<std::uint64_t>(std::count(events.begin(), events.end(), how));
  }

  /// All are refused, since the stream's name can't be written as the sink's target.
  static delivery no_target(std::size_t events, std::string why) {
    auto out = all(events, settled_as::refused, std::move(why));
    out.is_final = true;
    return out;
  }
  static delivery all(std::size_t events, settled_as how, std::string why = {}) {
    delivery out{.events = std::vector<settled_as>(events, how)};
    (how == settled_as::refused ? out.refusal : out.failure) = std::move(why);
    return out;
  }
};

/// What the publisher must know of a kind of sink.
struct sink_traits {
  std::uint32_t batch_events = 1000; ///< the batch's size when the configuration names none…
  std::uint64_t batch_bytes = 1u << 20;
  std::uint32_t max_batch_events = 10'000; ///< …and the most that it may name
  /// The sink may take a later event of a batch and not an earlier one (PutRecords,
  /// SendMessageBatch): then a batch never has two events of one client, so that order holds.
  bool breaks_batches = false;
  /// It notes how far a lane came by the last seq() that it took, so that a lane's batches must
  /// come in order of seq() even while some fail: no client steps in front of another.
  bool in_order = false;
};

/// A lane's way to the sink. Used by one thread; it may block.
class sink_connection {
 public:
  virtual ~sink_connection() = default;

  /// Sends the events, connecting first if need be, and waits until the sink has confirmed them or
  /// `timeout` is over. Errors are outcomes; nothing is thrown. A batch may become several
  /// requests, in order. After a failure the next call starts from a state that can work.
  virtual delivery deliver(const sink_batch& batch, std::chrono::milliseconds timeout) = 0;
};

/// A configured sink; immutable or synchronised, as its lanes share it.
class sink {
 public:
  virtual ~sink() = default;
  virtual sink_traits traits() const = 0;
  /// Makes a lane's connection without touching the network. Called from any thread.
  virtual std::unique_ptr<sink_connection> connect() = 0;
  /// Asks deliveries that are under way to fail soon, for a drain that is out of time, and those
  /// that follow at once. Any thread.
  virtual void stop() = 0;
};

} // namespace penstock
