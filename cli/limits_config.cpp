#include "cli/limits_config.hpp"

#include "cli/nearest.hpp"
#include "cli/options.hpp"
#include "cli/units.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

namespace penstock {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds min_window = 1ms;
constexpr std::chrono::milliseconds max_window = 366 * 24h;

const choices<calendar_unit>& calendar_names() {
  static const choices<calendar_unit> names{
      {"hour", calendar_unit::hour}, {"day", calendar_unit::day}, {"month", calendar_unit::month}};
  return names;
}

const calendar_unit* find_calendar_unit(const std::string& text) {
  for (const auto& [name, unit] : calendar_names())
    if (name == text) return &unit;
  return nullptr;
}

std::int64_t to_ns(std::chrono::milliseconds duration) {
  return std::chrono::nanoseconds{duration}.count();
}

std::string_view unit_of(const limit_draft& draft) {
  return draft.cost == limit_cost::byte ? "byte" : "event";
}

std::string written(const quantity& q) {
  return q.is_size ? quote(format_size(q.units)) : std::to_string(q.units);
}

// An amount or burst against what it counts; `key` is its name.
std::string check_quantity(const limit_draft& draft, const quantity& q, std::string_view key) {
  if (draft.cost == limit_cost::byte) return {};
  if (q.is_size)
    return fmt::format("{} = {} is a size, and this limit counts events; add cost = \"byte\" or "
                       "write a number",
                       key, written(q));
  if (q.units > max_limit_amount)
    return fmt::format("{} = {} is out of range; write at most {}", key, q.units, max_limit_amount);
  return {};
}

// gcra counts in nanoseconds: one event's share of the window must be at least one, and a whole
// burst's must be far from the end of 64 bits.
std::string check_gcra(const limit_draft& draft, std::int64_t window_ns) {
  const auto amount = static_cast<std::int64_t>(draft.amount.units);
  const auto burst = static_cast<std::int64_t>(draft.burst.units);
  if (amount > window_ns)
    return fmt::format("amount = {} in {} is more than one {} a nanosecond; take a longer window",
                       written(draft.amount), draft.window, unit_of(draft));
  constexpr std::int64_t max_full_ns = std::numeric_limits<std::int64_t>::max() / 8;
  const std::int64_t interval_ns = window_ns / amount + 1;
  if (burst > max_full_ns / interval_ns)
    return fmt::format("burst = {} would take more than 36 years to come back; take a smaller one",
                       written(draft.burst));
  return {};
}

std::string unknown_limit_key(std::string_view key, const std::vector<std::string>& known) {
  const auto meant = nearest(key, known);
  const auto hint = meant.empty() ? fmt::format("it has {}", fmt::join(known, ", "))
                                  : fmt::format("did you mean {}?", meant);
  return fmt::format("a limit has no key {}; {}", quote(key), hint);
}

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

choices<algorithm> algorithm_names() {
  return {{"gcra", algorithm::gcra},
          {"fixed_window", algorithm::fixed_window},
          {"sliding_window", algorithm::sliding_window},
          {"interval", algorithm::interval},
          {"calendar", algorithm::calendar}};
}

reader read_window(limit_draft& draft) {
  return read_text(draft.window,
                   fmt::format("a duration from {} to {}, or \"hour\", \"day\", \"month\"",
                               format_duration(min_window), format_duration(max_window)),
                   [](const std::string& text) -> std::string {
                     if (find_calendar_unit(text)) return {};
                     const auto duration = parse_duration(text);
                     if (!duration) return quote(text) + " is not a window";
                     const bool fits = *duration >= min_window && *duration <= max_window;
                     return fits ? "" : quote(text) + " is out of range";
                   });
}

reader read_quantity(quantity& field) {
  auto set = [&field](const toml::node& value, const reporter& report) {
    const auto* text = value.as_string();
    const auto* number = value.as_integer();
    std::optional<std::uint64_t> units;
    if (text) units = parse_size(text->get());
    if (number && number->get() >= 0) units = static_cast<std::uint64_t>(number->get());
    if (!units) return report(value, shown(value) + " is neither a whole number nor a size");
    if (*units == 0 || *units > max_limit_bytes)
      return report(value, shown(value) + " is out of range");
    field = {*units, text != nullptr};
  };
  return {value_kind::number,
          fmt::format("a whole number from 1 to {}, or, of bytes, a size up to {}",
                      max_limit_amount, format_size(max_limit_bytes)),
          std::move(set)};
}

reader read_paths(std::vector<std::string>& field) {
  return read_list(field, "a list of paths", max_paths_per_limit, [](const std::string& text) {
    const bool rooted = text.starts_with('/');
    const bool plain = std::all_of(text.begin(), text.end(),
                                   [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    const auto star = text.find('*');
    const bool star_ends = star == std::string::npos || star + 1 == text.size();
    if (!rooted || !plain || text.find('?') != std::string::npos)
      return quote(text) + " is not a path";
    return star_ends ? std::string{} : quote(text) + " has a '*' that does not end it";
  });
}

reader read_methods(std::vector<std::string>& field) {
  static const std::vector<std::string> known{"GET",   "HEAD",   "POST",   "PUT",
                                              "PATCH", "DELETE", "OPTIONS"};
  return read_list(field, "a list of methods", known.size(), [](const std::string& text) {
    if (std::find(known.begin(), known.end(), text) != known.end()) return std::string{};
    return fmt::format("{} is not a method; there are {}", quote(text), fmt::join(known, ", "));
  });
}

std::string check_limit(const limit_draft& draft) {
  const bool calendar = draft.kind == algorithm::calendar;
  const bool unit = find_calendar_unit(draft.window) != nullptr;
  const auto amount = draft.amount.units;
  if (draft.name.empty()) return "the limit has no name; add name = \"...\"";
  if (draft.window.empty())
    return fmt::format("the limit {} has no window; add window = {}", quote(draft.name),
                       calendar ? "\"day\"" : "\"1s\"");
  for (auto wrong : {check_quantity(draft, draft.amount, "amount"),
                     check_quantity(draft, draft.burst, "burst")})
    if (!wrong.empty()) return wrong;
  if (draft.kind == algorithm::interval && draft.cost == limit_cost::byte)
    return "an interval lies between events and counts no bytes; leave cost out, or take "
           "algorithm = \"gcra\"";
  if (amount == 0 && draft.kind != algorithm::interval)
    return fmt::format("the limit {} has no amount; add amount = {}", quote(draft.name),
                       draft.cost == limit_cost::byte ? "\"10MiB\"" : "100");
  if (amount > 1 && draft.kind == algorithm::interval)
    return "an interval admits one event per window; leave amount out or write amount = 1";
  if (calendar && !unit)
    return fmt::format(
        "window = {} does not suit algorithm = \"calendar\"; write \"hour\", \"day\" "
        "or \"month\"",
        quote(draft.window));
  if (!calendar && unit)
    return fmt::format("window = {} needs algorithm = \"calendar\"; for this one write a duration, "
                       "for example \"24h\"",
                       quote(draft.window));
  if (draft.burst.units > 0 && draft.kind != algorithm::gcra)
    return "only algorithm = \"gcra\" has a burst; leave it out";
  if (draft.kind == algorithm::gcra) return check_gcra(draft, to_ns(*parse_duration(draft.window)));
  return {};
}

limit make_limit(const limit_draft& draft) {
  limit made;
  made.name = draft.name;
  made.kind = draft.kind;
  const auto fitted = [](const quantity& q) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(q.units, UINT32_MAX));
  };
  made.amount = std::max(fitted(draft.amount), 1u);
  made.burst = fitted(draft.burst);
  made.scope = draft.scope;
  made.cost = draft.cost;
  made.shadow = draft.shadow;
  made.paths = draft.paths;
  made.methods = draft.methods;
  if (const auto* unit = find_calendar_unit(draft.window)) {
    made.unit = *unit;
  } else {
    made.window_ns = to_ns(*parse_duration(draft.window));
  }
  return made;
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
