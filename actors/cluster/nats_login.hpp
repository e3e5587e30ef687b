// Who we are to a NATS server, and how we know the server: for the directory, and for sinks.
#pragma once

#include <string>

namespace penstock {

/// Never logged. Files are read when connecting.
struct nats_login {
  std::string username{};
  std::string password{};
  std::string token{};
  std::string credentials_file{}; ///< a .creds file
  std::string ca_file{};          ///< PEM; empty: the system's
  std::string cert_file{};        ///< PEM, ours, where the server wants one
  std::string key_file{};         ///< PEM
};

} // namespace penstock
