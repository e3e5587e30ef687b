#include "actors/base/units.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace penstock {
namespace {

struct unit {
  std::string_view name;
  std::uint64_t factor;
};

constexpr std::array size_units{
    unit{"B", 1},
    unit{"kB", 1'000},
    unit{"MB", 1'000'000},
    unit{"GB", 1'000'000'000},
    unit{"TB", 1'000'000'000'000},
    unit{"KiB", 1ull << 10},
    unit{"MiB", 1ull << 20},
    unit{"GiB", 1ull << 30},
    unit{"TiB", 1ull << 40},
};

constexpr std::array duration_units{
    unit{"ms", 1}, unit{"s", 1'000}, unit{"m", 60'000}, unit{"h", 3'600'000}, unit{"d", 86'400'000},
};

std::optional<std::uint64_t> parse(std::string_view text, std::span<const unit> units,
                                   std::uint64_t max) {
  std::uint64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{}) return std::nullopt;
  std::string_view name{stop, static_cast<std::size_t>(end - stop)};
  if (name.starts_with(' ')) name.remove_prefix(1);
  for (const auto& candidate : units) {
    if (candidate.name != name) continue;
    if (number > max / candidate.factor) return std::nullopt;
    return number * candidate.factor;
  }
  return std::nullopt;
}

// The largest unit that divides the value; units in rising order.
std::string format(std::uint64_t value, std::span<const unit> units) {
  const unit* best = &units.front();
  for (const auto& candidate : units)
    if (value != 0 && value % candidate.factor == 0) best = &candidate;
  return std::to_string(value / best->factor) + std::string{best->name};
}

} // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  return parse(text, size_units, std::numeric_limits<std::uint64_t>::max());
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::uint64_t max_ms = std::numeric_limits<std::int64_t>::max() / 1'000'000;
  const auto ms = parse(text, duration_units, max_ms);
  if (!ms) return std::nullopt;
  return std::chrono::milliseconds{static_cast<std::int64_t>(*ms)};
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array binary{size_units[0], size_units[5], size_units[6], size_units[7],
                              size_units[8]};
  return format(bytes, binary);
}

std::string format_duration(std::chrono::milliseconds duration) {
  return format(static_cast<std::uint64_t>(duration.count()), duration_units);
}

} // namespace penstock
