// The kind sqs: standard and FIFO queues of SQS.
#pragma once

#include "net/sinks/aws/aws_settings.hpp"
#include "net/sinks/sink_kind.hpp"

#include <memory>
#include <string>

namespace penstock {

struct sqs_sink_settings {
  std::string queue_url{}; ///< `{stream}` stands for the stream's name
  aws_settings aws{};
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_sqs_sink(const sqs_sink_settings& settings,
                                            const sink_context& context);

sink_kind sqs_kind();

} // namespace penstock
