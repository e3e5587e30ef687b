#include "net/sinks/aws/sqs_sink.hpp"

namespace penstock {

namespace {

std::vector<sink_key> sqs_keys(sqs_sink_settings& to) {
  return with_aws_keys(
      {{"queue_url", text_field{&to.queue_url, "a URL"}, "",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/events.fifo",
        "sqs: the queue; one that ends in .fifo keeps order and drops repeats. Needed.",
        sink_key_part::target, true}},
      to.aws, false);
}

} // namespace

sink_kind sqs_kind() {
  return sink_kind_of("sqs", sqs_keys, make_sqs_sink);
}

} // namespace penstock
