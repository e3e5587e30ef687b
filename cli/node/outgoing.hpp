// The sinks that events leave a journal for, with a publisher each: a node has them, and `adopt`.
#pragma once

#include "actors/delivery/publisher.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/retention/backlog_book.hpp"
#include "cli/config/config.hpp"
#include "storage/journal/journal.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// Whether a stream's events go to the sink of that name.
std::function<bool(const std::string& stream)> feeds(const config& settings, std::string sink);

/// How much a stream may hold of the journal. One without a sink holds nothing.
stream_rules space_rule(const config& settings);

/// The embedded sink that streams use, "" when none does; there is one queue, whatever name it
/// goes by.
std::string queue_name(const config& settings);

/// The sinks that some stream feeds, in the order of their names: what they have not confirmed
/// stays in the journal.
std::vector<std::string> fed_sinks(const config& settings);

/// Each with whether a stream's events go there.
std::vector<sink_route> sink_routes(const config& settings);

/// Streams that are never let go: those that the configuration names.
std::function<bool(const std::string& stream)> configured_streams(const config& settings);

/// A sink that is not embedded, with the actor that moves events there.
struct outgoing_sink {
  std::shared_ptr<sink> to;
  std::shared_ptr<sink_metrics> metrics;
  publisher_handle publisher;
};

/// Makes the sink, not yet its publisher, without touching the network. Errors: config.
result<outgoing_sink> make_outgoing_sink(const std::string& name, const sink_settings& settings,
                                         const std::string& node_name);

/// Where the events of a publisher come from, and who hears of them.
struct publisher_base {
  const penstock::journal& from;
  std::shared_ptr<cursor_store> cursors;
  journal_handle journal;                 ///< answers fetch_request and watch_streams
  confirmations_handle keeper;            ///< is told confirmed_up_to
  dead_letter_intake_handle dead_letters; ///< answers store_dead_letters_ptr
  /// Streams that are never let go; null: none.
  std::function<bool(const std::string&)> is_configured{};
  std::shared_ptr<memory_budget> budget{}; ///< what all publishers hold together
  std::uint64_t max_batch_bytes = ~0ull;   ///< of batches whose size is the kind's own
  /// How much a stream may hold; null: as much as there is room for.
  stream_rules space_rule{};
};

/// Starts the publisher of a sink and its lanes, a thread each. `saved`: cursors, of all sinks.
void start_publisher(caf::actor_system& system, const std::string& name,
                     const sink_settings& settings, std::function<bool(const std::string&)> feeds,
                     std::vector<cursor> saved, const publisher_base& base, outgoing_sink& out);

} // namespace penstock
