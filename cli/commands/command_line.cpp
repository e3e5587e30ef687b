#include "actors/base/did_you_mean.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/base/problems.hpp"
#include "cli/commands/commands.hpp"

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace penstock {

namespace {

// Of a misspelt command the parser only says that a command is missing.
std::string unknown_command(const CLI::App& app, int argc, const char* const* argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  if (first.empty() || first.starts_with('-')) return {};
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands({}))
    names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), first) != names.end()) return {};
  const auto meant = nearest(first, names);
  return "there is no command " + quote(first) +
         (meant.empty() ? "" : "; did you mean " + meant + "?");
}

} // namespace

int run_command_line(int argc, const char* const* argv) {
  CLI::App app{"Penstock takes in events over HTTP, limits who may send, makes them durable and "
               "hands them on.",
               "penstock"};
  app.footer("Example:\n  penstock run --config node.toml\n"
             "Exit codes: 0, 64 usage, 65 damaged data, 69 unavailable, 70 internal, 78 configuration.");
  app.require_subcommand(1);
  int exit = exit_ok;
  add_run_command(app, exit);
  add_check_command(app, exit);
  add_consume_command(app, exit);
  add_status_command(app, exit);
  add_usage_command(app, exit);
  add_key_command(app, exit);
  add_plan_command(app, exit);
  add_dead_letters_command(app, exit);
  add_replay_command(app, exit);
  add_drain_command(app, exit);
  add_adopt_command(app, exit);
  add_version_command(app, exit);
  if (const auto unknown = unknown_command(app, argc, argv); !unknown.empty()) {
    std::cerr << "penstock: " << unknown << "\nRun with --help for more information.\n";
    return exit_usage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& stopped) {
    // Asking for help ends the parsing too, but is no error.
    if (app.exit(stopped, std::cout, std::cerr) != 0) return exit_usage;
  } catch (const std::exception& failure) {
    std::cerr << "penstock: internal error: " << failure.what() << '\n';
    return exit_internal;
  }
  return exit;
}

} // namespace penstock
