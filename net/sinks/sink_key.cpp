#include "net/sinks/sink_key.hpp"

#include <algorithm>
#include <type_traits>

namespace penstock {

namespace {

bool store_value(const sink_value& value, const sink_field& field) {
  return std::visit(
      [&](const auto& takes) {
        const auto* fits = std::get_if<std::remove_pointer_t<decltype(takes.to)>>(&value);
        if (fits) *takes.to = *fits;
        return fits != nullptr;
      },
      field);
}

} // namespace

result<void> store_values(const sink_values& values, std::span<const sink_key> keys,
                          const std::string& sink) {
  for (const auto& [name, value] : values) {
    const auto key = std::ranges::find(keys, name, &sink_key::name);
    if (key == keys.end())
      return error{errc::config, "sinks." + sink + '.' + name + ": its kind has no such key"};
    if (!store_value(value, key->field))
      return error{errc::config, "sinks." + sink + '.' + name + ": it takes other values"};
  }
  return {};
}

const sink_key* missing_key(const sink_values& values, std::span<const sink_key> keys) {
  const auto is_missing = [&](const sink_key& key) {
    return key.is_needed && !values.contains(key.name);
  };
  const auto found = std::ranges::find_if(keys, is_missing);
  return found == keys.end() ? nullptr : &*found;
}

} // namespace penstock
