#include "net/directory/directory_names.hpp"

#include "net/base/ascii.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

namespace penstock {

namespace {

bool is_plain_in_key(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

} // namespace

std::string directory_bucket(std::string_view cluster, std::string_view what) {
  std::string name{cluster};
  if (name.find('.') != name.npos) {
    std::replace(name.begin(), name.end(), '.', '-');
    name += fmt::format("-x{:016x}", XXH3_64bits(cluster.data(), cluster.size()));
  }
  return fmt::format("penstock_{}_{}", name, what);
}

std::string encode_directory_key(std::string_view text) {
  std::string key;
  if (text.size() > max_directory_key_bytes) return key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dot_alone =
        text[i] == '.' && i > 0 && text[i - 1] != '.' && i + 1 < text.size() && text[i + 1] != '.';
    if (is_plain_in_key(text[i]) || dot_alone)
      key += text[i];
    else
      key += fmt::format("={:02X}", static_cast<unsigned char>(text[i]));
  }
  return key;
}

std::optional<std::string> decode_directory_key(std::string_view key) {
  if (key.empty() || key.size() > 3 * max_directory_key_bytes) return std::nullopt;
  std::string text;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] != '=') {
      text += key[i];
      continue;
    }
    if (i + 2 >= key.size()) return std::nullopt;
    const int high = hex_digit(key[i + 1]), low = hex_digit(key[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    text += static_cast<char>(16 * high + low);
    i += 2;
  }
  if (encode_directory_key(text) != key) return std::nullopt; // one text has one key
  return text;
}

} // namespace penstock
