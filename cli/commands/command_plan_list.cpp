#include "actors/limits/limit_text.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/base/table.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "cli/config/summary.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

struct plan_list_arguments {
  admin_options admin;
  bool json = false;
};

int list(const plan_list_arguments& arguments) {
  const auto answer = call_admin(arguments.admin, boost::beast::http::verb::get, "/v1/admin/plans");
  if (!answer) return complain(answer.error());
  if (arguments.json) {
    std::cout << *answer << '\n';
    return exit_ok;
  }
  const error strange{errc::unavailable, "the admin plane's answer is not a list of plans"};
  const auto* plans = answer->is_object() ? answer->get_object().if_contains("plans") : nullptr;
  if (!plans || !plans->is_array()) return complain(strange);
  std::vector<std::vector<std::string>> rows{{"PLAN", "FROM", "KEYS", "LIMITS"}};
  for (const auto& entry : plans->get_array()) {
    const auto* object = entry.if_object();
    const auto* name = object ? object->if_contains("name") : nullptr;
    const auto* source = object ? object->if_contains("source") : nullptr;
    const auto* keys = object ? object->if_contains("keys") : nullptr;
    const auto* limits = object ? object->if_contains("limits") : nullptr;
    if (!name || !name->is_string() || !source || !source->is_string() || !keys || !limits)
      return complain(strange);
    const auto known = parse_limits(*limits);
    // A newer node may know limits that we don't; then they are shown as they came.
    rows.push_back({std::string{name->get_string()}, std::string{source->get_string()},
                    boost::json::serialize(*keys),
                    known ? describe_limits(*known) : boost::json::serialize(*limits)});
  }
  std::cout << table_text(rows);
  return exit_ok;
}

} // namespace

void add_plan_list_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<plan_list_arguments>();
  auto* command = app.add_subcommand("list", "List the plans in force");
  command->footer("FROM is the configuration, or admin for a plan that was set while running.\n"
                  "Example:\n  penstock plan list");
  command->add_flag("--json", arguments->json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = list(*arguments); });
}

} // namespace penstock
