#include "net/http/chunk_extension.hpp"

#include "net/base/ascii.hpp"

#include <algorithm>

namespace penstock {

bool chunk_extension_scanner::put(char c) {
  switch (at_) {
  case place::name:
    if (is_token_char(c)) return true;
    break;
  case place::value:
    if (is_token_char(c)) return true;
    break;
  case place::quoted:
    if (c == '"')
      at_ = place::start;
    else if (c == '\\')
      at_ = place::escaped;
    else
      return is_field_char(c);
    return true;
  case place::escaped:
    at_ = place::quoted;
    return is_field_char(c);
  default:
    break;
  }
  return put_between(c);
}

// Outside names, values and quotes, or right behind one.
bool chunk_extension_scanner::put_between(char c) {
  const bool is_space = c == ' ' || c == '\t';
  const bool named = at_ == place::name || at_ == place::after_name;
  switch (at_) {
  case place::before_name:
    if (!is_space && !is_token_char(c)) return false;
    if (!is_space) at_ = place::name;
    return true;
  case place::before_value:
    if (!is_space && c != '"' && !is_token_char(c)) return false;
    if (!is_space) at_ = c == '"' ? place::quoted : place::value;
    return true;
  default:
    if (c == ';')
      at_ = place::before_name;
    else if (c == '=' && named)
      at_ = place::before_value;
    else if (is_space)
      at_ = named ? place::after_name : place::space;
    else
      return false;
    return true;
  }
}

bool chunk_extension_scanner::may_end() const {
  return at_ == place::start || at_ == place::name || at_ == place::value;
}

bool is_chunk_extension(std::string_view text) {
  chunk_extension_scanner scanner;
  return std::all_of(text.begin(), text.end(), [&](char c) { return scanner.put(c); }) &&
         scanner.may_end();
}

} // namespace penstock
