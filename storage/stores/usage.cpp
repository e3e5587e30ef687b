#include "storage/stores/usage.hpp"

#include <algorithm>
#include <chrono>

namespace penstock {

namespace {

constexpr std::array<std::string_view, usage_dimensions> dimension_names{"account", "key", "ip",
                                                                         "referer", "stream"};
constexpr std::array<std::string_view, usage_periods> period_names{"minute", "hour", "day",
                                                                   "month"};

template <class Enum, std::size_t N>
std::optional<Enum> find_name(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

std::int64_t width_s(usage_period period) {
  return period == usage_period::minute ? 60 : period == usage_period::hour ? 3600 : 86'400;
}

std::chrono::year_month month_of(std::int64_t time_s) {
  using namespace std::chrono;
  const year_month_day date{floor<days>(sys_seconds{seconds{time_s}})};
  return date.year() / date.month();
}

std::int64_t start_of(std::chrono::year_month month) {
  using namespace std::chrono;
  return sys_seconds{sys_days{month / 1}}.time_since_epoch().count();
}

} // namespace

std::int64_t bucket_start_s(usage_period period, std::int64_t time_s) {
  if (period == usage_period::month) return start_of(month_of(time_s));
  const auto width = width_s(period);
  const auto past = time_s % width;
  return time_s - (past < 0 ? past + width : past);
}

std::int64_t next_bucket_s(usage_period period, std::int64_t start_s) {
  if (period == usage_period::month) return start_of(month_of(start_s) + std::chrono::months{1});
  return start_s + width_s(period);
}

bool is_usage_origin(std::string_view text) {
  return text.size() == usage_origin_size &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

// FNV-1a, with the end of MurmurHash3: it needs no secret, since an id that was aimed at a part
// makes that part larger, and no more.
std::uint32_t usage_part_of(std::string_view id, std::uint32_t parts) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : id)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
  return parts == 0 ? 0 : static_cast<std::uint32_t>((hash ^ hash >> 33) % parts);
}

std::string_view name_of(usage_dimension dimension) {
  return dimension_names[static_cast<std::size_t>(dimension)];
}

std::string_view name_of(usage_period period) {
  return period_names[static_cast<std::size_t>(period)];
}

std::optional<usage_dimension> parse_usage_dimension(std::string_view name) {
  return find_name<usage_dimension>(dimension_names, name);
}

std::optional<usage_period> parse_usage_period(std::string_view name) {
  return find_name<usage_period>(period_names, name);
}

} // namespace penstock
