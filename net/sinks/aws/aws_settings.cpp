#include "net/sinks/aws/aws_settings.hpp"

#include "net/sinks/shared_keys.hpp"

#include <iterator>

namespace penstock {

std::vector<sink_key> with_aws_keys(std::vector<sink_key> keys, aws_settings& to,
                                    bool is_region_needed) {
  std::vector<sink_key> shared{
      {"region", text_field{&to.region, "a region"}, "", "eu-west-1",
       "kinesis, sqs: AWS's region; sqs may have it in queue_url.", sink_key_part::target,
       is_region_needed},
      {"endpoint", text_field{&to.endpoint, "a URL"}, "", "http://127.0.0.1:4567",
       "kinesis, sqs: only to leave AWS's own address."},
      {"credentials_file", text_field{&to.credentials_file, "a path"}, "",
       "/etc/penstock/aws.credentials",
       "kinesis, sqs: the shared credentials file, if it is not ~/.aws/credentials.",
       sink_key_part::credentials},
      {"profile", text_field{&to.profile, "a name"}, "", "ingest",
       "kinesis, sqs: the profile in the shared credentials file.", sink_key_part::credentials},
      {"metadata_url", text_field{&to.metadata_url, "a URL"}, "", "http://169.254.169.254",
       "kinesis, sqs: ask the instance's metadata service for credentials.",
       sink_key_part::credentials},
      ca_file_key(to.ca_file),
  };
  std::move(shared.begin(), shared.end(), std::back_inserter(keys));
  return keys;
}

} // namespace penstock
