#include "storage/events/event_id.hpp"

#include <array>
#include <cstring>

namespace penstock {

namespace {

constexpr std::size_t seq_digits = 16;
constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::string_view tag_alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/// The two digits of every byte: eight look-ups an id instead of sixteen shifts and masks.
constexpr auto hex_pairs = [] {
  std::array<char, 512> pairs{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    pairs[2 * byte] = hex_digits[byte >> 4];
    pairs[2 * byte + 1] = hex_digits[byte & 15];
  }
  return pairs;
}();

} // namespace

char* format_event_id(char* out, std::uint64_t seq, std::string_view tag) {
  for (std::size_t i = 0; i < 8; ++i) {
    const auto byte = static_cast<std::size_t>(seq >> (56 - 8 * i)) & 0xff;
    std::memcpy(out + 2 * i, &hex_pairs[2 * byte], 2);
  }
  out[seq_digits] = '-';
  std::memcpy(out + seq_digits + 1, tag.data(), journal_tag_size);
  return out + event_id_size;
}

std::string event_id(std::uint64_t seq, std::string_view tag) {
  std::string id(event_id_size, '\0');
  format_event_id(id.data(), seq, tag);
  return id;
}

std::optional<parsed_event_id> parse_event_id(std::string_view text) {
  if (text.size() != event_id_size || text[seq_digits] != '-') return std::nullopt;
  std::uint64_t seq = 0;
  for (const char digit : text.substr(0, seq_digits)) {
    const auto value = hex_digits.find(digit);
    if (value == std::string_view::npos) return std::nullopt;
    seq = seq << 4 | value;
  }
  const auto tag = text.substr(seq_digits + 1);
  if (tag.find_first_not_of(tag_alphabet) != std::string_view::npos) return std::nullopt;
  return parsed_event_id{seq, tag};
}

} // namespace penstock
