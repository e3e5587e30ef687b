// The kind kinesis: Kinesis Data Streams.
#pragma once

#include "net/sinks/aws/aws_settings.hpp"
#include "net/sinks/sink_kind.hpp"

#include <memory>
#include <string>

namespace penstock {

struct kinesis_sink_settings {
  std::string stream{}; ///< the data stream; `{stream}` stands for the stream's name
  aws_settings aws{};
};

/// Makes the sink without touching the network. Errors: config, naming key and fix.
result<std::shared_ptr<sink>> make_kinesis_sink(const kinesis_sink_settings& settings,
                                                const sink_context& context);

sink_kind kinesis_kind();

} // namespace penstock
