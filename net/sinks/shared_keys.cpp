#include "net/sinks/shared_keys.hpp"

namespace penstock {

sink_key url_key(std::string& to) {
  return {
      "url",
      text_field{&to, "a URL"},
      "",
      "nats://127.0.0.1:4222",
      "nats, redis, http: the server; tls://, rediss:// and https:// with TLS. nats: several with "
      "commas. http: {stream} stands for the stream's name.",
      sink_key_part::target,
      true};
}

sink_key username_key(std::string& to) {
  return {"username", text_field{&to, "a name"},         "",
          "ingest",   "nats, redis, kafka: who we are.", sink_key_part::credentials};
}

sink_key password_key(std::string& to) {
  return {"password",
          secret_field{&to},
          "",
          "…",
          "nats, redis, kafka; best given by the environment.",
          sink_key_part::credentials};
}

sink_key ca_file_key(std::string& to) {
  return {"ca_file",
          text_field{&to, "a path"},
          "",
          "/etc/penstock/ca.pem",
          "Authorities that may vouch for the server; the system's if unset.",
          sink_key_part::certificates};
}

sink_key cert_file_key(std::string& to) {
  return {"cert_file",
          text_field{&to, "a path"},
          "",
          "/etc/penstock/client.pem",
          "nats, kafka, redis, http: our certificate.",
          sink_key_part::certificates};
}

sink_key key_file_key(std::string& to) {
  return {"key_file",
          text_field{&to, "a path"},
          "",
          "/etc/penstock/client.key",
          "nats, kafka, redis, http: its key.",
          sink_key_part::certificates};
}

} // namespace penstock
