#include "actors/queue/unnamed_dead_letters.hpp"

#include "actors/queue/queue_messages.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace penstock {

void unnamed_dead_letters::send(queue_stream& of) {
  const auto& parts = context_.parts;
  if (!parts.is_name || parts.is_name(of.name) || of.unnamed.is_under_way) return;
  reader_.read_if_empty(of);
  const auto messages =
      of.state.receive(of.unnamed.group, max_receive_bytes, max_lease_ms, context_.now_ms());
  if (messages.empty()) return;
  auto request = std::make_shared<store_dead_letters>();
  std::vector<receipt> which;
  for (const auto& message : messages) {
    auto letter = letter_of(*message.block, message.index);
    letter.sink = parts.sink;
    letter.tag = parts.tag;
    letter.reason = "no consumer can ask for a stream of this name";
    letter.died_ms = parts.wall_ms();
    request->letters.push_back(std::move(letter));
    which.push_back(message.ticket);
  }
  of.unnamed.is_under_way = true;
  context_.self
      ->request(parts.dead_letters, caf::infinite, store_dead_letters_ptr{std::move(request)})
      .then(
          [this, name = of.name, which](const dead_letters_stored& outcome) {
            on_dead_letters_stored(name, which, outcome);
          },
          [this, name = of.name, which](const caf::error& why) {
            on_dead_letters_stored(name, which, {false, {errc::unavailable, to_string(why)}});
          });
}

// What could not be kept is tried again at the next upkeep, half as many: a part may have room.
void unnamed_dead_letters::on_dead_letters_stored(const std::string& name,
                                                  const std::vector<receipt>& which,
                                                  const dead_letters_stored& outcome) {
  PENSTOCK_ASSERT(!which.empty());
  auto* const found = streams_.find(name);
  if (!found) return;
  auto& of = *found;
  of.unnamed.is_under_way = false;
  // One that no store of this size holds stays under its lease, and holds up no other.
  const bool is_too_large = which.size() == 1 && outcome.why.code == errc::invalid;
  for (const auto& ticket : which)
    if (outcome.ok)
      of.state.ack(ticket);
    else if (!is_too_large)
      of.state.nack(ticket);
  if (!outcome.ok) {
    of.unnamed.group = std::max<std::size_t>(1, which.size() / 2);
    if (which.size() == 1 && !std::exchange(of.unnamed.was_told, true))
      spdlog::error(
          "queue: events of the stream '{}', which no consumer can ask for, can't be kept "
          "as dead letters: {}",
          of.name, outcome.why.message);
    return;
  }
  of.unnamed.group = std::min(of.unnamed.group * 2, max_unnamed_at_once);
  of.unnamed.was_told = false;
  spdlog::warn(
      "queue: {} events of the stream '{}' are dead letters now: no consumer can ask for a "
      "stream of this name",
      which.size(), of.name);
  acks_.note_moved(of);
  acks_.save_if_due();
  send(of);
}

} // namespace penstock
