// What AWS's answers to calls with several events say of each.
#pragma once

#include "net/sinks/request_outcome.hpp"

#include <string_view>

namespace penstock {

/// Of Kinesis' PutRecords. A record that was not taken has failed, whatever the reason.
request_outcome read_put_records(std::string_view answer, std::size_t events);

/// Of SQS' SendMessageBatch, whose entries' ids are their places: "0", "1"… What is the sender's
/// fault is refused, unless it is the rate or the credentials.
request_outcome read_send_message_batch(std::string_view answer, std::size_t events);

} // namespace penstock
