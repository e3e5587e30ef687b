#include "cli/admin_plane.hpp"

#include "cli/config.hpp"
#include "cli/exit_code.hpp"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <cctype>
#include <iostream>

namespace penstock {

admin_options::admin_options() {
  const auto environment = penstock_environment();
  const auto listen = environment.find("PENSTOCK_ADMIN_LISTEN");
  const auto secret = environment.find("PENSTOCK_ADMIN_TOKEN");
  url = "http://" + (listen == environment.end() ? std::string{"127.0.0.1:8081"} : listen->second);
  if (secret != environment.end()) token = secret->second;
}

void add_admin_options(CLI::App& command, admin_options& options) {
  command
      .add_option("--admin", options.url,
                  "The node's admin plane; by default from PENSTOCK_ADMIN_LISTEN")
      ->type_name("URL")
      ->capture_default_str();
  command
      .add_option("--token", options.token,
                  "The admin plane's token; by default from PENSTOCK_ADMIN_TOKEN")
      ->type_name("TOKEN");
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

// RFC 9457 documents say why.
error refusal_of(const http_response& response) {
  std::string why;
  boost::system::error_code bad;
  const auto body = boost::json::parse(response.body, bad);
  if (!bad && body.is_object())
    for (const auto* field : {"title", "detail"})
      if (const auto* text = body.get_object().if_contains(field); text && text->is_string())
        why += fmt::format(": {}", std::string_view{text->get_string()});
  const auto code = response.status == 401 || response.status == 403 ? errc::config
                    : response.status >= 500                         ? errc::unavailable
                                                                     : errc::invalid;
  return {code, fmt::format("the admin plane answered {}{}", response.status, why)};
}

int exit_code_of(errc code) {
  if (code == errc::config) return exit_config;
  return code == errc::invalid ? exit_usage : exit_unavailable;
}

int complain(const std::string& what, int code) {
  std::cerr << "penstock: " << what << '\n';
  return code;
}

} // namespace penstock
