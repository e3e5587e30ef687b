#include "net/sinks/sink_kinds.hpp"

#include <algorithm>

// A line a kind. Its folder defines `sink_kind NAME_kind()`, and has all that is known of it.
#define PENSTOCK_SINK_KINDS(KIND)                                                                  \
  KIND(nats)                                                                                       \
  KIND(kafka)                                                                                      \
  KIND(kinesis)                                                                                    \
  KIND(sqs)                                                                                        \
  KIND(redis)                                                                                      \
  KIND(http)

namespace penstock {

#define PENSTOCK_DECLARE_KIND(name) sink_kind name##_kind();
PENSTOCK_SINK_KINDS(PENSTOCK_DECLARE_KIND)

namespace {

std::vector<sink_key> merged_sink_keys() {
  std::vector<sink_key> merged;
  for (const auto& kind : all_sink_kinds())
    for (const auto& key : kind.keys) {
      const auto known = std::ranges::find(merged, key.name, &sink_key::name);
      if (known == merged.end())
        merged.push_back(key);
      else if (known->help.find(key.help) == std::string::npos)
        known->help += ' ' + key.help;
    }
  std::ranges::stable_sort(merged, {}, &sink_key::part);
  return merged;
}

} // namespace

const std::vector<sink_kind>& all_sink_kinds() {
#define PENSTOCK_MAKE_KIND(name) name##_kind(),
  static const std::vector<sink_kind> kinds{PENSTOCK_SINK_KINDS(PENSTOCK_MAKE_KIND)};
  return kinds;
}

const sink_kind* find_sink_kind(std::string_view name) {
  const auto& kinds = all_sink_kinds();
  const auto found = std::ranges::find(kinds, name, &sink_kind::name);
  return found == kinds.end() ? nullptr : &*found;
}

const std::vector<sink_key>& all_sink_keys() {
  static const auto keys = merged_sink_keys();
  return keys;
}

result<std::shared_ptr<sink>> make_sink(const sink_settings& settings, sink_context context) {
  const auto* kind = find_sink_kind(settings.kind);
  if (!kind)
    return error{errc::config,
                 "sinks." + context.name + ".kind: there is no '" + settings.kind + "'"};
  context.source = settings.source;
  return kind->make(settings.values, context);
}

} // namespace penstock
