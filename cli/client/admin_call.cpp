#include "cli/client/admin_call.hpp"

#include "cli/base/exit_code.hpp"
#include "cli/config/config.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <cctype>
#include <iostream>

namespace penstock {
namespace {

namespace json = boost::json;
constexpr std::chrono::seconds answer_timeout{30};

} // namespace

// The node's own variables say where its admin plane is, so one environment serves both.
void add_admin_options(CLI::App& command, admin_options& options) {
  const auto environment = penstock_environment();
  const auto listen = environment.find("PENSTOCK_ADMIN_LISTEN");
  const auto token = environment.find("PENSTOCK_ADMIN_TOKEN");
  options.url =
      "http://" + (listen == environment.end() ? std::string{"127.0.0.1:8081"} : listen->second);
  if (token != environment.end()) options.token = token->second;
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

result<json::value> call_admin(const admin_options& options, boost::beast::http::verb verb,
                               const std::string& target, const std::string& body) {
  const auto server = server_url::parse(options.url);
  if (!server) return server.error();
  http_client client{*server, options.token};
  const auto response = client.request(verb, target, body, answer_timeout);
  if (!response) return response.error();
  if (response->status < 200 || response->status > 299) return refusal_of(*response);
  if (response->body.empty()) return json::value{};
  boost::system::error_code failed;
  auto document = json::parse(response->body, failed);
  if (failed || !document.is_object())
    return error{errc::unavailable, "the admin plane's answer is no JSON object; is this the "
                                    "address of a penstock node?"};
  return document;
}

error refusal_of(const http_response& response) {
  std::string why;
  boost::system::error_code bad;
  const auto body = json::parse(response.body, bad);
  if (!bad && body.is_object())
    for (const auto* field : {"title", "detail"})
      if (const auto* text = body.get_object().if_contains(field); text && text->is_string())
        why += fmt::format(": {}", std::string_view{text->get_string()});
  const auto code = response.status == 401 || response.status == 403 || response.status == 421
                        ? errc::config
                    : response.status >= 500 ? errc::unavailable
                                             : errc::invalid;
  return {code, fmt::format("the admin plane answered {}{}", response.status, why)};
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

int complain(const error& why) {
  std::cerr << "penstock: " << why.message << '\n';
  if (why.code == errc::config) return exit_config;
  return why.code == errc::invalid || why.code == errc::not_found ? exit_usage : exit_unavailable;
}

} // namespace penstock
