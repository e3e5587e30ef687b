#include "net/sinks/http/http_sink.hpp"

namespace penstock {

namespace {

std::vector<sink_key> http_keys(http_sink_settings& to) {
  return {
      url_key(to.url),
      {"format", choice_field{&to.format, {"ndjson", "cloudevents-batch"}}, "ndjson",
       "cloudevents-batch",
       "http: lines of JSON, or CloudEvents, by whose ids another Penstock drops repeats."},
      {"headers", pairs_field{&to.headers}, "{}", "{ Authorization = \"Bearer psk_live_…\" }",
       "http: headers of each request."},
      ca_file_key(to.certificates.ca_file),
      cert_file_key(to.certificates.cert_file),
      key_file_key(to.certificates.key_file),
  };
}

} // namespace

sink_kind http_kind() {
  return sink_kind_of("http", http_keys, make_http_sink);
}

} // namespace penstock
