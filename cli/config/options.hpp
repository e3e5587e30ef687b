// The option table: one row a key of the configuration. Loading, the environment, --set, error
// texts and docs/configuration.md all come from it.
#pragma once

#include "actors/streams/stream_settings.hpp"
#include "cli/config/config.hpp"
#include "cli/config/limits_config.hpp"
#include "cli/config/readers.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The place of the name in the key of a row that describes a named table.
inline constexpr std::string_view name_slot = "NAME";

struct option {
  std::string key;      ///< "http.max_body", "streams.NAME.ack"
  reader read;          ///< the check; stores into the target of the table
  std::string fallback; ///< the default, as one would write it after --set KEY=
  std::string example;  ///< another value, written likewise
  std::string help;     ///< one line
  /// Unless it is set, it follows from node.memory, and `fallback` is the most that it may be.
  bool from_memory = false;
};

// Each gives rows whose readers store into `target`, which must outlive them.
std::vector<option> node_options(config& target,
                                 const std::vector<extension>& extra = extensions());
std::vector<option> plan_options(plan& target);                  // plans.NAME.*
std::vector<option> stream_options(stream_settings& target);     // streams.NAME.*
std::vector<option> sink_options(sink_settings& target);         // sinks.NAME.*
std::vector<option> override_options(override_settings& target); // overrides.NAME.*
/// Keys of one entry of plans.NAME.limits; "limits.amount" and so on.
std::vector<option> limit_options(limit_draft& target);

/// "PENSTOCK_HTTP_MAX_BODY" for "http.max_body".
std::string environment_name(std::string_view key);

/// A fallback or example as TOML writes it: texts in quotes.
std::string as_toml(const option& row, const std::string& value);

} // namespace penstock
