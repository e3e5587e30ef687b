#include "actors/queue/queue_reader.hpp"

#include <spdlog/spdlog.h>

#include <string>

namespace penstock {

void queue_reader::pump(queue_stream& of) {
  if (!of.wanted || of.fetching || of.read_failed || !of.state.wants_blocks()) return;
  of.fetching = true;
  of.fetch_from = of.state.position();
  context_.self->send(context_.parts.journal, fetch_request{of.name, of.fetch_from});
}

bool queue_reader::take(queue_stream& of, const fetch_reply& reply) {
  const bool follows = !of.is_behind();
  of.fetching = false;
  if (!follows) return false;
  // The journal answers without events when another reader lets the stream go.
  if (reply.read_segments || !reply.blocks.empty()) of.used_ms = context_.now_ms();
  if (reply.read_segments)
    read_segments(of);
  else
    add(of, reply.blocks);
  return true;
}

void queue_reader::add(queue_stream& of, const std::vector<const_block_ptr>& blocks) {
  refresh_unread(of);
  of.unread.took(of.state.add(blocks));
}

void queue_reader::read_segments(queue_stream& of) {
  read_segments(of, of.state.read_bytes(queue_read_bytes));
}

void queue_reader::read_if_empty(queue_stream& of) {
  if (!of.state.has_ready() && of.state.wants_blocks() &&
      context_.parts.catalog->durable_seq() > of.state.position())
    read_segments(of);
}

void queue_reader::read_segments(queue_stream& of, std::size_t max_bytes) {
  const auto& parts = context_.parts;
  // Taken before the read: what becomes durable meanwhile must not be passed over.
  const auto durable = parts.catalog->durable_seq();
  std::vector<std::string> damage;
  const auto blocks = parts.reader->read(of.name, of.state.position(), max_bytes, &damage);
  for (const auto& sentence : damage)
    spdlog::warn("queue: {}", sentence);
  if (!damage.empty()) of.unread.count_anew(); // what can't be read was counted
  if (!blocks) {
    of.read_failed = true;
    spdlog::error("queue: reading stream '{}' failed, trying again: {}", of.name,
                  blocks.error().message);
    return;
  }
  if (blocks->empty())
    of.state.pass_over(durable);
  else
    add(of, *blocks);
}

void queue_reader::refresh_unread(queue_stream& of) {
  of.unread.refresh(*context_.parts.catalog, *context_.parts.reader, of.name, of.state.position(),
                    unacked_events{of.state.acked_ahead()});
}

/// Of a stream that nobody consumes it is enough to know where its next event is.
void queue_reader::let_go(queue_stream& of) {
  if (of.state.in_flight() > 0) return;
  const auto next_time = of.state.oldest_time_ms();
  if (!next_time) return;
  of.unread.let_go(of.state.let_go());
  of.let_go_at = of.state.position();
  of.next_time_ms = *next_time;
  of.acked_since = false;
}

void queue_reader::rest_if_idle(queue_stream& of) {
  const auto* const budget = context_.parts.budget.get();
  const bool is_short = budget && budget->free_bytes() < budget->bound_bytes() / 2;
  if (!is_short || !of.wanted || !of.waiters.empty() || of.state.in_flight() > 0 ||
      context_.now_ms() - of.asked_ms < queue_idle_time.count())
    return;
  of.wanted = false;
  of.unread.count_anew(); // what is acknowledged ahead is read again
}

void queue_reader::look_ahead(queue_stream& of, std::uint64_t durable,
                              const queue_streams::newest_map& newest_by_stream) {
  const bool is_known =
      (of.let_go_at == of.state.position() && !of.acked_since) || of.state.unacked_in_window() > 0;
  if (!is_known && durable > of.state.position()) {
    const auto last = newest_by_stream.find(of.name);
    const auto newest = last == newest_by_stream.end() ? newest_events{} : last->second;
    if (newest == of.newest) {
      of.state.pass_over(durable);
    } else {
      // One block a read; those that were acknowledged ahead leave nothing in the window.
      read_segments(of, 1);
      if (!of.read_failed && of.state.position() >= durable && of.state.unacked_in_window() == 0)
        of.newest = newest;
    }
  }
  if (!of.wanted) let_go(of);
  if (!of.dirty) of.durable_confirmed = of.state.confirmed();
}

} // namespace penstock
