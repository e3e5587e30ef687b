#include "actors/limits/limit_text.hpp"

#include "actors/base/did_you_mean.hpp"
#include "actors/base/units.hpp"
#include "actors/limits/algorithms/algorithms.hpp"
#include "storage/base/json_text.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <optional>

namespace penstock {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds min_window = 1ms;
constexpr std::chrono::milliseconds max_window = 366 * 24h;

std::optional<calendar_unit> find_calendar_unit(const std::string& text) {
  const auto found = std::ranges::find(calendar_unit_names, text);
  if (found == std::end(calendar_unit_names)) return std::nullopt;
  return static_cast<calendar_unit>(found - std::begin(calendar_unit_names));
}

std::int64_t to_ns(std::chrono::milliseconds duration) {
  return std::chrono::nanoseconds{duration}.count();
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

// -- reading JSON ---------------------------------------------------------------------------------

std::string shown(const json::value& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (const auto* text = value.if_string()) return quote({text->data(), text->size()});
  return json::serialize(value);
}

/// One key of a limit, as cli's option table has it for TOML.
struct limit_field {
  std::string key;
  std::string type;
  std::string example;
  std::function<std::string(const json::value&)> set; ///< gives what is wrong, or ""
};

limit_field text_field(std::string key, std::string type, std::string example, std::string& into,
                       std::string (*check)(const std::string&)) {
  return {std::move(key), std::move(type), std::move(example),
          [&into, check](const json::value& value) -> std::string {
            if (!value.is_string()) return shown(value) + " is not a text";
            const std::string text{value.get_string()};
            auto wrong = check(text);
            if (wrong.empty()) into = text;
            return wrong;
          }};
}

limit_field quantity_field(std::string key, std::string example, quantity& into) {
  return {std::move(key), quantity_type(), std::move(example),
          [&into](const json::value& value) -> std::string {
            std::optional<std::uint64_t> units;
            if (value.is_string()) units = parse_size(std::string{value.get_string()});
            boost::system::error_code failed;
            if (value.is_int64() || value.is_uint64()) {
              units = value.to_number<std::uint64_t>(failed);
              if (failed) return shown(value) + " is out of range";
            }
            if (!units) return shown(value) + " is neither a whole number nor a size";
            if (*units == 0 || *units > max_limit_bytes) return shown(value) + " is out of range";
            into = {*units, value.is_string()};
            return {};
          }};
}

limit_field flag_field(std::string key, bool& into) {
  return {std::move(key), "true or false", "true",
          [&into](const json::value& value) -> std::string {
            if (!value.is_bool()) return shown(value) + " is neither true nor false";
            into = value.get_bool();
            return {};
          }};
}

limit_field list_field(std::string key, std::string type, std::string example,
                       std::vector<std::string>& into, std::size_t max,
                       std::string (*check)(const std::string&)) {
  return {std::move(key), std::move(type), std::move(example),
          [&into, max, check](const json::value& value) -> std::string {
            if (!value.is_array()) return shown(value) + " is not a list";
            if (value.get_array().size() > max)
              return fmt::format("{} entries are too many", value.get_array().size());
            into.clear();
            for (const auto& entry : value.get_array()) {
              if (!entry.is_string()) return shown(entry) + " is not a text";
              into.emplace_back(entry.get_string());
              if (auto wrong = check(into.back()); !wrong.empty()) return wrong;
            }
            return {};
          }};
}

template <class T>
limit_field choice_field(std::string key, std::string example, T& into, choices<T> known) {
  std::vector<std::string> names;
  for (const auto& choice : known)
    names.push_back(choice.first);
  auto type = choice_type(names);
  return {std::move(key), std::move(type), std::move(example),
          [&into, known = std::move(known),
           names = std::move(names)](const json::value& value) -> std::string {
            if (!value.is_string()) return shown(value) + " is not a text";
            const std::string text{value.get_string()};
            for (const auto& [name, meaning] : known)
              if (name == text) return into = meaning, std::string{};
            return wrong_choice(text, names, {});
          }};
}

std::string check_name(const std::string& text) {
  return is_name(text) ? "" : quote(text) + " is not a name";
}

std::vector<limit_field> limit_fields(limit_draft& draft) {
  return {
      text_field("name", std::string{name_rule}, "\"daily\"", draft.name, check_name),
      choice_field("algorithm", "\"calendar\"", draft.kind, algorithm_names()),
      quantity_field("amount", "10000", draft.amount),
      text_field("window", window_type(), "\"day\"", draft.window, check_window),
      quantity_field("burst", "40", draft.burst),
      choice_field("scope", "\"key\"", draft.scope, scope_names()),
      choice_field("cost", "\"byte\"", draft.cost, cost_names()),
      flag_field("shadow", draft.shadow),
      list_field("paths", "a list of paths", "[\"/v1/events/errors\"]", draft.paths,
                 max_paths_per_limit, check_path),
      list_field("methods", "a list of methods", "[\"POST\"]", draft.methods, max_methods_per_limit,
                 check_method),
  };
}

error invalid(std::string why) {
  return {errc::invalid, std::move(why)};
}

result<limit> read_limit(const json::value& entry, const std::string& where) {
  if (!entry.is_object()) return invalid(where + ": " + shown(entry) + " is not a limit");
  limit_draft draft;
  const auto fields = limit_fields(draft);
  for (const auto& [raw_key, value] : entry.get_object()) {
    const std::string_view key{raw_key.data(), raw_key.size()};
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [key](const limit_field& f) { return f.key == key; });
    if (field == fields.end()) {
      std::vector<std::string> names;
      for (const auto& known : fields)
        names.push_back(known.key);
      return invalid(where + ": " + unknown_limit_key(key, names));
    }
    if (const auto wrong = field->set(value); !wrong.empty())
      return invalid(fmt::format("{}.{}: {}; write {}, for example {}", where, field->key, wrong,
                                 field->type, field->example));
  }
  if (const auto wrong = check_limit(draft); !wrong.empty()) return invalid(where + ": " + wrong);
  return make_limit(draft);
}

} // namespace

