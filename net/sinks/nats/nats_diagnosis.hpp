// Why nobody takes a message, found out by asking JetStream.
#pragma once

#include "actors/delivery/sink.hpp"

#include <nats/nats.h>

#include <chrono>
#include <string>
#include <string_view>

namespace penstock {

/// Why, and whether it is the subject that is at fault: no stream takes it.
struct nats_reason {
  std::string why;
  failure_scope scope = failure_scope::sink;
};

/// Whether a stream that has `pattern` among its subjects takes `subject`.
bool nats_subject_matches(std::string_view pattern, std::string_view subject);

/// To be called after "no responders" for `subject`. `stream`: of JetStream, empty when none is
/// configured. Gives the reason and the fix. Blocks for at most `timeout`.
nats_reason explain_no_responders(natsConnection* connection, const std::string& stream,
                                  const std::string& subject, std::chrono::milliseconds timeout);

} // namespace penstock
