// Readers: each checks a TOML value and stores it in a field. The option table is made of them.
#pragma once

#include "cli/base/problems.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// How text from the environment or --set turns into a value.
enum class value_kind : std::uint8_t {
  text,   ///< as it is; quotes are optional
  number, ///< a whole number
  list,   ///< TOML in brackets, or texts with commas between
  tables, ///< TOML only
};

/// Stores a value that passes its check; tells the reporter of one that does not, and then leaves
/// the field alone. Holds a reference to the field.
struct reader {
  value_kind kind = value_kind::text;
  std::string type; ///< in words, with the range: "a size from 1B to 1GiB"
  std::function<void(const toml::node&, const reporter&)> set;
};

/// Says what is wrong with a text and what would do; empty when nothing is.
using text_check = std::function<std::string(const std::string&)>;

reader read_text(std::string& field, std::string type, text_check check);
/// The same, but an error never repeats the value.
reader read_secret(std::string& field, std::size_t min_chars);
/// Letters, digits, '_', '-' and '.', at most 64, beginning with a letter or digit.
reader read_name(std::string& field);
/// An IP address and a port.
reader read_address(std::string& field);
reader read_number(std::uint32_t& field, std::uint64_t min, std::uint64_t max);
reader read_number(std::uint64_t& field, std::uint64_t min, std::uint64_t max);
/// A whole number is taken as bytes.
reader read_size(std::uint64_t& field, std::uint64_t min, std::uint64_t max);
/// The same, or 0.
reader read_size_or_zero(std::uint64_t& field, std::uint64_t min, std::uint64_t max);
reader read_duration(std::chrono::milliseconds& field, std::chrono::milliseconds min,
                     std::chrono::milliseconds max);
/// Texts without repeats, each of which passes the check.
reader read_list(std::vector<std::string>& field, std::string type, std::size_t max_items,
                 text_check check);
/// true or false.
reader read_flag(bool& field);

/// One of the named values. `absent` names those that the contract knows and this version has not.
template <class T>
reader read_choice(T& field, choices<T> known, std::vector<std::string> absent = {}) {
  std::vector<std::string> names;
  for (const auto& choice : known)
    names.push_back(choice.first);
  auto type = choice_type(names);
  auto set = [&field, known = std::move(known), names = std::move(names),
              absent = std::move(absent)](const toml::node& value, const reporter& report) {
    const auto* text = value.as_string();
    if (!text) return report(value, shown(value) + " is not a text");
    for (const auto& [name, meaning] : known)
      if (name == text->get()) return void(field = meaning);
    report(value, wrong_choice(text->get(), names, absent));
  };
  return {value_kind::text, std::move(type), std::move(set)};
}

} // namespace penstock
