#include "actors/delivery/expired_events.hpp"

#include "storage/events/event_id.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

void expired_events::tell(const std::string& sink, const std::string& stream,
                          const std::string& tag) const {
  spdlog::warn(
      "{}: {} events of the stream '{}' are LOST, from {} to {}: it holds as much, or as old "
      "ones, as its max_size and max_age let it, and when_full is expire",
      sink, count, stream, event_id(first_seq, tag), event_id(last_seq, tag));
}

} // namespace penstock
