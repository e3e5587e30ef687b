#include "storage/base/number_file.hpp"

#include "storage/base/checksum.hpp"
#include "storage/base/files.hpp"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

namespace penstock {

namespace {

constexpr std::size_t checked_digits = 16, check_letters = 4, unchecked_digits = 20;
static_assert(checked_digits + check_letters == unchecked_digits);

std::string padded(std::uint64_t value, std::size_t digits) {
  auto text = std::to_string(value);
  text.insert(0, digits - std::min(digits, text.size()), '0');
  return text;
}

std::optional<std::uint64_t> whole_number(std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (fault != std::errc{} || end != digits.data() + digits.size()) return {};
  return value;
}

} // namespace

result<std::optional<stored_number>> read_number(const std::filesystem::path& file) {
  const auto stored = read_file(file);
  if (!stored) return stored.error();
  std::optional<stored_number> none;
  const std::string_view text{*stored};
  if (text.size() != unchecked_digits + 1 || text.back() != '\n') return none;
  if (const auto value = whole_number(text.substr(0, unchecked_digits)))
    return std::optional{stored_number{*value, false}};
  const auto digits = text.substr(0, checked_digits);
  const auto value = whole_number(digits);
  if (!value ||
      text.substr(checked_digits, check_letters) != checksum_letters(digits, check_letters))
    return none;
  return std::optional{stored_number{*value, true}};
}

result<void> write_number(const std::filesystem::path& file, std::uint64_t value) {
  auto text = padded(value, value < numbers_with_checksum ? checked_digits : unchecked_digits);
  if (value < numbers_with_checksum) text += checksum_letters(text, check_letters);
  text += '\n';
  return file_bytes(file) == text.size() ? overwrite_file(file, text) : write_file(file, text);
}

} // namespace penstock
