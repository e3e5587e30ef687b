#include "net/sinks/http/http_body.hpp"

#include <cstring>

namespace penstock {

namespace {

constexpr std::size_t max_checked_json_bytes = 64u << 20; // above any body that a node takes
constexpr std::string_view not_json =
    "the body is not JSON, which format = \"ndjson\" can't carry; \"cloudevents-batch\" can";

void line_ends_to_spaces(char* text, std::size_t bytes, char line_end) {
  while (auto* at = static_cast<char*>(std::memchr(text, line_end, bytes))) {
    *at = ' ';
    bytes -= static_cast<std::size_t>(at - text);
    text = at;
  }
}

bool was_checked(body_kind kind) {
  return kind == body_kind::json || kind == body_kind::cloud_event;
}

} // namespace

http_body_writer::http_body_writer(http_format format, std::string source)
    : format_{format}, form_{std::move(source)}, json_{max_checked_json_bytes} {}

const char* http_body_writer::content_type() const {
  return format_ == http_format::ndjson ? "application/x-ndjson"
                                        : "application/cloudevents-batch+json";
}

// Gives why it can't be sent. JSON has line ends only between its tokens, where a space does as
// well.
std::string http_body_writer::append_line(std::string& out, const outgoing_event& event) {
  auto body = event.body();
  const auto last = body.find_last_not_of(" \t\r\n");
  body = body.substr(0, last == body.npos ? 0 : last + 1);
  bool is_json = !body.empty();
  if (is_json && !was_checked(classify_body(event.content_type()))) {
    padded_.assign(body).append(json_padding_bytes, '\0');
    is_json = json_.valid(std::string_view{padded_}.substr(0, body.size()));
  }
  if (!is_json) return std::string{not_json};
  const auto begin = out.size();
  out += body;
  for (const char line_end : {'\n', '\r'})
    line_ends_to_spaces(out.data() + begin, out.size() - begin, line_end);
  return {};
}

encoded_events http_body_writer::encode(const sink_batch& batch) {
  constexpr std::size_t usual_attributes_bytes = 256;
  encoded_events out;
  out.pieces.reserve(batch.events.size());
  std::size_t bytes = 0;
  for (const auto& event : batch.events)
    bytes += event.body().size() + (is_array() ? usual_attributes_bytes : 1);
  out.text.reserve(bytes);
  for (const auto& event : batch.events) {
    encoded_events::piece piece{.begin = out.text.size()};
    if (format_ == http_format::ndjson)
      piece.refusal = append_line(out.text, event);
    else
      form_.append_structured(out.text, event, batch);
    piece.end = out.text.size();
    piece.counted_bytes = piece.end - piece.begin + 1; // with what separates it from the next
    if (piece.refusal.empty()) out.text += is_array() ? ',' : '\n';
    out.pieces.push_back(std::move(piece));
  }
  return out;
}

std::string http_body_writer::join(const encoded_events& encoded,
                                   std::span<const std::uint32_t> events) const {
  std::string out;
  std::size_t bytes = 2;
  for (const auto event : events)
    bytes += encoded.pieces[event].counted_bytes;
  out.reserve(bytes);
  if (is_array()) out += '[';
  // Neighbours go together.
  for (std::size_t i = 0, next; i < events.size(); i = next) {
    const auto begin = encoded.pieces[events[i]].begin;
    auto end = encoded.pieces[events[i]].end + 1;
    for (next = i + 1; next < events.size() && encoded.pieces[events[next]].begin == end; ++next)
      end = encoded.pieces[events[next]].end + 1;
    out.append(encoded.text, begin, end - begin);
  }
  if (is_array()) out.back() = ']';
  return out;
}

std::string http_body_writer::idempotency_key(const sink_batch& batch,
                                              std::span<const std::uint32_t> events) const {
  // A CloudEvent has its own id, unless someone wants it to arrive once more.
  if (format_ == http_format::cloudevents_batch && batch.again.empty()) return {};
  auto key = outgoing_form::id(batch.events[events.front()], batch) + '-' +
             outgoing_form::id(batch.events[events.back()], batch) + '-' +
             std::to_string(events.size());
  if (!batch.again.empty()) key += '-' + batch.again;
  return key;
}

} // namespace penstock
