#include "actors/base/error_text.hpp"

#include "actors/base/did_you_mean.hpp"
#include "storage/stores/api_key.hpp"

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

// How many bytes the character takes that begins here, if a terminal obeys it rather than shows it:
// control characters, and those that turn the direction of what follows. Else 0.
std::size_t control_size(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  if (byte(0) == 0xc2 && byte(1) >= 0x80 && byte(1) < 0xa0) return 2;
  if (byte(0) != 0xe2) return 0;
  const bool turns = (byte(1) == 0x80 && (byte(2) == 0x8e || byte(2) == 0x8f)) ||
                     (byte(1) == 0x80 && byte(2) >= 0xaa && byte(2) <= 0xae) ||
                     (byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9);
  return turns ? 3 : 0;
}

} // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto masked = control_size(text);
    for (const char c : text.substr(0, masked))
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    if (masked == 0) out += text.front();
    text.remove_prefix(std::max<std::size_t>(masked, 1));
  }
  return out;
}

std::string quote(std::string_view text) {
  constexpr std::size_t max_shown = 60;
  // Keys first: cutting could leave one too short to be known.
  const std::string safe = hide_keys(text.substr(0, 4 * max_shown));
  return '"' + printable(std::string_view{safe}.substr(0, max_shown)) +
         (safe.size() > max_shown ? "…\"" : "\"");
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
