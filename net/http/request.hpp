// One HTTP request as the front end sees it: views into the bytes that arrived.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The header fields that the ingest plane reads; all others are checked for form and skipped.
enum class request_field : std::uint8_t {
  host,
  content_type,
  content_encoding,
  authorization,
  x_api_key,
  cookie,
  referer,
  x_forwarded_for,
  forwarded,
  traceparent,
  tracestate,
  prefer,
  expect,
  idempotency_key,
  custom_0, // the header names that the identity order mentions
  custom_1,
  custom_2,
  custom_3,
  count
};

/// The most header names an identity order may mention.
inline constexpr std::size_t max_custom_fields = 4;
/// The most header fields of a request; more is 431.
inline constexpr std::size_t max_header_fields = 100;

enum class request_method : std::uint8_t { get, head, post, other };

/// A header field as it came.
struct header_field {
  std::string_view name;
  std::string_view value;
};

/// Valid as long as the bytes it was parsed from; rebase() moves it to a copy of them.
struct request_head {
  request_method method = request_method::other;
  std::string_view target;
  std::array<std::string_view, static_cast<std::size_t>(request_field::count)> fields{};
  std::uint32_t present = 0;  ///< bit i: field i was sent (perhaps empty)
  std::uint32_t repeated = 0; ///< bit i: more than once
  /// Those whose names begin with "ce-", the attributes of a CloudEvent in binary mode; at most
  /// max_header_fields.
  std::vector<header_field> cloud_event_fields;

  bool has(request_field f) const { return present >> static_cast<unsigned>(f) & 1u; }
  std::string_view operator[](request_field f) const { return fields[static_cast<std::size_t>(f)]; }
  /// Views outside [from, from + size) stay as they are.
  void rebase(const char* from, std::size_t size, const char* to);
};

} // namespace penstock