// -- words and checks -----------------------------------------------------------------------------

choices<algorithm> algorithm_names() {
  choices<algorithm> names;
  for (std::size_t number = 0; number < std::size(limit_algorithms); ++number)
    names.emplace_back(limit_algorithms[number]->name, static_cast<algorithm>(number));
  return names;
}

std::string algorithm_summaries() {
  std::vector<std::string> all;
  for (const limit_algorithm* each : limit_algorithms)
    all.push_back(fmt::format("{}: {}.", each->name, each->summary));
  return fmt::format("{}", fmt::join(all, " "));
}

std::string window_text(const limit& rule) {
  return algorithm_of(rule.kind).window_text(rule);
}

std::string window_type() {
  return fmt::format("a duration from {} to {}, or \"hour\", \"day\", \"month\"",
                     format_duration(min_window), format_duration(max_window));
}

std::string check_window(const std::string& text) {
  if (find_calendar_unit(text)) return {};
  const auto duration = parse_duration(text);
  if (!duration) return quote(text) + " is not a window";
  const bool fits = *duration >= min_window && *duration <= max_window;
  return fits ? "" : quote(text) + " is out of range";
}

choices<limit_scope> scope_names() {
  return {{"account", limit_scope::account},
          {"key", limit_scope::key},
          {"stream", limit_scope::stream}};
}

choices<limit_cost> cost_names() {
  return {{"event", limit_cost::event}, {"byte", limit_cost::byte}};
}

std::string quantity_type() {
  return fmt::format("a whole number from 1 to {}, or, of bytes, a size up to {}", max_limit_amount,
                     format_size(max_limit_bytes));
}

std::string check_path(const std::string& text) {
  const bool rooted = text.starts_with('/');
  const bool plain =
      std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  const auto star = text.find('*');
  const bool star_ends = star == std::string::npos || star + 1 == text.size();
  if (!rooted || !plain || text.find('?') != std::string::npos)
    return quote(text) + " is not a path";
  return star_ends ? std::string{} : quote(text) + " has a '*' that does not end it";
}

std::string check_method(const std::string& text) {
  static const std::vector<std::string> known{"GET",   "HEAD",   "POST",   "PUT",
                                              "PATCH", "DELETE", "OPTIONS"};
  if (std::find(known.begin(), known.end(), text) != known.end()) return {};
  return fmt::format("{} is not a method; there are {}", quote(text), fmt::join(known, ", "));
}

// The algorithms that have what `wanted` says: '"gcra"'.
static std::string algorithms_with(bool limit_algorithm::*wanted) {
  std::vector<std::string> names;
  for (const limit_algorithm* each : limit_algorithms)
    if (each->*wanted) names.emplace_back(each->name);
  return choice_type(names);
}

