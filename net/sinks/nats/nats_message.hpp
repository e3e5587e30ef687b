// How an event becomes a NATS message: the CloudEvents binding for NATS, and JetStream's headers.
#pragma once

#include "net/sinks/nats/nats_link.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <string>
#include <string_view>

namespace penstock {

/// A message, and the bytes of its headers and body as the server counts them.
struct nats_message {
  nats_ptr<natsMsg> message; ///< null when memory ran out
  std::size_t bytes = 0;
};

/// The event's body, unchanged, under headers "ce-…" (binary content mode); an event that came as
/// a structured CloudEvent says it by "content-type", the rest stands in its body.
/// `form` fills in attributes; `expected_stream`: of JetStream, empty for any.
nats_message make_nats_message(outgoing_form& form, const outgoing_event& event,
                               const sink_batch& batch, const std::string& subject,
                               const std::string& reply, const std::string& expected_stream);

/// A CloudEvents attribute as a header's value: blanks, quotes, '%' and all that is not printable
/// ASCII percent-encoded (binding for NATS, 3.1.3.2).
std::string nats_header_value(std::string_view value);

} // namespace penstock
