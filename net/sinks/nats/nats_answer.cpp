#include "net/sinks/nats/nats_answer.hpp"

#include <boost/json.hpp>

#include <array>

namespace penstock {

namespace {

namespace json = boost::json;

// Codes of JetStream's errors, where saying more than the server does helps.
constexpr int nats_message_too_large = 10054;
constexpr int nats_wrong_stream = 10060;
constexpr int nats_headers_too_large = 10097;
constexpr int nats_store_failed = 10077;

nats_answer read_nats_error(const json::object& error) {
  const auto number = [&](std::string_view name) -> std::int64_t {
    const auto* value = error.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
  };
  const auto code = number("err_code") != 0 ? number("err_code") : number("code");
  std::string why = "JetStream error " + std::to_string(code);
  if (const auto* text = error.if_contains("description"); text != nullptr && text->is_string())
    why += ": " + std::string{std::string_view{text->get_string()}};
  switch (code) {
  case nats_message_too_large:
    return {settled_as::refused, why + "; the stream's max_msg_size allows no more"};
  case nats_headers_too_large:
    return {settled_as::refused, std::move(why)};
  case nats_wrong_stream:
    return {settled_as::failed,
            why + "; another stream takes this subject: set 'stream' to it, or change 'subject'",
            failure_scope::missing};
  case nats_store_failed:
    return {settled_as::failed,
            why + "; the stream is full or its disk is: raise its limits, or let it discard old "
                  "messages"};
  default:
    return {settled_as::failed, std::move(why)};
  }
}

} // namespace

std::optional<nats_answer> read_nats_answer(std::string_view text) {
  std::array<unsigned char, 2048> room; // more than an answer needs: no allocation
  json::monotonic_resource memory{room.data(), room.size()};
  json::error_code failed;
  const auto parsed = json::parse(text, failed, &memory);
  if (failed || !parsed.is_object()) return std::nullopt;
  const auto& answer = parsed.get_object();
  if (const auto* error = answer.if_contains("error"); error != nullptr && error->is_object())
    return read_nats_error(error->get_object());
  const auto* seq = answer.if_contains("seq");
  if (seq == nullptr || !seq->is_int64() || seq->get_int64() <= 0 || !answer.contains("stream"))
    return std::nullopt;
  return nats_answer{};
}

} // namespace penstock
