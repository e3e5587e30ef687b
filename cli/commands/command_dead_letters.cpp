#include "cli/commands/commands.hpp"

namespace penstock {

void add_dead_letters_command(CLI::App& app, int& exit) {
  auto* command = app.add_subcommand("dead-letters", "What sinks refused for good: list, show, "
                                                     "export, retry, drop");
  command->footer("Examples:\n  penstock dead-letters list --sink bus\n"
                  "  penstock dead-letters show 000000000000002a-abcdefgh\n"
                  "  penstock dead-letters retry --sink bus\n"
                  "  penstock dead-letters export --sink bus > letters.ndjson\n"
                  "  penstock dead-letters drop 000000000000002a-abcdefgh");
  command->require_subcommand(1);
  add_dead_letters_list_command(*command, exit);
  add_dead_letters_show_command(*command, exit);
  add_dead_letters_export_command(*command, exit);
  add_dead_letters_retry_command(*command, exit);
  add_dead_letters_drop_command(*command, exit);
}

} // namespace penstock
