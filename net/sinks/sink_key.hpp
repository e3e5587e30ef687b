// The keys of a kind of sink: what values they take, and which of its settings these go to.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace penstock {

/// { Name = "value" } of the configuration.
using text_pairs = std::map<std::string, std::string>;

/// What a key was set to.
using sink_value = std::variant<std::string, std::uint64_t, bool, text_pairs>;

/// Values by their keys' names, "max_len" say. Only those that were set.
using sink_values = std::map<std::string, sink_value, std::less<>>;

// The field that a key's value goes to, and which values it takes. The field must outlive its key.

/// A text that is not empty; `what` says in words what of, "a URL" say.
struct text_field {
  std::string* to;
  std::string_view what;
};
/// A text that no message and no log repeats.
struct secret_field {
  std::string* to;
};
/// One of the texts.
struct choice_field {
  std::string* to;
  std::vector<std::string> choices;
};
/// From `min` to `max`, both included.
struct number_field {
  std::uint64_t* to;
  std::uint64_t min, max;
};
struct flag_field {
  bool* to;
};
/// Texts of one line, at most max_pairs of them.
struct pairs_field {
  static constexpr std::size_t max_pairs = 32;
  text_pairs* to;
};
using sink_field =
    std::variant<text_field, secret_field, choice_field, number_field, flag_field, pairs_field>;

/// The part of docs/configuration.md that a key stands in, in its order. Keys that all kinds have
/// stand between tuning and credentials.
enum class sink_key_part : std::uint8_t { target, tuning, credentials, security, certificates };

/// A key of [sinks.NAME].
struct sink_key {
  std::string name; ///< "max_len"
  sink_field field;
  std::string fallback; ///< the default, as one would write it after --set KEY=
  std::string example;  ///< another value, written likewise
  std::string help;     ///< one line that begins with the kind, "redis: …"
  sink_key_part part = sink_key_part::target;
  bool is_needed = false; ///< the kind can't do without
};

/// Stores values into the fields of their keys. Errors: config, naming the key of `sink`, for one
/// that is not among `keys` or takes other values; `penstock check` finds both before.
result<void> store_values(const sink_values& values, std::span<const sink_key> keys,
                          const std::string& sink);

/// The first of the keys that is needed and not set; null if there is none.
const sink_key* missing_key(const sink_values& values, std::span<const sink_key> keys);

} // namespace penstock
