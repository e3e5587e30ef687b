// An event that a sink refused for good: kept until someone retries or drops it.
#pragma once

#include "storage/events/event_block.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace penstock {

/// Complete, so that it outlives the journal's segments.
struct dead_letter {
  std::string sink;
  std::string stream;
  std::string tag; ///< with `seq` the event's id
  std::uint64_t seq = 0;
  std::int64_t time_ms = 0; ///< when the event was accepted
  std::uint64_t client = 0;
  std::string content_type;
  std::string attributes; ///< JSON; "" for none
  std::string body;
  std::string reason;       ///< what the sink said
  std::uint32_t tries = 0;  ///< all so far
  std::int64_t died_ms = 0; ///< when it was refused last
};

/// An event's part of a letter; of whom, why and when is the caller's.
inline dead_letter letter_of(const event_block& block, std::uint32_t index) {
  dead_letter out;
  out.stream = block.stream;
  out.seq = block.first_seq + index;
  out.time_ms = block.time_ms;
  out.client = block.events[index].client;
  out.content_type = block.content_types[block.events[index].type];
  out.attributes = block.attributes[block.events[index].attributes];
  out.body = block.body(index);
  return out;
}

/// A block with this one event, as a sink takes it.
inline std::shared_ptr<const event_block> block_of(const dead_letter& letter) {
  auto block = std::make_shared<event_block>();
  block->first_seq = letter.seq;
  block->time_ms = letter.time_ms;
  block->stream = letter.stream;
  block->push(letter.body, letter.content_type, letter.client, letter.attributes);
  return block;
}

} // namespace penstock
