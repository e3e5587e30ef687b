#include "cli/config/readers.hpp"

#include "actors/base/units.hpp"
#include "cli/config/address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace penstock {
namespace {

constexpr std::string_view size_rule =
    "a whole number and one of B, kB, MB, GB, TB, KiB, MiB, GiB, TiB";
constexpr std::string_view duration_rule = "a whole number and one of ms, s, m, h, d";

std::string out_of_range(const toml::node& value) {
  return shown(value) + " is out of range";
}

template <class Number>
reader read_whole_number(Number& field, std::uint64_t min, std::uint64_t max) {
  auto set = [&field, min, max](const toml::node& value, const reporter& report) {
    const auto* number = value.as_integer();
    if (!number) return report(value, shown(value) + " is not a whole number");
    const auto n = number->get();
    if (n < 0 || static_cast<std::uint64_t>(n) < min || static_cast<std::uint64_t>(n) > max)
      return report(value, out_of_range(value));
    field = static_cast<Number>(n);
  };
  return {value_kind::number, fmt::format("a whole number from {} to {}", min, max),
          std::move(set)};
}

std::optional<std::uint64_t> as_size(const toml::node& value) {
  // A text that is just digits is how --set and the environment write a number.
  if (const auto* text = value.as_string())
    return text->get().find_first_not_of("0123456789") == std::string::npos
               ? parse_size(text->get() + "B")
               : parse_size(text->get());
  const auto* number = value.as_integer();
  if (!number || number->get() < 0) return std::nullopt;
  return static_cast<std::uint64_t>(number->get());
}

} // namespace

reader read_text(std::string& field, std::string type, text_check check) {
  auto set = [&field, check = std::move(check)](const toml::node& value, const reporter& report) {
    const auto* text = value.as_string();
    if (!text) return report(value, shown(value) + " is not a text");
    const auto wrong = check(text->get());
    if (!wrong.empty()) return report(value, wrong);
    field = text->get();
  };
  return {value_kind::text, std::move(type), std::move(set)};
}

reader read_secret(std::string& field, std::size_t min_chars) {
  auto set = [&field, min_chars](const toml::node& value, const reporter& report) {
    const auto* text = value.as_string();
    if (!text) return report(value, "the value is not a text");
    const auto& secret = text->get();
    if (!secret.empty() && secret.size() < min_chars)
      return report(value, "the value is too short");
    const bool printable = std::all_of(secret.begin(), secret.end(),
                                       [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (!printable) return report(value, "the value has a character other than visible ASCII");
    field = secret;
  };
  return {value_kind::text,
          fmt::format("empty, or at least {} visible ASCII characters", min_chars), std::move(set)};
}

reader read_name(std::string& field) {
  return read_text(field, std::string{name_rule}, [](const std::string& text) {
    return is_name(text) ? "" : quote(text) + " is not a name";
  });
}

reader read_address(std::string& field) {
  return read_text(field, "an IP address and a port", [](const std::string& text) {
    return parse_host_port(text) ? "" : quote(text) + " is not an IP address and a port";
  });
}

reader read_number(std::uint32_t& field, std::uint64_t min, std::uint64_t max) {
  return read_whole_number(field, min, max);
}

reader read_number(std::uint64_t& field, std::uint64_t min, std::uint64_t max) {
  return read_whole_number(field, min, max);
}

reader read_size(std::uint64_t& field, std::uint64_t min, std::uint64_t max) {
  auto set = [&field, min, max](const toml::node& value, const reporter& report) {
    const auto bytes = as_size(value);
    if (!bytes) return report(value, fmt::format("{} is not {}", shown(value), size_rule));
    if (*bytes < min || *bytes > max) return report(value, out_of_range(value));
    field = *bytes;
  };
  return {value_kind::text, fmt::format("a size from {} to {}", format_size(min), format_size(max)),
          std::move(set)};
}

reader read_size_or_zero(std::uint64_t& field, std::uint64_t min, std::uint64_t max) {
  auto out = read_size(field, min, max);
  out.type = "0B, or " + out.type;
  out.set = [&field, in_range = std::move(out.set)](const toml::node& value,
                                                    const reporter& report) {
    if (as_size(value) == 0) return void(field = 0);
    in_range(value, report);
  };
  return out;
}

reader read_duration(std::chrono::milliseconds& field, std::chrono::milliseconds min,
                     std::chrono::milliseconds max) {
  auto set = [&field, min, max](const toml::node& value, const reporter& report) {
    const auto* text = value.as_string();
    const auto duration = text ? parse_duration(text->get()) : std::nullopt;
    if (!duration) return report(value, fmt::format("{} is not {}", shown(value), duration_rule));
    if (*duration < min || *duration > max) return report(value, out_of_range(value));
    field = *duration;
  };
  return {value_kind::text,
          fmt::format("a duration from {} to {}", format_duration(min), format_duration(max)),
          std::move(set)};
}

reader read_list(std::vector<std::string>& field, std::string type, std::size_t max_items,
                 text_check check) {
  auto set = [&field, max_items, check = std::move(check)](const toml::node& value,
                                                           const reporter& report) {
    const auto* array = value.as_array();
    if (!array) return report(value, shown(value) + " is not a list");
    if (array->size() > max_items)
      return report(value, fmt::format("{} items are more than {}", array->size(), max_items));
    std::vector<std::string> items;
    bool ok = true;
    for (const auto& element : *array) {
      const auto* text = element.as_string();
      auto wrong = text ? check(text->get()) : shown(element) + " is not a text";
      if (text && wrong.empty() &&
          std::find(items.begin(), items.end(), text->get()) != items.end())
        wrong = shown(element) + " is in the list twice";
      if (!wrong.empty()) {
        report(element, wrong);
        ok = false;
      } else {
        items.push_back(text->get());
      }
    }
    if (ok) field = std::move(items);
  };
  return {value_kind::list, std::move(type), std::move(set)};
}

reader read_flag(bool& field) {
  auto set = [&field](const toml::node& value, const reporter& report) {
    const auto* flag = value.as_boolean();
    if (!flag) return report(value, shown(value) + " is neither true nor false");
    field = flag->get();
  };
  return {value_kind::number, "true or false", std::move(set)};
}

} // namespace penstock
