// Events as the body of an HTTP request that another Penstock, or any other server, takes.
#pragma once

#include "net/http/event_body.hpp"
#include "net/sinks/outgoing_form.hpp"
#include "net/sinks/request_outcome.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace penstock {

enum class http_format : std::uint8_t {
  ndjson,            ///< bodies, a line each; what is not JSON can't be sent
  cloudevents_batch, ///< an array of structured CloudEvents
};

/// One thread.
class http_body_writer {
 public:
  http_body_writer(http_format format, std::string source);

  const char* content_type() const;
  encoded_events encode(const sink_batch& batch);
  /// The body for these events.
  std::string join(const encoded_events& encoded, std::span<const std::uint32_t> events) const;
  /// The same for a repeat of the same events, "" where each event carries what it is known by.
  std::string idempotency_key(const sink_batch& batch, std::span<const std::uint32_t> events) const;

 private:
  bool is_array() const { return format_ == http_format::cloudevents_batch; }
  std::string append_line(std::string& out, const outgoing_event& event);

  http_format format_;
  outgoing_form form_;
  json_checker json_;
  std::string padded_;
};

} // namespace penstock
