#include "actors/streams/unread_events.hpp"

namespace penstock {

std::uint64_t unread_events::refresh(const segment_catalog& catalog, journal_reader& reader,
                                     const std::string& stream, std::uint64_t position,
                                     const backlog_events& backlog) {
  const auto [appended, durable] = catalog.appended_now(stream);
  // The catalog had forgotten it: what it counts now is not what it counted then.
  if (appended.number != appended_.number && appended_.number != 0) is_exact_ = false;
  if (durable <= position) {
    volume_ = {};
    is_exact_ = true;
  } else if (is_exact_) {
    volume_ += appended.volume;
    volume_ -= appended_.volume;
  } else if (const auto count = reader.count_backlog(stream, position, durable, backlog)) {
    volume_ = *count;
    is_exact_ = true;
  } else { // at least what came meanwhile
    volume_ += appended.volume;
    volume_ -= appended_.volume;
  }
  appended_ = appended;
  return durable;
}

} // namespace penstock
