#include "cli/commands/commands.hpp"
#include "cli/node/run.hpp"

#include <memory>
#include <string>

namespace penstock {

void add_run_command(CLI::App& app, int& exit) {
  auto sources = std::make_shared<config_sources>();
  auto* run = app.add_subcommand("run", "Run a node until SIGTERM, which drains it");
  run->footer("Example:\n  penstock run --config node.toml --set log.level=debug");
  run->add_option_function<std::string>(
         "-c,--config", [sources](const std::string& file) { sources->file = file; },
         "Configuration file; without one every key has its default")
      ->type_name("FILE");
  run->add_option("--set", sources->sets, "Set one key; beats the environment and the file")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  run->callback([sources, &exit] {
    sources->environment = penstock_environment();
    exit = run_node(*sources);
  });
}

} // namespace penstock
