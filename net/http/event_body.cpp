#include "net/http/event_body.hpp"

#include "net/base/ascii.hpp"
#include "net/base/json_text.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::size_t max_tracestate_bytes = 512; // W3C Trace Context, section 3.3.1.5

bool is_printable_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// version "-" trace-id "-" parent-id "-" flags, all lower-case hex (W3C Trace Context, 3.2).
bool is_traceparent(std::string_view text) {
  if (text.size() < 55) return false;
  for (std::size_t i = 0; i < 55; ++i) {
    bool dash = i == 2 || i == 35 || i == 52;
    char c = text[i];
    bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    if (dash ? c != '-' : !hex) return false;
  }
  return is_printable_ascii(text);
}

} // namespace

body_kind classify_body(std::string_view content_type) {
  char buffer[64];
  auto media = content_type.substr(0, content_type.find(';'));
  while (!media.empty() && (media.back() == ' ' || media.back() == '\t'))
    media.remove_suffix(1);
  if (media.size() > sizeof buffer) return body_kind::opaque;
  std::transform(media.begin(), media.end(), buffer, lower_ascii);
  std::string_view type{buffer, media.size()};
  if (type == "application/json" || type == "text/json") return body_kind::json;
  if (type == "application/x-ndjson" || type == "application/ndjson") return body_kind::ndjson;
  if (type == "application/cloudevents+json") return body_kind::cloud_event;
  if (type == "application/cloudevents-batch+json") return body_kind::cloud_events;
  if (type.starts_with("application/cloudevents")) return body_kind::unsupported;
  if (type.ends_with("+json")) return body_kind::json;
  return body_kind::opaque;
}

json_checker::json_checker(std::size_t max_document_bytes) : parser_(max_document_bytes) {}

bool json_checker::valid(std::string_view text) {
  // An empty document is an error of its own; simdjson would read it as one too.
  error_ = text.empty() ? simdjson::EMPTY : parser_.parse(text.data(), text.size(), false).error();
  return error_ == simdjson::SUCCESS;
}

std::string merged_attributes(std::string_view first, std::string_view second) {
  if (first.empty() || second.empty()) return std::string{first.empty() ? second : first};
  std::string out{first};
  out.back() = ',';
  return out.append(second.substr(1));
}

std::string trace_attributes(std::string_view traceparent, std::string_view tracestate) {
  if (!is_traceparent(traceparent)) return {};
  std::string out = R"({"traceparent":)";
  append_json_string(out, traceparent);
  if (!tracestate.empty() && tracestate.size() <= max_tracestate_bytes &&
      is_printable_ascii(tracestate)) {
    out += R"(,"tracestate":)";
    append_json_string(out, tracestate);
  }
  out += '}';
  return out;
}

} // namespace penstock
