// The layers of a configuration — file, environment, --set — as one list of assignments.
#pragma once

#include "cli/base/problems.hpp"
#include "cli/config/config.hpp"
#include "cli/config/config_shape.hpp"

#include <deque>
#include <string>
#include <vector>

namespace penstock {

/// The largest configuration file that is read.
inline constexpr std::size_t max_config_file_bytes = 1u << 20;
/// The most plans, streams or sinks that a configuration may name.
inline constexpr std::size_t max_named_tables = 1000;

/// One value for one key. An assignment without a value makes a named table that has no keys.
struct assignment {
  std::string key;  ///< "http.max_body", "streams.errors.ack"; without a value "streams.errors"
  std::string row;  ///< key of the option: "http.max_body", "streams.NAME.ack"
  std::string name; ///< of the plan, stream or sink; else empty
  const toml::node* value = nullptr;
  value_source source;
  toml::source_region at;
};

/// Every assignment, those of a later layer after those of an earlier one.
struct config_layers {
  std::deque<toml::table> documents; ///< own the values
  std::vector<assignment> assignments;
};

/// Unknown keys, bad syntax and unreadable files are told to `problems`; the rest is kept.
config_layers read_layers(const config_sources& sources, const config_shape& shape,
                          problem_list& problems);

} // namespace penstock
