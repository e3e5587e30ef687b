// One [sinks.NAME] of the configuration, as plain values.
#pragma once

#include "actors/delivery/delivery_settings.hpp"
#include "net/sinks/sink_key.hpp"

#include <string>

namespace penstock {

/// What the configuration says of a sink. Each kind of sink has settings of its own; they are made
/// of `values` when the sink is made, since until then any layer may still name another kind.
struct sink_settings {
  std::string kind = "embedded";
  delivery_settings delivery{};
  std::string source{}; ///< of CloudEvents made here; empty: "/penstock/NODE"
  sink_values values{}; ///< of the keys that not all kinds have; may hold secrets
  bool operator==(const sink_settings&) const = default;
};

} // namespace penstock
