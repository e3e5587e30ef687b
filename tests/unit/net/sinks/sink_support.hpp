// Batches for tests of sinks.
#pragma once

#include "actors/delivery/sink.hpp"

#include <string>
#include <vector>

namespace penstock::test {

struct sample_event {
  std::string body;
  std::uint64_t client = 1;
  std::string type = "application/json";
};

inline sink_batch sample_batch(const std::vector<sample_event>& events) {
  auto block = std::make_shared<event_block>();
  block->first_seq = 16;
  block->time_ms = 1'700'000'000'000;
  block->stream = "errors";
  sink_batch out{.stream = "errors", .tag = "nbjoxe3h", .again = {}, .lane = "0/4", .events = {}};
  for (const auto& event : events)
    block->push(event.body, event.type, event.client);
  for (std::uint32_t i = 0; i < events.size(); ++i)
    out.events.push_back({block, i});
  return out;
}

/// "dfr": what became of each event, as one letter.
inline std::string letters_of(const std::vector<settled_as>& events) {
  std::string out;
  for (const auto how : events)
    out += how == settled_as::delivered ? 'd' : how == settled_as::refused ? 'r' : 'f';
  return out;
}

} // namespace penstock::test
