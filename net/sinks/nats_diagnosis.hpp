// Why nobody takes a message, found out by asking JetStream.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <string>

namespace penstock {

/// To be called after "no responders" for `subject`. `stream`: of JetStream, empty when none is
/// configured. Gives the reason and the fix. Blocks for at most `timeout`.
std::string explain_no_responders(natsConnection* connection, const std::string& stream,
                                  const std::string& subject, std::chrono::milliseconds timeout);

} // namespace penstock
