#include "net/sinks/aws/aws_results.hpp"

#include "net/sinks/aws/aws_request.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>

namespace penstock {

namespace {

namespace json = boost::json;

std::string result_text(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return {};
  return std::string{value->get_string().data(), value->get_string().size()};
}

const json::array* result_array(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value ? value->if_array() : nullptr;
}

request_outcome result_unreadable(std::size_t events) {
  return request_outcome::all(events, settled_as::failed, "AWS's answer makes no sense");
}

std::string result_words(const std::string& code, const std::string& message) {
  auto words = "AWS says " + quoted_words(code);
  if (!message.empty()) words += ": " + quoted_words(message);
  return words;
}

void settle_entry(request_outcome& out, std::size_t event, settled_as how, const std::string& code,
                  const std::string& message) {
  out.events[event] = how;
  if (how == settled_as::delivered) return;
  auto& why = how == settled_as::refused ? out.refusal : out.failure;
  if (why.empty()) why = result_words(code, message);
}

void note_throttling(request_outcome& out, const std::string& code) {
  if (aws_fault_of(code, 400) != aws_fault::throttled) return;
  out.pause_ms = std::max(out.pause_ms, throttled_pause_ms);
  out.scope = failure_scope::stream;
}

/// The place of an entry of SendMessageBatch; `events` if it has none.
std::size_t entry_place(const json::object& entry, std::size_t events) {
  const auto id = result_text(entry, "Id");
  std::size_t place = events;
  const auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), place);
  const bool whole = failed == std::errc{} && end == id.data() + id.size() && !id.empty();
  return whole ? std::min(place, events) : events;
}

/// Whether all entries could be read.
bool read_entries(const json::array& entries, bool taken, request_outcome& out) {
  for (const auto& value : entries) {
    const auto* entry = value.if_object();
    if (!entry) return false;
    const auto place = entry_place(*entry, out.events.size());
    if (place == out.events.size()) return false;
    if (taken) {
      out.events[place] = settled_as::delivered;
      continue;
    }
    const auto code = result_text(*entry, "Code");
    const auto* fault = entry->if_contains("SenderFault");
    const bool ours = fault && fault->is_bool() && fault->get_bool();
    const bool refused = aws_fault_of(code, ours ? 400 : 500) == aws_fault::request;
    settle_entry(out, place, refused ? settled_as::refused : settled_as::failed, code,
                 result_text(*entry, "Message"));
    note_throttling(out, code);
  }
  return true;
}

} // namespace

request_outcome read_put_records(std::string_view answer, std::size_t events) {
  json::error_code failed;
  const auto parsed = json::parse(answer, failed);
  const auto* document = failed ? nullptr : parsed.if_object();
  const auto* records = document ? result_array(*document, "Records") : nullptr;
  if (!records || records->size() != events) return result_unreadable(events);
  auto out = request_outcome::all(events, settled_as::delivered);
  for (std::size_t i = 0; i < events; ++i) {
    const auto* record = (*records)[i].if_object();
    if (!record) return result_unreadable(events);
    const auto code = result_text(*record, "ErrorCode");
    if (code.empty() && !result_text(*record, "SequenceNumber").empty()) continue;
    settle_entry(out, i, settled_as::failed, code.empty() ? "no sequence number" : code,
                 result_text(*record, "ErrorMessage"));
    note_throttling(out, code);
  }
  return out;
}

request_outcome read_send_message_batch(std::string_view answer, std::size_t events) {
  json::error_code failed;
  const auto parsed = json::parse(answer, failed);
  const auto* document = failed ? nullptr : parsed.if_object();
  if (!document) return result_unreadable(events);
  auto out = request_outcome::all(events, settled_as::failed);
  const auto* taken = result_array(*document, "Successful");
  const auto* others = result_array(*document, "Failed");
  if ((taken && !read_entries(*taken, true, out)) || (others && !read_entries(*others, false, out)))
    return result_unreadable(events);
  const bool open =
      std::find(out.events.begin(), out.events.end(), settled_as::failed) != out.events.end();
  if (open && out.failure.empty()) out.failure = "AWS's answer does not name every message";
  return out;
}

} // namespace penstock
