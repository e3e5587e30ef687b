// Which streams hold as much of the journal as they may: counted as events and sinks' reports come,
// and told to front ends and to the log when it changes.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "actors/journal/space_book.hpp"
#include "storage/events/event_block.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// Streams that are logged one by one when they begin to be refused, between two reports of sinks;
/// each sink gives one a second.
inline constexpr std::size_t max_refusals_told = 5;

/// Not synchronised: the journal actor has it.
class stream_space {
 public:
  using send_function = std::function<void(const front_end_handle& to, refused_streams_ptr which)>;

  /// `rule_of`: null: each stream has as much room as there is, and nothing is counted.
  stream_space(const stream_rules& rule_of, std::uint64_t unconfigured_max_bytes,
               std::shared_ptr<const segment_catalog> catalog,
               std::shared_ptr<journal_metrics> metrics, send_function send);

  /// Rows that are durable now.
  void note_appended(const std::vector<block_ptr>& rows);
  void report(const sink_backlog& told);
  void change_rules(const stream_rules& rule_of);
  /// Tells it what is refused now, and each change.
  void watch(const front_end_handle& front_end);

 private:
  void tell_if_changed();
  void log_refused(const refused_streams_ptr& now);

  std::optional<space_book> book_;
  std::shared_ptr<const segment_catalog> catalog_;
  std::shared_ptr<journal_metrics> metrics_;
  send_function send_;
  refused_streams_ptr told_; // what front ends know
  std::size_t refusals_since_report_ = 0;
  std::vector<front_end_handle> watchers_;
};

} // namespace penstock
