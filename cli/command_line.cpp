#include "cli/commands.hpp"
#include "cli/exit_code.hpp"

#include <exception>
#include <iostream>

namespace penstock {

int run_command_line(int argc, const char* const* argv) {
  CLI::App app{"Penstock takes in events over HTTP, limits who may send, makes them durable and "
               "hands them on.",
               "penstock"};
  app.footer("Example:\n  penstock run --config node.toml\n"
             "Exit codes: 0, 64 usage, 69 unavailable, 70 internal, 78 configuration.");
  app.require_subcommand(1);
  int exit = exit_ok;
  add_run_command(app, exit);
  add_check_command(app, exit);
  add_consume_command(app, exit);
  add_version_command(app, exit);
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
