// What commands that talk to a node's admin plane share.
#pragma once

#include "cli/http_client.hpp"

#include <CLI/App.hpp>

#include <string>
#include <string_view>

namespace penstock {

/// Where the admin plane is; by default where the environment says, which may be the node's own.
struct admin_options {
  admin_options();
  std::string url;
  std::string token;
};

/// Adds --admin and --token; `options` must outlive the parsing.
void add_admin_options(CLI::App& command, admin_options& options);

/// Text as a query's value.
std::string percent_encode(std::string_view text);

/// What an answer other than a success says. Errors: config for 401 and 403, unavailable for 5xx,
/// else invalid.
error refusal_of(const http_response& response);

/// The exit code that tells of such an error.
int exit_code_of(errc code);

/// Says what went wrong on stderr and gives `code` back.
int complain(const std::string& what, int code);

} // namespace penstock
