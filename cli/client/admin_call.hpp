// What commands that talk to a node's admin plane share.
#pragma once

#include "cli/client/http_client.hpp"
#include "storage/base/result.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace penstock {

/// Where the admin plane is; from the node's own environment variables unless said otherwise.
struct admin_options {
  std::string url;
  std::string token;
};

/// Adds --admin and --token, with their defaults from the environment.
void add_admin_options(CLI::App& command, admin_options& options);

/// One request: its JSON answer, null for an empty one. Errors: invalid for a wrong address or
/// what the node refuses, config when it does not take the token, unavailable when it can't be
/// reached or fails.
result<boost::json::value> call_admin(const admin_options& options, boost::beast::http::verb verb,
                                      const std::string& target, const std::string& body = {});

/// What a refusal of the server means for the user; RFC 9457 documents say why.
error refusal_of(const http_response& response);

/// "a b" as "a%20b".
std::string percent_encode(std::string_view text);

/// Tells stderr what went wrong and gives the exit code for it.
int complain(const error& why);

} // namespace penstock
