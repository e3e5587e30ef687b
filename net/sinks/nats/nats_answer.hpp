// What JetStream says to a published message.
#pragma once

#include "actors/delivery/sink.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace penstock {

struct nats_answer {
  settled_as how = settled_as::delivered;
  std::string why{}; ///< with the fix where there is one; empty when it is delivered
  failure_scope scope = failure_scope::sink;
};

/// Reads a PubAck. Nothing when it is no answer of JetStream's.
std::optional<nats_answer> read_nats_answer(std::string_view json);

} // namespace penstock
