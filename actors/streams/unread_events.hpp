// How much of a stream is owed behind the position up to which it was read.
#pragma once

#include "storage/events/event_block.hpp"
#include "storage/journal/backlog_events.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <cstdint>
#include <string>

namespace penstock {

/// The backlog is counted once, when the stream is first looked at; from then on it grows by what
/// is appended and shrinks by what is read, so that a long backlog costs nothing to know. What a
/// damaged segment lost was counted, too, so nothing here may be taken for exact without
/// is_exact(). Not synchronised.
class unread_events {
 public:
  /// Counts, or takes in what was appended since. `owed`: what of the stream is. Gives up to where
  /// events were durable then.
  std::uint64_t refresh(const segment_catalog& catalog, journal_reader& reader,
                        const std::string& stream, std::uint64_t position,
                        const backlog_events& backlog);
  /// What is known is not exact any more: the next refresh() counts.
  void count_anew() { is_exact_ = false; }
  /// These were read, and are not behind the position any more.
  void took(const event_volume& read) { volume_ -= read; }
  /// These are behind it again.
  void let_go(const event_volume& held) { volume_ += held; }

  /// But for what was appended since the last refresh(). Otherwise the volume is at least what came
  /// meanwhile.
  bool is_exact() const { return is_exact_; }
  /// Nothing is owed, as far as the last refresh() saw.
  bool is_none() const { return is_exact_ && volume_.events == 0; }
  const event_volume& volume() const { return volume_; }
  /// The catalog's count that the volume takes in.
  const appended_count& appended() const { return appended_; }

 private:
  event_volume volume_;
  appended_count appended_;
  bool is_exact_ = false;
};

} // namespace penstock
