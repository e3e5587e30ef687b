// What the parts of a publisher have in common.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/memory_budget.hpp"
#include "actors/base/wake_plan.hpp"
#include "actors/delivery/delivery_settings.hpp"
#include "actors/delivery/lane_feed.hpp"
#include "actors/delivery/sink.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/stores/cursor_store.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// Single failures are logged this often at most.
inline constexpr std::chrono::milliseconds retrying_told_interval{60'000};
/// While its node drains a sink that is away is tried this often at least.
inline constexpr std::chrono::milliseconds max_drain_pause{500};

/// What a publisher is made of; plain values and things that the actor owns.
struct publisher_parts {
  std::string sink; ///< its name
  std::string kind;
  delivery_settings settings;
  sink_traits traits;
  std::uint64_t max_batch_bytes = ~0ull; ///< of a batch whose size is the kind's own
  std::function<void()> stop_sink;       ///< see sink::stop()
  /// Whether a stream feeds this sink; called on the actor's thread.
  std::function<bool(const std::string& stream)> feeds;
  /// Streams that are never let go; null: none.
  std::function<bool(const std::string& stream)> is_configured{};
  std::vector<cursor> saved; ///< of all sinks
  std::shared_ptr<cursor_store> cursors;
  std::shared_ptr<journal_reader> reader;
  std::shared_ptr<segment_catalog> catalog;
  std::shared_ptr<memory_budget> budget;   ///< of all publishers; null: only max_feed_bytes counts
  journal_handle journal;                  ///< answers fetch_request, watch_streams
  confirmations_handle keeper;             ///< is told confirmed_up_to
  dead_letter_intake_handle dead_letters;  ///< answers store_dead_letters_ptr
  std::vector<delivery_lane_handle> lanes; ///< they end with the publisher
  std::shared_ptr<sink_metrics> metrics;
  std::string tag; ///< of the journal
  std::function<std::int64_t()> wall_ms;
  std::function<double()> random; ///< in [0, 1)
  /// How much a stream may hold; null: as much as there is room for.
  stream_rules space_rule{};
};

/// With its own reminders.
using publisher_self =
    publisher_handle::extend<caf::reacts_to<wake_up>, caf::reacts_to<upkeep_tick>,
                             caf::reacts_to<caf::tick_atom>>;

/// For the parts of a publisher, which outlives them. Its actor's thread only.
class publisher_context {
 public:
  using self_ptr = publisher_self::pointer;

  explicit publisher_context(self_ptr actor) : self{actor} {}
  publisher_context(const publisher_context&) = delete;
  publisher_context& operator=(const publisher_context&) = delete;

  /// Before anything else.
  void start(publisher_parts of) {
    parts = std::move(of);
    rules = rules_for(parts.settings, parts.traits, parts.max_batch_bytes);
  }

  /// Of the actor's clock.
  std::int64_t now_ms() const;
  /// The actor gets a wake_up then, or earlier.
  void wake_at(std::int64_t at_ms);
  /// False when an earlier one was planned since, and this one was planned again then.
  bool is_awake(const wake_up& wake) { return wake_.take(wake.at_ms); }

  const self_ptr self;
  publisher_parts parts;
  batch_rules rules;
  bool is_draining = false; ///< nothing is read or sent any more

 private:
  wake_plan wake_;
};

} // namespace penstock
