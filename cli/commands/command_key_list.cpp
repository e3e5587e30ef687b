#include "cli/base/exit_code.hpp"
#include "cli/base/table.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

namespace json = boost::json;

struct key_list_arguments {
  admin_options admin;
  std::string account;
  bool all = false;
  bool json = false;
};

/// "streams a, b; origins https://…", or "" for a key that may be used everywhere.
std::string restrictions_of(const json::object& key) {
  std::string text;
  for (const auto* field : {"streams", "origins", "networks"}) {
    const auto* list = key.if_contains(field);
    if (!list || !list->is_array() || list->get_array().empty()) continue;
    text += (text.empty() ? "" : "; ") + std::string{field};
    const char* separator = " ";
    for (const auto& entry : list->get_array()) {
      if (entry.is_string()) text.append(separator).append(entry.get_string());
      separator = ", ";
    }
  }
  return text;
}

/// All pages as one list.
result<json::array> fetch(const key_list_arguments& arguments) {
  json::array keys;
  std::string after;
  for (;;) {
    const auto target = "/v1/admin/keys?limit=10000&account=" + percent_encode(arguments.account) +
                        "&after=" + percent_encode(after);
    auto page = call_admin(arguments.admin, boost::beast::http::verb::get, target);
    if (!page) return page.error();
    const error strange{errc::unavailable, "the admin plane's answer is not a list of keys"};
    if (!page->is_object()) return strange;
    auto& body = page->get_object();
    auto* list = body.if_contains("keys");
    if (!list || !list->is_array()) return strange;
    for (auto& key : list->get_array()) {
      if (!key.is_object()) return strange;
      if (arguments.all || text_of(key.get_object(), "revoked").empty())
        keys.push_back(std::move(key));
    }
    const auto next = text_of(body, "next");
    if (next.empty()) return keys;
    if (next <= after) return strange; // or this would never end
    after = next;
  }
}

int list(const key_list_arguments& arguments) {
  auto keys = fetch(arguments);
  if (!keys) return complain(keys.error());
  if (arguments.json) {
    std::cout << json::object{{"keys", std::move(*keys)}} << '\n';
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "KEY", "ACCOUNT", "PLAN", "CREATED", "EXPIRES", "ONLY"}};
  if (arguments.all) rows.front().insert(rows.front().begin() + 6, "REVOKED");
  for (const auto& entry : *keys) {
    const auto& key = entry.get_object();
    const auto expires = text_of(key, "expires");
    rows.push_back({text_of(key, "id"), text_of(key, "prefix") + "…", text_of(key, "account"),
                    text_of(key, "plan"), text_of(key, "created"),
                    expires.empty() ? "never" : expires, restrictions_of(key)});
    if (arguments.all) rows.back().insert(rows.back().begin() + 6, text_of(key, "revoked"));
  }
  std::cout << table_text(rows);
  return exit_ok;
}

} // namespace

void add_key_list_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<key_list_arguments>();
  auto* command = app.add_subcommand("list", "List API keys, without what is secret of them");
  command->footer("Example:\n  penstock key list --account acme");
  command->add_option("--account", arguments->account, "Only this account's")->type_name("NAME");
  command->add_flag("--all", arguments->all, "Also keys revoked in the last 30 days");
  command->add_flag("--json", arguments->json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = list(*arguments); });
}

} // namespace penstock
