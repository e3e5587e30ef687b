#include "cli/config/limits_config.hpp"

#include "actors/base/units.hpp"
#include "cli/config/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace penstock {
namespace {

// One entry of the list, or nothing when something is wrong with it, which is then told.
std::optional<limit> read_limit(const toml::table& entry, const reporter& report) {
  limit_draft draft;
  const auto rows = limit_options(draft);
  std::vector<std::string> names;
  for (const auto& row : rows)
    names.push_back(row.key.substr(row.key.find('.') + 1));
  const auto told_before = report.problems->size();
  for (const auto& [key, value] : entry) {
    const auto name = std::find(names.begin(), names.end(), key.str());
    if (name == names.end()) {
      report.plain(value, unknown_limit_key(key.str(), names));
      continue;
    }
    const auto& row = rows[static_cast<std::size_t>(name - names.begin())];
    auto below = report;
    below.key += '.' + *name;
    below.type = row.read.type;
    below.example = as_toml(row, row.example);
    row.read.set(value, below);
  }
  if (report.problems->size() != told_before) return std::nullopt;
  const auto wrong = check_limit(draft);
  if (wrong.empty()) return make_limit(draft);
  report.plain(entry, wrong);
  return std::nullopt;
}

} // namespace

reader read_window(limit_draft& draft) {
  return read_text(draft.window, window_type(), check_window);
}

reader read_quantity(quantity& field) {
  auto set = [&field](const toml::node& value, const reporter& report) {
    const auto* text = value.as_string();
    const auto* number = value.as_integer();
    std::optional<std::uint64_t> units;
    if (text) units = parse_size(text->get());
    if (number && number->get() < 0) return report(value, shown(value) + " is out of range");
    if (number) units = static_cast<std::uint64_t>(number->get());
    if (!units) return report(value, shown(value) + " is neither a whole number nor a size");
    if (*units == 0 || *units > max_limit_bytes)
      return report(value, shown(value) + " is out of range");
    field = {*units, text != nullptr};
  };
  return {value_kind::number, quantity_type(), std::move(set)};
}

reader read_paths(std::vector<std::string>& field) {
  return read_list(field, "a list of paths", max_paths_per_limit, check_path);
}

reader read_methods(std::vector<std::string>& field) {
  return read_list(field, "a list of methods", max_methods_per_limit, check_method);
}

reader read_limits(std::vector<limit>& field) {
  auto set = [&field](const toml::node& value, const reporter& report) {
    const auto* array = value.as_array();
    if (!array) return report(value, shown(value) + " is not a list");
    if (array->size() > max_limits_per_plan)
      return report(value, fmt::format("{} limits are too many", array->size()));
    std::vector<limit> limits;
    for (std::size_t i = 0; i < array->size(); ++i) {
      auto below = report;
      below.key += fmt::format("[{}]", i);
      const auto& element = (*array)[i];
      const auto* entry = element.as_table();
      if (!entry) {
        below(element, shown(element) + " is not a limit");
        continue;
      }
      auto next = read_limit(*entry, below);
      if (!next) continue;
      const bool repeated = std::any_of(limits.begin(), limits.end(),
                                        [&](const limit& l) { return l.name == next->name; });
      if (repeated) {
        below.plain(element, "two limits have the name " + quote(next->name) + "; rename one");
      } else {
        limits.push_back(std::move(*next));
      }
    }
    if (limits.size() == array->size()) field = std::move(limits);
  };
  return {value_kind::tables, fmt::format("a list of at most {} limits", max_limits_per_plan),
          std::move(set)};
}

} // namespace penstock
