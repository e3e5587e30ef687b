// A block: the unit in which events travel from a front end to the disk and on to the sinks.
#pragma once

#include "storage/base/result.hpp"
#include "storage/events/idempotency.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The most events that one block holds; keeps 16-bit indexes and one row's size bounded.
inline constexpr std::size_t max_events_per_block = 16'384;

/// About what an event takes in a segment, beside its body, its attributes and a long content type.
inline constexpr std::uint64_t event_overhead_bytes = 32;
/// What a content type takes beyond that: the usual ones are covered by an event's overhead.
constexpr std::uint64_t counted_type_bytes(std::uint64_t type_bytes) {
  return type_bytes > event_overhead_bytes ? type_bytes - event_overhead_bytes : 0;
}

/// One event's place in its block.
struct event_meta {
  std::uint32_t end = 0;        ///< offset in `bodies` just past this event's body
  std::uint16_t type = 0;       ///< index into `content_types`
  std::uint16_t attributes = 0; ///< index into `attributes`; 0 means none
  std::uint64_t client = 0;     ///< keyed hash of who sent it; orders delivery per client
};

/// So many events, and their bytes as event_block::event_bytes() counts them.
struct event_volume {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;

  event_volume& operator+=(const event_volume& more) {
    events += more.events;
    bytes += more.bytes;
    return *this;
  }
  /// Nothing goes below zero.
  event_volume& operator-=(const event_volume& less) {
    events -= std::min(events, less.events);
    bytes -= std::min(bytes, less.bytes);
    return *this;
  }
  bool operator==(const event_volume&) const = default;
};

/// Events of one stream that were accepted together. Their sequence numbers are contiguous:
/// event i is `first_seq + i`. Bodies are kept back to back, so that a block of any number of
/// events costs a few allocations and one row. Not synchronised: one owner at a time, and
/// immutable once it has been handed to the journal.
struct event_block {
  std::uint64_t first_seq = 0; ///< 0 until the journal's ticket counter has given it one
  std::int64_t time_ms = 0;    ///< when it was accepted, milliseconds since the Unix epoch
  std::string stream;
  std::vector<event_meta> events;
  std::vector<std::string> content_types;
  std::vector<std::string> attributes{std::string{}}; ///< JSON objects; [0] is always ""
  std::string bodies;
  std::vector<block_key> keys; ///< of the events that came with one; in the order of the events

  std::size_t size() const { return events.size(); }
  bool empty() const { return events.empty(); }
  std::uint64_t last_seq() const { return first_seq + events.size() - 1; }
  std::size_t begin_of(std::size_t i) const { return i == 0 ? 0 : events[i - 1].end; }
  std::string_view body(std::size_t i) const {
    return std::string_view{bodies}.substr(begin_of(i), events[i].end - begin_of(i));
  }
  std::size_t body_bytes(std::size_t i) const { return events[i].end - begin_of(i); }
  /// Of its body, its attributes, and counted_type_bytes() of its content type where the event
  /// before it in the block has another: a type that many events share is stored once. Needs no
  /// bodies.
  std::size_t event_bytes(std::size_t i) const {
    const bool is_new_type = i == 0 || events[i].type != events[i - 1].type;
    return body_bytes(i) + attributes[events[i].attributes].size() +
           (is_new_type ? counted_type_bytes(content_types[events[i].type].size()) : 0);
  }
  /// Of the events from `first` on, together.
  std::size_t event_bytes_from(std::size_t first) const;
  /// Bytes of memory that this block holds on to, for the named bounds.
  std::size_t memory_bytes() const {
    return sizeof(event_block) + bodies.capacity() + events.capacity() * sizeof(event_meta) +
           keys.capacity() * sizeof(block_key);
  }

  /// Adds an event. The caller keeps size() < max_events_per_block and bodies under 4 GiB.
  void push(std::string_view body, std::string_view content_type, std::uint64_t client,
            std::string_view attributes_json = {});

  /// Adds the events of a block of the same stream whose first_seq follows last_seq().
  void append(const event_block& next);

  /// Drops the events from `count` on.
  void truncate(std::size_t count);
  /// Drops everything but keeps the memory, for use again.
  void clear();

  /// Drops the events whose flag is false and closes the gaps; `keep.size() == size()`.
  void keep_only(const std::vector<bool>& keep);
};

/// Whether a block that came over the network can be used: it has events, numbers and a stream, and
/// what its parts say of each other is true. Keys are not looked at.
bool is_consistent(const event_block& block);

} // namespace penstock
