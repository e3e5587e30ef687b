// Where NATS servers are found.
#pragma once

#include "storage/base/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace penstock {

inline constexpr std::size_t max_nats_servers = 16;

struct nats_server {
  std::string url;   ///< for the library; may hold a password
  std::string shown; ///< for messages: without user, password and token
  bool tls = false;
};

/// Reads "nats://[USER:PASSWORD@]HOST[:PORT],tls://…". Errors: config, without the URL's text, as
/// that may hold a password.
result<std::vector<nats_server>> parse_nats_servers(std::string_view urls);

/// Why a subject can't be published to, or "". Tokens stand between dots, none is empty, wildcards
/// and blanks are not allowed, and those that begin with '$' are the server's own.
std::string_view nats_subject_fault(std::string_view subject);

/// Why no JetStream stream can have this name, or "".
std::string_view nats_stream_fault(std::string_view name);

} // namespace penstock
