#include "actors/delivery/stream_reader.hpp"

#include <spdlog/spdlog.h>

#include <string>

namespace penstock {

namespace {

std::size_t most_to_read(const publisher_stream& of) {
  return of.hold.is_held() ? max_held_feed_bytes : publisher_read_bytes;
}

} // namespace

// While the sink, or the stream's target, takes nothing, what there is to probe it with is enough:
// its publisher is not woken by what comes in, and holds no memory for it.
bool stream_reader::is_resting(const publisher_stream& of) const {
  const bool is_dying = of.hold.is_lapsed() && of.feed.position() < of.condemned_to;
  const bool waits = health_.breaker().is_open() || (of.hold.is_held() && !is_dying);
  return waits && of.feed.open_events() > 0;
}

void stream_reader::pump(publisher_stream& of) {
  if (of.read_failed || context_.is_draining || !of.feed.wants_blocks() || is_resting(of)) return;
  // A fetch that is under way follows what the feed has let go of since.
  if (of.fetching && of.feed.position() < of.fetch_after)
    return read_segments(of, of.feed.read_bytes(most_to_read(of)));
  if (of.fetching) return;
  of.fetching = true;
  of.fetch_after = of.feed.position();
  context_.self->send(context_.parts.journal, fetch_request{of.name(), of.fetch_after});
}

void stream_reader::on_fetched(const fetch_reply& reply) {
  auto* const found = streams_.find(reply.stream);
  if (!found) return; // it was let go; what came since is found by the upkeep
  auto& of = *found;
  of.fetching = false;
  // The journal answers without events when another reader lets the stream go.
  if (reply.read_segments || !reply.blocks.empty()) of.used_ms = context_.now_ms();
  if (context_.is_draining) return;
  if (reply.read_segments)
    read_segments(of, of.feed.read_bytes(most_to_read(of)));
  else if (of.feed.position() >= of.fetch_after) // otherwise there would be a gap
    add(of, reply.blocks);
  dispatcher_.dispatch();
  pump(of);
}

void stream_reader::read_segments(publisher_stream& of, std::size_t max_bytes) {
  const auto& parts = context_.parts;
  std::vector<std::string> damage;
  // Taken before the read: what becomes durable meanwhile must not be passed over.
  const auto durable = parts.catalog->durable_seq();
  const auto blocks = parts.reader->read(of.name(), of.feed.position(), max_bytes, &damage);
  for (const auto& sentence : damage)
    spdlog::warn("sink {}: {}", parts.sink, sentence);
  if (!damage.empty()) of.unread.count_anew(); // what can't be read was counted
  if (!blocks) {
    of.read_failed = true;
    spdlog::error("sink {}: reading stream '{}' failed, trying again: {}", parts.sink, of.name(),
                  blocks.error().message);
    return;
  }
  if (blocks->empty())
    of.feed.pass_over(durable);
  else
    add(of, *blocks);
}

void stream_reader::add(publisher_stream& of, const std::vector<const_block_ptr>& blocks) {
  refresh_unread(of);
  of.unread.took(of.feed.add(blocks, context_.now_ms()));
  dispatcher_.enqueue({&of, nullptr});
  letters_.condemn(of);
}

void stream_reader::refresh_unread(publisher_stream& of) {
  const auto& parts = context_.parts;
  const auto durable = of.unread.refresh(*parts.catalog, *parts.reader, of.name(),
                                         of.feed.position(), of.feed.backlog());
  if (of.unread.is_none()) of.feed.pass_over(durable);
}

} // namespace penstock
