#include "actors/base/units.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "net/base/rfc3339.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

namespace json = boost::json;

struct key_create_arguments {
  admin_options admin;
  std::string account;
  std::string plan;
  std::vector<std::string> streams, origins, networks;
  std::string expires;
  bool json = false;
};

json::array array_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts)
    out.emplace_back(text);
  return out;
}

// "30d" from now, or a time as it is: the node checks it.
std::string expiry_of(const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration) return text;
  const auto end = std::chrono::system_clock::now().time_since_epoch() + *duration;
  return rfc3339(std::chrono::duration_cast<std::chrono::milliseconds>(end).count());
}

int create(const key_create_arguments& arguments) {
  json::object request{{"account", arguments.account}, {"plan", arguments.plan}};
  if (!arguments.streams.empty()) request["streams"] = array_of(arguments.streams);
  if (!arguments.origins.empty()) request["origins"] = array_of(arguments.origins);
  if (!arguments.networks.empty()) request["networks"] = array_of(arguments.networks);
  if (!arguments.expires.empty()) request["expires"] = expiry_of(arguments.expires);
  const auto made = call_admin(arguments.admin, boost::beast::http::verb::post, "/v1/admin/keys",
                               json::serialize(request));
  if (!made) return complain(made.error());
  if (arguments.json) {
    std::cout << *made << '\n';
    return exit_ok;
  }
  for (const auto* field : {"key", "id", "account", "plan", "expires"})
    if (const auto* value = made->get_object().if_contains(field); value && value->is_string())
      std::cout << fmt::format("{:<9}{}\n", field, std::string_view{value->get_string()});
  std::cerr << "Keep the key now: it is not shown again.\n";
  return exit_ok;
}

} // namespace

void add_key_create_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<key_create_arguments>();
  auto* command = app.add_subcommand("create", "Make an API key for an account");
  command->footer("Prints the key, which is kept nowhere and never shown again.\n"
                  "Example:\n  penstock key create acme --plan pro --stream errors \\\n"
                  "    --origin https://example.org --network 203.0.113.0/24 --expires 365d");
  command->add_option("ACCOUNT", arguments->account, "Whose key it is")->required()->type_name("");
  command->add_option("--plan", arguments->plan, "The plan that limits what it may send")
      ->required()
      ->type_name("NAME");
  const auto list = [&](const char* option, std::vector<std::string>& into, const char* type,
                        const char* what) {
    command->add_option(option, into, what)->type_name(type)->allow_extra_args(false);
  };
  list("--stream", arguments->streams, "NAME",
       "Allow this stream; may be given again. Without: all");
  list("--origin", arguments->origins, "ORIGIN",
       "Allow requests whose Referer has this origin; may be given again. Without: all");
  list("--network", arguments->networks, "CIDR",
       "Allow clients of this network; may be given again. Without: all");
  command
      ->add_option("--expires", arguments->expires,
                   "When it ends: an RFC 3339 time, or a duration from now, like 30d")
      ->type_name("TIME");
  command->add_flag("--json", arguments->json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = create(*arguments); });
}

} // namespace penstock
