#include "net/base/json_message.hpp"

#include "net/base/json_text.hpp"
#include "net/base/rfc3339.hpp"
#include "storage/events/event_id.hpp"

namespace penstock {

namespace {

std::size_t expected_size(const queue_delivery& delivery) {
  std::size_t bytes = 64;
  for (const auto& message : delivery.messages)
    bytes += 256 + message.block->body(message.index).size() * 5 / 4;
  return bytes;
}

/// Writes one message; `time` is the block's, written once a block.
void append_message(std::string& out, const queued_message& message, std::string_view tag,
                    const std::string& time, bool replay) {
  const auto& block = *message.block;
  const auto& meta = block.events[message.index];
  out += '{';
  if (!replay) {
    out += R"("receipt":")";
    append_receipt(out, message.ticket);
    out += R"(",)";
  }
  out += R"("id":")";
  char id[event_id_size];
  format_event_id(id, block.first_seq + message.index, tag);
  out.append(id, event_id_size);
  out += R"(","time":")";
  out += time;
  out += R"(","content_type":)";
  append_json_any(out, block.content_types[meta.type]);
  out += ',';
  append_json_body(out, block.body(message.index));
  out += R"(,"attributes":)";
  const auto& attributes = block.attributes[meta.attributes];
  out += attributes.empty() ? std::string_view{"{}"} : std::string_view{attributes};
  out += '}';
}

} // namespace

std::string messages_json(const queue_delivery& delivery, std::string_view tag, bool replay) {
  std::string out;
  out.reserve(expected_size(delivery));
  out += R"({"messages":[)";
  const event_block* block = nullptr;
  std::string time;
  for (const auto& message : delivery.messages) {
    if (block) out += ',';
    if (message.block.get() != block) {
      block = message.block.get();
      time = rfc3339(block->time_ms);
    }
    append_message(out, message, tag, time, replay);
  }
  out += ']';
  if (replay) {
    out += R"(,"next":")";
    out += event_id(delivery.next_seq, tag);
    out += '"';
  }
  out += '}';
  return out;
}

} // namespace penstock
