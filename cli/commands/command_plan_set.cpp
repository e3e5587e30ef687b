#include "actors/limits/limit_text.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/base/problems.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "cli/config/limits_config.hpp"
#include "storage/base/files.hpp"

#include <fmt/format.h>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

struct plan_set_arguments {
  admin_options admin;
  std::string name;
  std::string limits;
  std::string file;
  bool json = false;
};

struct limits_source {
  std::string text; ///< TOML
  value_source name;
};

error invalid(std::string why) {
  return {errc::invalid, std::move(why)};
}

/// The list in a document: that of [plans.NAME], or a `limits` of its own.
const toml::node* find_limits(const toml::table& document, const std::string& name) {
  if (const auto* plans = document["plans"].as_table())
    if (const auto* plan = (*plans)[name].as_table())
      if (const auto* limits = plan->get("limits")) return limits;
  return document.get("limits");
}

/// Checked here as a node's configuration is, so that errors have a line.
result<std::vector<limit>> limits_of(const limits_source& from, const std::string& name) {
  toml::table document;
  try {
    document = toml::parse(std::string_view{from.text});
  } catch (const toml::parse_error& failure) {
    return invalid(fmt::format("{}: this is not TOML: {}", place(from.name, failure.source()),
                               failure.description()));
  }
  const auto* node = find_limits(document, name);
  if (!node)
    return invalid(fmt::format("{}: there is neither [plans.{}] with limits nor limits",
                               from.name.name, name));
  problem_list problems;
  std::vector<limit> limits;
  const auto read = read_limits(limits);
  read.set(*node,
           {&problems, from.name, "limits", read.type,
            R"([{ name = "daily", algorithm = "calendar", amount = 10000, window = "day" }])"});
  if (!problems.empty()) return invalid(problems.text());
  return limits;
}

result<limits_source> source_of(const plan_set_arguments& arguments) {
  if (arguments.file.empty())
    return limits_source{"limits = " + arguments.limits, {"--limits", false}};
  auto text = read_file(arguments.file);
  if (!text) return invalid(arguments.file + ": " + text.error().message);
  return limits_source{std::move(*text), {arguments.file, true}};
}

int set(const plan_set_arguments& arguments) {
  if (!is_name(arguments.name))
    return complain(invalid(quote(arguments.name) + " is not " + std::string{name_rule}));
  const auto source = source_of(arguments);
  if (!source) return complain(source.error());
  const auto limits = limits_of(*source, arguments.name);
  if (!limits) return complain(limits.error());
  const auto done = call_admin(arguments.admin, boost::beast::http::verb::put,
                               "/v1/admin/plans/" + percent_encode(arguments.name),
                               "{\"limits\":" + limits_text(*limits) + "}");
  if (!done) return complain(done.error());
  if (arguments.json)
    std::cout << *done << '\n';
  else
    std::cout << "set " << arguments.name << " with "
              << (limits->size() == 1 ? "1 limit" : std::to_string(limits->size()) + " limits")
              << '\n';
  return exit_ok;
}

} // namespace

void add_plan_set_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<plan_set_arguments>();
  auto* command = app.add_subcommand("set", "Set a plan's limits, on all nodes, while they run");
  command->footer(
      "What was used under limits that stay is kept. The plan wins over the configuration's of\n"
      "that name until it is deleted.\n"
      "Examples:\n  penstock plan set pro --limits '[{name = \"daily\", algorithm = \"calendar\", "
      "amount = 10000, window = \"day\"}]'\n  penstock plan set pro --file plans.toml");
  command->add_option("NAME", arguments->name, "The plan")->required()->type_name("");
  auto* limits = command->add_option("--limits", arguments->limits,
                                     "The limits, as in the configuration; [] for none");
  limits->type_name("TOML");
  auto* file = command->add_option("--file", arguments->file,
                                   "A file with [plans.NAME], or with limits = [...]");
  file->type_name("FILE")->excludes(limits);
  command->add_flag("--json", arguments->json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, limits, file, &exit] {
    exit = limits->count() + file->count() == 0
               ? complain(invalid("the limits are missing; add --limits or --file"))
               : set(*arguments);
  });
}

} // namespace penstock
