// What the parts of the embedded queue have in common.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/memory_budget.hpp"
#include "actors/base/wake_plan.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "actors/queue/queue_settings.hpp"
#include "actors/queue/queue_state.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/stores/cursor_store.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// What the queue is made of; plain values and things that the actor owns.
struct queue_parts {
  std::string sink = "queue"; ///< the name of the embedded sink, as in the cursor store
  queue_settings settings;
  /// Whether a stream feeds this sink; called on the actor's thread.
  std::function<bool(const std::string& stream)> feeds;
  /// Streams that are never let go; null: none.
  std::function<bool(const std::string& stream)> is_configured;
  std::shared_ptr<memory_budget> budget; ///< of all streams; null: each has its own limits alone
  std::vector<cursor> saved;             ///< what `cursors` loaded; other sinks' are ignored
  std::shared_ptr<cursor_store> cursors;
  std::shared_ptr<journal_reader> reader; ///< for consumers that lag
  std::shared_ptr<journal_reader> replay; ///< for reading again; a second one, so that a replay
                                          ///< does not make the first change its segment
  std::shared_ptr<segment_catalog> catalog;
  journal_handle journal;      ///< answers fetch_request
  confirmations_handle keeper; ///< is told confirmed_up_to
  /// Whether a consumer can ask for a stream; null: for each. Events of others, which an earlier
  /// version took, become dead letters.
  std::function<bool(const std::string& stream)> is_name{};
  dead_letter_intake_handle dead_letters{}; ///< answers store_dead_letters_ptr
  std::string tag{};                        ///< of the journal
  /// How much a stream may hold; null: as much as there is room for.
  stream_rules space_rule{};
  std::shared_ptr<queue_metrics> metrics;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
};

/// With its own reminders.
using queue_self = queue_handle::extend<caf::reacts_to<wake_up>, caf::reacts_to<upkeep_tick>>;

/// For the parts of the queue, which outlives them. Its actor's thread only.
class queue_context {
 public:
  using self_ptr = queue_self::pointer;

  explicit queue_context(self_ptr actor) : self{actor} {}
  queue_context(const queue_context&) = delete;
  queue_context& operator=(const queue_context&) = delete;

  /// Before anything else.
  void start(queue_parts of) { parts = std::move(of); }

  /// Of the actor's clock.
  std::int64_t now_ms() const;
  /// The actor gets a wake_up then, or earlier.
  void wake_at(std::int64_t at_ms);
  /// False when an earlier one was planned since, and this one was planned again then.
  bool is_awake(const wake_up& wake) { return wake_.take(wake.at_ms); }

  const self_ptr self;
  queue_parts parts;

 private:
  wake_plan wake_;
};

} // namespace penstock
