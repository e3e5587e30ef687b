// The kinds of sinks there are, but for the embedded queue, which is no sink to connect to.
#pragma once

#include "net/sinks/sink_kind.hpp"
#include "net/sinks/sink_settings.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace penstock {

/// All of them, in the order in which the configuration's reference names them. Any thread.
const std::vector<sink_kind>& all_sink_kinds();

/// Null if there is none of the name.
const sink_kind* find_sink_kind(std::string_view name);

/// The keys of all kinds, each once, in the order of the configuration's reference. Of a key that
/// several kinds have the first one says what it takes; helps that differ follow each other.
const std::vector<sink_key>& all_sink_keys();

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_sink(const sink_settings& settings, sink_context context);

} // namespace penstock
