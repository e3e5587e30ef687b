// What a request's body is: one event, or one a line; and whether it is the JSON it claims to be.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

enum class body_kind : std::uint8_t {
  opaque,       ///< one event of any bytes
  json,         ///< one event that must be valid JSON
  ndjson,       ///< one JSON event a line
  cloud_event,  ///< one structured CloudEvent
  cloud_events, ///< a batch of them
  unsupported,  ///< CloudEvents in a format that is not taken: 415
};

/// By media type, whatever its case and parameters.
body_kind classify_body(std::string_view content_type);

/// Readable bytes that json_checker needs past the end of a text.
inline constexpr std::size_t json_padding_bytes = 64;

/// Full validation, UTF-8 included (simdjson's DOM parser). One thread.
class json_checker {
 public:
  explicit json_checker(std::size_t max_document_bytes);
  /// `text` is followed by json_padding_bytes readable bytes (their values do not matter).
  bool valid(std::string_view text);
  /// Why the last text was not valid.
  const char* why() const { return simdjson::error_message(error_); }

 private:
  simdjson::dom::parser parser_;
  simdjson::error_code error_ = simdjson::SUCCESS;
};

/// Calls `each(line)` for every line that is not blank, without its line end; stops when it
/// returns false.
template <class F>
void for_each_line(std::string_view body, F&& each) {
  while (!body.empty()) {
    auto end = body.find('\n');
    auto line = body.substr(0, end);
    body.remove_prefix(end == std::string_view::npos ? body.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    if (!each(line)) return;
  }
}

/// One JSON object of the members of two, either of which may be "".
std::string merged_attributes(std::string_view first, std::string_view second);

/// {"traceparent":…,"tracestate":…} for those that are there and well formed; "" for none.
std::string trace_attributes(std::string_view traceparent, std::string_view tracestate);

} // namespace penstock
