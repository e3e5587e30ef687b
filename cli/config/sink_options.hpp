// Which keys belong to which kind of sink.
#pragma once

#include "actors/delivery/sink_settings.hpp"

#include <string_view>

namespace penstock {

/// Whether sinks of the kind have the key, "max_len" say.
bool sink_kind_has(std::string_view kind, std::string_view key);

/// The key that the kind can't do without and that is not set; "" if there is none.
std::string_view missing_sink_key(const sink_settings& settings);

} // namespace penstock
