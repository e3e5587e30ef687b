#include "actors/wording.hpp"

#include "actors/nearest.hpp"
#include "storage/api_key.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace penstock {

namespace {

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_made_of(std::string_view text, std::string_view marks, std::size_t max) {
  if (text.empty() || text.size() > max || !is_alphanumeric(text.front())) return false;
  return std::all_of(text.begin(), text.end(),
                     [marks](char c) { return is_alphanumeric(c) || marks.find(c) != marks.npos; });
}

} // namespace

std::string quote(std::string_view text) {
  constexpr std::size_t max_shown = 60;
  std::string out = "\"";
  // Keys first: cutting could leave one too short to be known.
  const std::string safe = hide_keys(text.substr(0, 4 * max_shown));
  for (const char c : std::string_view{safe}.substr(0, max_shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (safe.size() > max_shown ? "…\"" : "\"");
}

bool is_name(std::string_view text) {
  return is_made_of(text, "_-.", 64);
}

bool is_account_name(std::string_view text) {
  return is_made_of(text, "._-@:+", 128);
}

std::string choice_type(const std::vector<std::string>& names) {
  std::string type;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) type += i + 1 == names.size() ? " or " : ", ";
    type += quote(names[i]);
  }
  return type;
}

std::string wrong_choice(const std::string& text, const std::vector<std::string>& names,
                         const std::vector<std::string>& absent) {
  if (std::find(absent.begin(), absent.end(), text) != absent.end())
    return quote(text) + " is not in this version of penstock";
  const auto meant = nearest(text, names);
  const auto wrong = quote(text) + " is not a known value";
  return meant.empty() ? wrong : wrong + " (did you mean " + quote(meant) + "?)";
}

} // namespace penstock
