// Characters of protocol text, whatever the locale.
#pragma once

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

} // namespace penstock
