#include "net/base/rfc3339.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>

namespace penstock {

namespace {

namespace chr = std::chrono;

/// Takes exactly `digits` digits off the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == any_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

/// ".123456" to 123; text that does not begin with a point to 0.
std::optional<int> take_milliseconds(std::string_view& text) {
  if (!take(text, ".")) return 0;
  int value = 0;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits) {
    if (digits < 3) value = value * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 3; ++digits)
    value *= 10;
  return value;
}

/// "Z", "+02:00", "-05:30" as minutes ahead of UTC.
std::optional<int> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return 0;
  const bool behind = !text.empty() && text.front() == '-';
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2);
  if (!hours || !take(text, ":")) return std::nullopt;
  const auto minutes = take_number(text, 2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return (*hours * 60 + *minutes) * (behind ? -1 : 1);
}

} // namespace

std::string rfc3339(std::int64_t time_ms) {
  const chr::sys_time<chr::milliseconds> time{chr::milliseconds{time_ms}};
  const auto day = chr::floor<chr::days>(time);
  const chr::year_month_day date{day};
  const chr::hh_mm_ss clock{time - day};
  char text[48];
  const int size = std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return {text, static_cast<std::size_t>(size)};
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  const auto year = take_number(text, 4);
  if (!year || !take(text, "-")) return std::nullopt;
  const auto month = take_number(text, 2);
  if (!month || !take(text, "-")) return std::nullopt;
  const auto day = take_number(text, 2);
  if (!day || !take(text, "Tt ")) return std::nullopt;
  const auto hour = take_number(text, 2);
  if (!hour || !take(text, ":")) return std::nullopt;
  const auto minute = take_number(text, 2);
  if (!minute || !take(text, ":")) return std::nullopt;
  const auto second = take_number(text, 2);
  if (!second) return std::nullopt;
  const auto ms = take_milliseconds(text);
  const auto offset = ms ? take_offset(text) : std::nullopt;
  if (!offset || !text.empty() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const chr::year_month_day date{chr::year{*year}, chr::month{static_cast<unsigned>(*month)},
                                 chr::day{static_cast<unsigned>(*day)}};
  if (!date.ok()) return std::nullopt;
  const auto time = chr::sys_days{date} + chr::hours{*hour} + chr::minutes{*minute - *offset} +
                    chr::seconds{*second} + chr::milliseconds{*ms};
  return chr::duration_cast<chr::milliseconds>(time.time_since_epoch()).count();
}

std::optional<std::int64_t> parse_time(std::string_view text, std::int64_t now_ms) {
  if (text == "now") return now_ms;
  if (!text.starts_with('-')) return parse_rfc3339(text);
  constexpr std::int64_t max_ms = 36'525ll * 86'400'000; // a century
  std::int64_t count = 0;
  const auto* end = text.data() + text.size();
  const auto [unit, failed] = std::from_chars(text.data() + 1, end, count);
  if (failed != std::errc{} || unit + 1 != end || count < 0) return std::nullopt;
  const std::int64_t unit_ms = *unit == 's'   ? 1000
                               : *unit == 'm' ? 60'000
                               : *unit == 'h' ? 3'600'000
                               : *unit == 'd' ? 86'400'000
                                              : 0;
  if (unit_ms == 0 || count > max_ms / unit_ms) return std::nullopt;
  return now_ms - count * unit_ms;
}

} // namespace penstock
