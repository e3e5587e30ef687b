#include "actors/cluster/cluster_settings.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/commands/check_data.hpp"
#include "cli/commands/commands.hpp"
#include "cli/config/config.hpp"
#include "cli/config/config_warnings.hpp"
#include "cli/config/node_memory.hpp"
#include "cli/config/summary.hpp"
#include "net/links/tls_context.hpp"
#include "net/sinks/sink_kinds.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>

namespace penstock {
namespace {

struct check_arguments {
  config_sources sources;
  std::string file;
  std::string data_dir;
  std::string scratch_dir;
  bool json = false;
  bool reference = false;
};

int print_errors(const std::string& text, bool json) {
  if (!json) {
    std::cerr << text << '\n';
    return exit_config;
  }
  boost::json::array errors;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);)
    errors.emplace_back(line);
  std::cout << boost::json::object{{"ok", false}, {"errors", std::move(errors)}} << '\n';
  return exit_config;
}

int check(check_arguments& arguments) {
  if (arguments.reference) {
    std::cout << configuration_reference();
    return exit_ok;
  }
  if (!arguments.data_dir.empty())
    return check_data(arguments.data_dir, arguments.scratch_dir, arguments.json);
  if (!arguments.file.empty()) arguments.sources.file = arguments.file;
  arguments.sources.environment = penstock_environment();
  auto loaded = load_config(arguments.sources);
  if (loaded.has_error()) return print_errors(loaded.error().message, arguments.json);
  for (const auto& [name, sink] : loaded->sinks)
    if (sink.kind != "embedded")
      if (const auto made = make_sink(sink, {name, loaded->node_name}); made.has_error())
        return print_errors(made.error().message, arguments.json);
  const auto& cluster = loaded->cluster;
  if (cluster.directory != directory_kind::none && !cluster.tls_cert.empty())
    if (const auto tls = load_tls_context({cluster.tls_cert, cluster.tls_key, cluster.tls_ca});
        !tls)
      return print_errors(tls.error().message, arguments.json);
  const auto memory = read_memory_limit();
  const auto cores = std::thread::hardware_concurrency();
  settle_memory(*loaded, memory, cores);
  const auto of_memory = memory_warnings(*loaded, memory, cores);
  if (arguments.json) {
    std::cout << summary_json(*loaded, memory_source(*loaded, memory), of_memory) << '\n';
  } else {
    std::cout << summary_text(*loaded) << "memory    " << memory_text(*loaded, memory) << '\n';
    for (const auto& warnings : {warnings_of(*loaded), of_memory})
      for (const auto& warning : warnings)
        std::cerr << "warning: " << warning << '\n';
  }
  return exit_ok;
}

} // namespace

void add_check_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<check_arguments>();
  auto* command = app.add_subcommand("check", "Check a configuration and say what it would do");
  command->footer(
      "Examples:\n  penstock check node.toml\n"
      "  penstock check --data /var/lib/penstock\n"
      "Ends with 78 and all errors when the configuration is wrong. What may not be "
      "meant is a warning on stderr, and in \"warnings\" with --json.\n"
      "With --data it ends with 65 when something is damaged, and says what a start would "
      "lose; with 69 when a node runs on it, or it can't be read. Nothing in it is changed: a "
      "private copy is opened.");
  auto* file =
      command->add_option("FILE", arguments->file, "Configuration file; without one the defaults")
          ->type_name("");
  auto* set = command->add_option("--set", arguments->sources.sets, "Set one key, as for run")
                  ->type_name("SECTION.KEY=VALUE")
                  ->allow_extra_args(false);
  command->add_flag("--json", arguments->json, "Print JSON");
  auto* reference =
      command->add_flag("--reference", arguments->reference,
                        "Print docs/configuration.md, generated from the option table, and end");
  auto* data = command
                   ->add_option("--data", arguments->data_dir,
                                "Look for damage in the data directory of a node that does not run")
                   ->type_name("DIR")
                   ->excludes(file)
                   ->excludes(set)
                   ->excludes(reference);
  command
      ->add_option("--scratch", arguments->scratch_dir,
                   "Where the copy goes, which takes as much room as the directory; without it "
                   "$TMPDIR or /tmp")
      ->type_name("DIR")
      ->needs(data);
  command->callback([arguments, &exit] { exit = check(*arguments); });
}

} // namespace penstock
