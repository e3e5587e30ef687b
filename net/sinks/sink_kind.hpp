// What a kind of sink is: its name, the keys of its settings, and how a sink of it is made.
#pragma once

#include "actors/delivery/sink.hpp"
#include "net/sinks/sink_key.hpp"
#include "storage/base/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a sink needs beside its settings.
struct sink_context {
  std::string name;      ///< as in [sinks.NAME], for messages
  std::string node_name; ///< for client names
  std::string source{};  ///< of CloudEvents made here, if it is set

  std::string event_source() const { return source.empty() ? "/penstock/" + node_name : source; }
};

struct sink_kind {
  std::string_view name;      ///< as after `kind =`
  std::vector<sink_key> keys; ///< for their names and what they take; their fields are nobody's
  /// Makes the sink without touching the network. Errors: config, naming key and fix.
  std::function<result<std::shared_ptr<sink>>(const sink_values&, const sink_context&)> make;
};

/// A kind whose settings are a struct: `keys` names those of its fields that can be set, and `make`
/// checks them and makes the sink.
template <class Settings>
sink_kind sink_kind_of(std::string_view name, std::vector<sink_key> (*keys)(Settings&),
                       result<std::shared_ptr<sink>> (*make)(const Settings&,
                                                             const sink_context&)) {
  static Settings unset; // so that the fields of `sink_kind::keys` are always there
  return {name, keys(unset), [keys, make](const sink_values& values, const sink_context& context) {
            Settings settings;
            const auto stored = store_values(values, keys(settings), context.name);
            if (!stored) return result<std::shared_ptr<sink>>{stored.error()};
            return make(settings, context);
          }};
}

} // namespace penstock
