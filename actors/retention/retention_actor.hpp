// The keeper: prepares the next segment and retires old ones, off the commit thread.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/retention/retention_metrics.hpp"
#include "actors/retention/space_maker.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/journal/segment_keeper.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

/// It looks after the segments this often, and when it is told upkeep_tick.
inline constexpr std::chrono::milliseconds retention_interval{100};

struct retention_parts {
  std::shared_ptr<segment_keeper> segments;
  std::shared_ptr<segment_catalog> catalog;
  /// The sinks that must confirm an event before it may go; empty: what is durable may go.
  std::vector<std::string> sinks;
  std::chrono::milliseconds retention_ms{0};
  confirmations_handle
      replicator{}; ///< is told what sinks have confirmed, too; null: the node is alone
  std::shared_ptr<retention_metrics> metrics;
  std::function<std::int64_t()> wall_ms; ///< milliseconds since the Unix epoch
  /// What room is made with in the journal's middle; without cursors none is.
  std::shared_ptr<cursor_store> cursors{};
  std::vector<sink_route> routes{};
  std::string queue{}; ///< the embedded queue among the routes
  std::uint64_t max_bytes = 0;
  std::uint64_t segment_max_bytes = 0;
};

/// With its own tick.
using keeper_self = retention_handle::extend<caf::reacts_to<caf::tick_atom>>;

class retention_state {
 public:
  static constexpr const char* name = "keeper"; // CAF shows it

  void start(retention_parts parts);
  void on_confirmed(const confirmed_up_to& update);
  const confirmations_handle& replicator() const { return parts_.replicator; }
  void upkeep();

 private:
  std::uint64_t confirmed() const;
  void make_room(std::int64_t before_ms);
  void note(const char* what, const result<void>& outcome);

  retention_parts parts_;
  std::optional<space_maker> space_;
  std::map<std::string, std::uint64_t> confirmed_;  // by sink
  std::map<std::string, std::string> last_problem_; // by task; told once, not ten times a second
};

/// Takes confirmed_up_to and upkeep_tick; quits at `drain`. It blocks on the disk: spawn it
/// detached.
keeper_self::behavior_type retention_actor(keeper_self::stateful_pointer<retention_state> self,
                                           retention_parts parts);

} // namespace penstock
