#include "net/sinks/nats/nats_message.hpp"

#include "net/http/event_body.hpp"

namespace penstock {

namespace {

/// Adds headers and counts what they take on the wire.
class nats_header_writer {
 public:
  explicit nats_header_writer(natsMsg* message) : message_{message} {}

  void add(const char* name, const std::string& value) {
    ok_ = ok_ && natsMsgHeader_Set(message_, name, value.c_str()) == NATS_OK;
    bytes_ += std::string_view{name}.size() + value.size() + 4; // ": ", CR, LF
  }
  void add_attribute(const std::string& name, std::string_view value) {
    add(("ce-" + name).c_str(), nats_header_value(value));
  }

  bool ok() const { return ok_; }
  std::size_t bytes() const { return bytes_; }

 private:
  natsMsg* message_;
  bool ok_ = true;
  std::size_t bytes_ = std::string_view{"NATS/1.0\r\n\r\n"}.size();
};

} // namespace

std::string nats_header_value(std::string_view value) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(value.size());
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f && c != '"' && c != '%') {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

nats_message make_nats_message(outgoing_form& form, const outgoing_event& event,
                               const sink_batch& batch, const std::string& subject,
                               const std::string& reply, const std::string& expected_stream) {
  const auto body = event.body();
  const auto type = event.content_type();
  natsMsg* made = nullptr;
  if (natsMsg_Create(&made, subject.c_str(), reply.c_str(), body.data(),
                     static_cast<int>(body.size())) != NATS_OK)
    return {};
  nats_message out{nats_ptr<natsMsg>{made}};
  nats_header_writer headers{made};
  headers.add("Nats-Msg-Id", outgoing_form::id(event, batch) + batch.again);
  if (!expected_stream.empty()) headers.add("Nats-Expected-Stream", expected_stream);
  bool typed = type.empty();
  for (const auto& [name, value] : form.attributes(event, batch)) {
    headers.add_attribute(name, value);
    typed = typed || name == "datacontenttype";
  }
  if (classify_body(type) == body_kind::cloud_event)
    headers.add("content-type", std::string{type});
  else if (!typed)
    headers.add_attribute("datacontenttype", type);
  if (!headers.ok()) return {};
  out.bytes = headers.bytes() + body.size();
  return out;
}

} // namespace penstock
