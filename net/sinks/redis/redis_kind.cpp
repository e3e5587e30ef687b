#include "net/sinks/redis/redis_sink.hpp"

namespace penstock {

namespace {

std::vector<sink_key> redis_keys(redis_sink_settings& to) {
  return {
      url_key(to.url),
      {"key", text_field{&to.key, "a key"}, "events:{stream}", "ingest:{stream}",
       "redis: the stream's key; {stream} stands for the stream's name."},
      {"max_len", number_field{&to.max_len, 0, 1'000'000'000'000}, "0", "1000000",
       "redis: about how many entries the stream keeps; 0: all."},
      username_key(to.username),
      password_key(to.password),
      ca_file_key(to.certificates.ca_file),
      cert_file_key(to.certificates.cert_file),
      key_file_key(to.certificates.key_file),
  };
}

} // namespace

sink_kind redis_kind() {
  return sink_kind_of("redis", redis_keys, make_redis_sink);
}

} // namespace penstock
