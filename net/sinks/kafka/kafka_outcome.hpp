// Which of Kafka's errors are about one event.
#pragma once

#include "actors/delivery/sink.hpp"

#include <librdkafka/rdkafka.h>

namespace penstock {

/// Whether the event itself is at fault: it is refused, and may become a dead letter. Everything
/// else (brokers, leaders, replicas, topics that don't exist, permissions, logins) is about the
/// cluster or its configuration and would hit every event alike: those wait until it is mended.
constexpr bool kafka_is_about_event(rd_kafka_resp_err_t code) {
  switch (code) {
  case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:    // here by message.max.bytes, there by the topic's
  case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: // than a segment of the topic
  case RD_KAFKA_RESP_ERR_INVALID_RECORD:        // the broker checked it: a schema, a timestamp
  case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
  case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    return true;
  default:
    return false;
  }
}

/// What an error that is not about an event says of the topic.
constexpr failure_scope kafka_scope(rd_kafka_resp_err_t code) {
  switch (code) {
  case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
  case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
  case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION: // no legal name, or it collides with another's
    return failure_scope::missing;
  case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
  case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE: // of a topic that is being made
    return failure_scope::stream;
  default:
    return failure_scope::sink;
  }
}

} // namespace penstock
