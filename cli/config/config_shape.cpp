#include "cli/config/config_shape.hpp"

#include "actors/base/did_you_mean.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace penstock {
namespace {

std::string_view section_of(std::string_view key) {
  return key.substr(0, key.find('.'));
}

// The text between a pattern's head and tail, "streams." and ".ack" say, if `text` has both.
std::optional<std::string_view> between(std::string_view text, std::string_view head,
                                        std::string_view tail) {
  if (text.size() <= head.size() + tail.size()) return std::nullopt;
  if (!text.starts_with(head) || !text.ends_with(tail)) return std::nullopt;
  return text.substr(head.size(), text.size() - head.size() - tail.size());
}

// Matches against a row's key, or its variable, in which the name's slot is written NAME too.
std::optional<std::string_view> match_named(std::string_view text, std::string_view pattern) {
  const auto slot = pattern.find(name_slot);
  return between(text, pattern.substr(0, slot), pattern.substr(slot + name_slot.size()));
}

} // namespace

config_shape::config_shape(const std::vector<extension>& extra)
    : rows_(node_options(scratch_, extra)) {
  for (auto more : {plan_options(plan_), stream_options(stream_), sink_options(sink_),
                    override_options(override_)})
    std::move(more.begin(), more.end(), std::back_inserter(rows_));
}

const config_shape& config_shape::get() {
  static const config_shape shape{extensions()};
  return shape;
}

bool config_shape::is_named(std::string_view section) {
  return section == "plans" || section == "streams" || section == "sinks" || section == "overrides";
}

bool config_shape::is_section(std::string_view section) const {
  const auto all = sections();
  return std::find(all.begin(), all.end(), section) != all.end();
}

bool config_shape::is_table(std::string_view key) const {
  return std::any_of(rows_.begin(), rows_.end(), [key](const option& row) {
    return row.key.size() > key.size() && row.key.starts_with(key) && row.key[key.size()] == '.';
  });
}

std::vector<std::string> config_shape::sections() const {
  std::vector<std::string> names;
  for (const auto& row : rows_)
    if (names.empty() || names.back() != section_of(row.key))
      names.emplace_back(section_of(row.key));
  return names;
}

std::optional<key_meaning> config_shape::find(std::string_view key) const {
  const bool named = is_named(section_of(key));
  for (const auto& row : rows_) {
    if (!named && row.key == key) return key_meaning{&row, ""};
    if (!named || !is_named(section_of(row.key))) continue;
    if (const auto name = match_named(key, row.key)) return key_meaning{&row, std::string{*name}};
  }
  return std::nullopt;
}

std::optional<key_meaning> config_shape::find_environment(std::string_view variable) const {
  for (const auto& row : rows_) {
    const auto pattern = environment_name(row.key);
    if (pattern == variable) return key_meaning{&row, ""};
    if (!is_named(section_of(row.key))) continue;
    const auto match = match_named(variable, pattern);
    if (!match) continue;
    std::string name{*match};
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return key_meaning{&row, std::move(name)};
  }
  return std::nullopt;
}

std::string config_shape::hint(std::string_view key) const {
  const auto section = section_of(key);
  const auto last = key.rfind('.');
  // In a named table only the last part can be wrong: the name before it is the user's own.
  const bool named = is_named(section) && last != key.npos && last > section.size();
  const auto name = named ? key.substr(section.size() + 1, last - section.size() - 1) : "";
  std::vector<std::string> all, same_section;
  for (const auto& row : rows_) {
    if (section_of(row.key) == section) {
      all.push_back(named ? fill_name(row.key, name) : row.key);
      same_section.push_back(all.back().substr(all.back().rfind('.') + 1));
    } else if (!named) {
      all.push_back(row.key);
    }
  }
  // Within its section the last part alone counts, so that a long section's name hides nothing.
  const auto meant = nearest(key.substr(last + 1), same_section);
  if (!meant.empty()) return fmt::format("; did you mean {}.{}?", key.substr(0, last), meant);
  const auto elsewhere = nearest(key, all);
  if (!elsewhere.empty()) return fmt::format("; did you mean {}?", elsewhere);
  if (same_section.empty()) return fmt::format("; there are {}", fmt::join(sections(), ", "));
  return fmt::format("; {} has {}", section, fmt::join(same_section, ", "));
}

std::string fill_name(std::string_view row_key, std::string_view name) {
  const auto slot = row_key.find(name_slot);
  if (slot == row_key.npos) return std::string{row_key};
  return fmt::format("{}{}{}", row_key.substr(0, slot), name,
                     row_key.substr(slot + name_slot.size()));
}

} // namespace penstock
