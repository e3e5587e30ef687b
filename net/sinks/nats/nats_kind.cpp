#include "net/sinks/nats/nats_sink.hpp"
#include "net/sinks/shared_keys.hpp"

namespace penstock {

namespace {

std::vector<sink_key> nats_keys(nats_sink_settings& to) {
  return {
      url_key(to.url),
      {"stream", text_field{&to.stream, "a name"}, "", "EVENTS",
       "nats: the JetStream stream that must take the events."},
      {"subject", text_field{&to.subject, "a subject"}, "events.{stream}", "ingest.{stream}",
       "nats: the subject; {stream} stands for the stream's name."},
      username_key(to.login.username),
      password_key(to.login.password),
      {"token", secret_field{&to.login.token}, "", "…",
       "nats: a token in place of a name and password.", sink_key_part::credentials},
      {"credentials_file", text_field{&to.login.credentials_file, "a path"}, "",
       "/etc/penstock/nats.creds", "nats: a .creds file.", sink_key_part::credentials},
      ca_file_key(to.login.ca_file),
      cert_file_key(to.login.cert_file),
      key_file_key(to.login.key_file),
  };
}

} // namespace

sink_kind nats_kind() {
  return sink_kind_of("nats", nats_keys, make_nats_sink);
}

} // namespace penstock
