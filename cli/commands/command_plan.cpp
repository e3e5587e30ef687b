#include "cli/commands/commands.hpp"

namespace penstock {

void add_plan_command(CLI::App& app, int& exit) {
  auto* command = app.add_subcommand("plan", "List and set plans");
  command->footer("Examples:\n  penstock plan list\n"
                  "  penstock plan set pro --limits '[{name = \"daily\", algorithm = \"calendar\", "
                  "amount = 10000, window = \"day\"}]'");
  command->require_subcommand(1);
  add_plan_list_command(*command, exit);
  add_plan_set_command(*command, exit);
}

} // namespace penstock
