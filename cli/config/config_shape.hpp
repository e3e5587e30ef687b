// Which keys there are, without their values.
#pragma once

#include "actors/streams/stream_settings.hpp"
#include "cli/config/options.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a key means: its row of the option table, and the name in it if it has one.
struct key_meaning {
  const option* row = nullptr;
  std::string name;
};

/// The option table over a scratch configuration: for looking keys up, never for storing.
class config_shape {
 public:
  /// Of what this build has.
  static const config_shape& get();
  explicit config_shape(const std::vector<extension>& extra);
  config_shape(const config_shape&) = delete;
  config_shape& operator=(const config_shape&) = delete;

  const std::vector<option>& rows() const { return rows_; }
  /// Rows of plans, streams, sinks or overrides.
  static bool is_named(std::string_view section);
  bool is_section(std::string_view section) const;
  std::vector<std::string> sections() const;
  /// Whether keys begin with it: "extensions.audit".
  bool is_table(std::string_view key) const;

  /// "streams.errors.ack" is the row "streams.NAME.ack" with the name "errors".
  std::optional<key_meaning> find(std::string_view key) const;
  /// "PENSTOCK_STREAMS_ERRORS_ACK" likewise; the name is in lower case.
  std::optional<key_meaning> find_environment(std::string_view variable) const;

  /// "; did you mean http.listen?" or, when nothing is near, the keys of its section.
  std::string hint(std::string_view key) const;

 private:
  config scratch_;
  plan plan_;
  stream_settings stream_;
  sink_settings sink_;
  override_settings override_;
  std::vector<option> rows_;
};

/// The key of a named row with the name filled in.
std::string fill_name(std::string_view row_key, std::string_view name);

} // namespace penstock
