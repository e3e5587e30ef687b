// What was acknowledged, written down by who sent it: the judge believes nothing else.
#pragma once

#include "storage/events/event_block.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/counter_store.hpp"
#include "storage/stores/dead_letter.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace penstock::damage {

/// An event as it was sent.
struct sent_event {
  std::string stream;
  std::string body;
  std::string content_type;
  std::string attributes;
  bool is_delivered = false; ///< and confirmed, durably: it need not come again
  bool operator==(const sent_event& other) const {
    return stream == other.stream && body == other.body && content_type == other.content_type &&
           attributes == other.attributes;
  }
};

/// By number.
using sent_events = std::map<std::uint64_t, sent_event>;

inline void note(sent_events& events, const event_block& block) {
  for (std::size_t i = 0; i < block.size(); ++i) {
    const auto& meta = block.events[i];
    events[block.first_seq + i] = {block.stream, std::string{block.body(i)},
                                   block.content_types[meta.type],
                                   block.attributes[meta.attributes], false};
  }
}

struct book {
  std::string tag;
  sent_events events;                          ///< all of them are acknowledged
  std::map<std::string, sent_events> replicas; ///< held for other nodes, by their tags
  account_records accounts;
  std::vector<counter_row> counters;
  std::vector<dead_letter> letters;
  std::uint64_t jobs = 0;
  std::uint64_t usage_rows = 0;
};

} // namespace penstock::damage