std::string check_limit(const limit_draft& draft) {
  const limit_algorithm& rules = algorithm_of(draft.kind);
  const bool is_unit = find_calendar_unit(draft.window).has_value();
  if (draft.name.empty()) return "the limit has no name; add name = \"...\"";
  if (draft.window.empty())
    return fmt::format("the limit {} has no window; add window = {}", quote(draft.name),
                       rules.takes_calendar_unit ? "\"day\"" : "\"1s\"");
  for (auto wrong :
       {check_quantity(draft, draft.amount, "amount"), check_quantity(draft, draft.burst, "burst")})
    if (!wrong.empty()) return wrong;
  if (auto wrong = rules.check_units(draft); !wrong.empty()) return wrong;
  if (rules.takes_calendar_unit && !is_unit)
    return fmt::format("window = {} does not suit algorithm = \"{}\"; write \"hour\", \"day\" "
                       "or \"month\"",
                       quote(draft.window), rules.name);
  if (!rules.takes_calendar_unit && is_unit)
    return fmt::format("window = {} needs algorithm = {}; for this one write a duration, "
                       "for example \"24h\"",
                       quote(draft.window), algorithms_with(&limit_algorithm::takes_calendar_unit));
  if (draft.burst.units > 0 && !rules.takes_burst)
    return fmt::format("only algorithm = {} has a burst; leave it out",
                       algorithms_with(&limit_algorithm::takes_burst));
  return rules.check_numbers(draft);
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
  if (const auto unit = find_calendar_unit(draft.window)) {
    made.unit = *unit;
  } else {
    made.window_ns = to_ns(*parse_duration(draft.window));
  }
  return made;
}

std::string unknown_limit_key(std::string_view key, const std::vector<std::string>& known) {
  const auto meant = nearest(key, known);
  const auto hint = meant.empty() ? fmt::format("it has {}", fmt::join(known, ", "))
                                  : fmt::format("did you mean {}?", meant);
  return fmt::format("a limit has no key {}; {}", quote(key), hint);
}

// -- lists ----------------------------------------------------------------------------------------

result<std::vector<limit>> parse_limits(const json::value& list) {
  if (!list.is_array())
    return invalid(fmt::format("limits: {} is not a list; write a list of at most {} limits",
                               shown(list), max_limits_per_plan));
  const auto& entries = list.get_array();
  if (entries.size() > max_limits_per_plan)
    return invalid(fmt::format("limits: {} limits are too many; write a list of at most {} limits",
                               entries.size(), max_limits_per_plan));
  std::vector<limit> limits;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto where = fmt::format("limits[{}]", i);
    auto next = read_limit(entries[i], where);
    if (!next) return next.error();
    const bool repeated = std::any_of(limits.begin(), limits.end(),
                                      [&](const limit& l) { return l.name == next->name; });
    if (repeated)
      return invalid(where + ": two limits have the name " + quote(next->name) + "; rename one");
    limits.push_back(std::move(*next));
  }
  return limits;
}

result<std::vector<limit>> parse_limits(std::string_view text) {
  boost::system::error_code failed;
  const auto document = json::parse({text.data(), text.size()}, failed);
  if (failed) return invalid("limits: not JSON: " + failed.message());
  return parse_limits(document);
}

static void append_list(std::string& out, std::string_view key,
                        const std::vector<std::string>& list) {
  if (list.empty()) return;
  out += ",\"";
  out += key;
  out += "\":[";
  for (const auto& text : list) {
    if (&text != list.data()) out += ',';
    append_json_string(out, text);
  }
  out += ']';
}

std::string limits_text(const std::vector<limit>& limits) {
  std::string out = "[";
  for (const auto& rule : limits) {
    if (out.size() > 1) out += ',';
    out += "{\"name\":";
    append_json_string(out, rule.name);
    const limit_algorithm& known = algorithm_of(rule.kind);
    out += fmt::format(",\"algorithm\":\"{}\"", known.name);
    if (known.takes_amount) out += ",\"amount\":" + std::to_string(rule.amount);
    out += ",\"window\":\"" + window_text(rule) + '"';
    if (rule.burst > 0) out += ",\"burst\":" + std::to_string(rule.burst);
    if (rule.scope != limit_scope::account)
      for (const auto& [name, scope] : scope_names())
        if (scope == rule.scope) out += ",\"scope\":\"" + name + '"';
    if (rule.cost == limit_cost::byte) out += ",\"cost\":\"byte\"";
    if (rule.shadow) out += ",\"shadow\":true";
    append_list(out, "paths", rule.paths);
    append_list(out, "methods", rule.methods);
    out += '}';
  }
  return out + ']';
}

} // namespace penstock
