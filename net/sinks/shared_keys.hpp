// Keys that several kinds of sinks have, so that they mean the same in each.
#pragma once

#include "net/sinks/sink_key.hpp"

#include <string>

namespace penstock {

/// How to prove who is who; the server's certificate is always verified. Files of PEM.
struct sink_certificates {
  std::string ca_file{};   ///< empty: the system's
  std::string cert_file{}; ///< ours, where the server wants one
  std::string key_file{};
};

/// The server, by a URL whose scheme says whether TLS is used. Needed.
sink_key url_key(std::string& to);
sink_key username_key(std::string& to);
sink_key password_key(std::string& to);
sink_key ca_file_key(std::string& to);
sink_key cert_file_key(std::string& to);
sink_key key_file_key(std::string& to);

} // namespace penstock
