#include "cli/config/extension_options.hpp"

namespace penstock {

namespace {

reader reader_of(const extension_key& key, extension_value& target) {
  using type = extension_key::type;
  const auto as_ms = [](std::uint64_t n) {
    return std::chrono::milliseconds{static_cast<std::int64_t>(n)};
  };
  switch (key.is) {
  case type::number:
    return read_number(target.number, key.min, key.max);
  case type::size:
    return read_size(target.number, key.min, key.max);
  case type::duration:
    return read_duration(target.duration_ms, as_ms(key.min), as_ms(key.max));
  case type::flag:
    return read_flag(target.flag);
  case type::text:
    break;
  }
  return read_text(target.text, "a text", [](const std::string&) { return std::string{}; });
}

} // namespace

std::vector<option> extension_options(std::map<std::string, extension_values>& target,
                                      const std::vector<extension>& all) {
  std::vector<option> rows;
  for (const auto& each : all) {
    auto& values = target[each.name];
    for (const auto& key : each.keys)
      rows.push_back({"extensions." + each.name + '.' + key.name, reader_of(key, values[key.name]),
                      key.fallback, key.example, key.help});
  }
  return rows;
}

std::string extensions_help(const std::vector<extension>& all) {
  std::string text = "What this build has beside what every node has.";
  for (const auto& each : all)
    text += " `[extensions." + each.name + "]`: " + each.help;
  return text;
}

} // namespace penstock
