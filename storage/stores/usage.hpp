// What is counted of a client's traffic, and the buckets of time it is counted in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Whose traffic: each request counts once in every dimension it has an id in.
enum class usage_dimension : std::uint8_t { account, key, ip, referer, stream };
inline constexpr std::size_t usage_dimensions = 5;

/// What stands for all ids that there was no room for. It can be no id: those have no brackets.
inline constexpr std::string_view other_usage_id = "(other)";

struct usage_counts {
  std::uint64_t requests = 0; ///< of identified clients, whatever their answer
  std::uint64_t events = 0;   ///< admitted
  std::uint64_t bytes = 0;    ///< bodies of the admitted events
  std::uint64_t refused = 0;  ///< events that a limit refused

  usage_counts& operator+=(const usage_counts& more) {
    requests += more.requests;
    events += more.events;
    bytes += more.bytes;
    refused += more.refused;
    return *this;
  }
  bool operator==(const usage_counts&) const = default;
};

struct usage_entry {
  std::string id;
  usage_counts counts;
};

/// What was counted in a short stretch of time that lies within one minute; by dimension. An id
/// may occur more than once.
struct usage_batch {
  std::int64_t time_ms = 0; ///< when the stretch began, milliseconds since the Unix epoch
  std::array<std::vector<usage_entry>, usage_dimensions> entries;

  std::size_t size() const {
    std::size_t sum = 0;
    for (const auto& list : entries)
      sum += list.size();
    return sum;
  }
};

/// The width of a bucket; hours, days and months are those of UTC.
enum class usage_period : std::uint8_t { minute, hour, day, month };
inline constexpr std::size_t usage_periods = 4;

/// When the bucket began that holds a time; seconds since the Unix epoch.
std::int64_t bucket_start_s(usage_period period, std::int64_t time_s);
/// When the next one begins.
std::int64_t next_bucket_s(usage_period period, std::int64_t start_s);

std::string_view name_of(usage_dimension dimension);
std::string_view name_of(usage_period period);
std::optional<usage_dimension> parse_usage_dimension(std::string_view name);
std::optional<usage_period> parse_usage_period(std::string_view name);

} // namespace penstock
