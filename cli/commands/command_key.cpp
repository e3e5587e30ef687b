#include "cli/commands/commands.hpp"

namespace penstock {

void add_key_command(CLI::App& app, int& exit) {
  auto* command = app.add_subcommand("key", "Make, list and revoke API keys");
  command->footer("Examples:\n  penstock key create acme --plan pro\n  penstock key list\n"
                  "  penstock key revoke key_3qv7xkz5m2d6w4ta");
  command->require_subcommand(1);
  add_key_create_command(*command, exit);
  add_key_list_command(*command, exit);
  add_key_revoke_command(*command, exit);
}

} // namespace penstock
