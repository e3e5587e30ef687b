#include "net/sinks/aws/kinesis_sink.hpp"

namespace penstock {

namespace {

std::vector<sink_key> kinesis_keys(kinesis_sink_settings& to) {
  return with_aws_keys(
      {{"stream", text_field{&to.stream, "a name"}, "", "events",
        "kinesis: the data stream. Needed for kinesis.", sink_key_part::target, true}},
      to.aws, true);
}

} // namespace

sink_kind kinesis_kind() {
  return sink_kind_of("kinesis", kinesis_keys, make_kinesis_sink);
}

} // namespace penstock
