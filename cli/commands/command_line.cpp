#include "actors/base/did_you_mean.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/base/problems.hpp"
#include "cli/commands/commands.hpp"

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

// A line a command, in the order of `penstock --help`. Its file defines
// `void add_NAME_command(CLI::App& app, int& exit)`, which adds it to `app`; when it is chosen, it
// runs during parsing and leaves its exit code in `exit`, which outlives the parsing.
#define PENSTOCK_COMMANDS(COMMAND)                                                                 \
  COMMAND(run)                                                                                     \
  COMMAND(check)                                                                                   \
  COMMAND(consume)                                                                                 \
  COMMAND(status)                                                                                  \
  COMMAND(usage)                                                                                   \
  COMMAND(key)                                                                                     \
  COMMAND(plan)                                                                                    \
  COMMAND(dead_letters)                                                                            \
  COMMAND(replay)                                                                                  \
  COMMAND(drain)                                                                                   \
  COMMAND(adopt)                                                                                   \
  COMMAND(version)

namespace penstock {

#define PENSTOCK_DECLARE_COMMAND(name) void add_##name##_command(CLI::App& app, int& exit);
PENSTOCK_COMMANDS(PENSTOCK_DECLARE_COMMAND)

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
  app.footer(
      "Example:\n  penstock run --config node.toml\n"
      "Exit codes: 0, 64 usage, 65 damaged data, 69 unavailable, 70 internal, 78 configuration.");
  app.require_subcommand(1);
  int exit = exit_ok;
#define PENSTOCK_ADD_COMMAND(name) add_##name##_command(app, exit);
  PENSTOCK_COMMANDS(PENSTOCK_ADD_COMMAND)
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
