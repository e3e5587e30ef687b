// Characters of protocol text, whatever the locale.
#pragma once

#include <string_view>

namespace penstock {

inline char lower_ascii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

/// The value of a hexadecimal digit, -1 for another character.
inline int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower_ascii(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// RFC 9110's tchar: what names, methods and unquoted values are made of.
inline bool is_token_char(char c) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  const char lower = lower_ascii(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
         marks.find(c) != std::string_view::npos;
}

/// What a field's value or a quoted string may hold: a tab, and all but control bytes.
inline bool is_field_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return c == '\t' || (byte >= 0x20 && byte != 0x7f);
}

} // namespace penstock
