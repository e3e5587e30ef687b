// The seam for actors that nobody else speaks of: their own files, and one line in
// actors/extensions/extensions.inc.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/extension_messages.hpp"
#include "actors/base/figures.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// A key of an extension's table, [extensions.NAME], checked at the start like other keys.
struct extension_key {
  enum class type : std::uint8_t { number, size, duration, text, flag };
  std::string name; ///< "every"
  type is = type::text;
  std::string fallback; ///< the default, as one would write it: "10s"
  std::string example;  ///< another value, likewise
  std::string help;     ///< one line
  /// Bounds of numbers, of sizes in bytes and of durations in milliseconds.
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint32_t>::max();
};

/// The value of a key; what is not of its type is at its default.
struct extension_value {
  std::uint64_t number = 0; ///< of a size: bytes
  std::chrono::milliseconds duration_ms{0};
  std::string text;
  bool flag = false;
};
/// By the names of the keys; all that the extension has are there.
using extension_values = std::map<std::string, extension_value, std::less<>>;

/// What an extension starts with.
struct extension_start {
  caf::actor_system& system;
  const extension_values& settings;
  actor_figures& figures; ///< to be filled here, not later
  std::function<std::int64_t()> wall_ms;
};

/// What runs then, and what it wants to be told of.
struct extension_actor {
  drainable_handle who; ///< answers `drain` with `drained`, and quits then
  // The same actor once more for each thing that it wants to be told of; null: it does not.
  rows_listener_handle events{};       ///< durable_rows_ptr…
  stream_filter wants_events{};        ///< …of these streams
  verdicts_listener_handle verdicts{}; ///< turn_verdicts_ptr
  /// peer_up, peer_down and placement_changed (actors/cluster/link_messages.hpp).
  members_listener_handle members{};
  drains_listener_handle drains{}; ///< drain_entered
};

/// A kind of actor of which a node has one.
struct extension {
  std::string name; ///< "audit"; of its table, and where `penstock status` shows it
  std::string help; ///< a sentence, for docs/configuration.md
  std::vector<extension_key> keys{};
  std::function<extension_actor(const extension_start&)> start;
};

} // namespace penstock
