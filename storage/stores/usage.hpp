// What is counted of a client's traffic, and the buckets of time it is counted in.
#pragma once

#include <array>
#include <compare>
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

/// A row of a usage store: what was counted of an id in one bucket. Counts only grow. So of two
/// states of one row the greater is the later, and to take the greater over is right however often
/// and in whatever order states come.
struct usage_state {
  usage_period period = usage_period::minute;
  usage_dimension by = usage_dimension::account;
  std::int64_t start_s = 0;
  std::string id;
  usage_counts counts;

  bool operator==(const usage_state&) const = default;
};

/// Where a row is in its store; they sort as the store holds its rows.
struct usage_key {
  usage_period period = usage_period::minute;
  usage_dimension by = usage_dimension::account;
  std::int64_t start_s = 0;
  std::int64_t name = 0; ///< the store's own number of the id

  auto operator<=>(const usage_key&) const = default;
};

/// Whose counts a store has.
struct usage_about {
  /// Of this one store, from its making on: 32 hexadecimal digits, at random. A node that begins
  /// anew has another one.
  std::string origin;
  std::string node;          ///< node.name of who counted
  std::string address;       ///< its cluster.listen; "" on a node alone
  std::int64_t known_ms = 0; ///< of a copy: all that the node had written by then is in it
  std::string given_by;      ///< of a copy: the origin of the node that it came from

  bool operator==(const usage_about&) const = default;
};
inline constexpr std::size_t usage_origin_size = 32;
bool is_usage_origin(std::string_view text);

/// Reports over more ids than fit are made in parts: in which an id is, the same on all nodes.
std::uint32_t usage_part_of(std::string_view id, std::uint32_t parts);

std::string_view name_of(usage_dimension dimension);
std::string_view name_of(usage_period period);
std::optional<usage_dimension> parse_usage_dimension(std::string_view name);
std::optional<usage_period> parse_usage_period(std::string_view name);

} // namespace penstock
