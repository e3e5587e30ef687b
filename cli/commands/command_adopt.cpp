#include "actors/base/units.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "cli/config/node_memory.hpp"
#include "cli/node/adopt.hpp"
#include "cli/node/logging.hpp"
#include "storage/base/files.hpp"

#include <csignal>
#include <iostream>
#include <memory>
#include <string_view>
#include <thread>

namespace penstock {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds least_patience = 1s;

std::atomic<bool> adopt_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free); // a signal handler sets it

struct adopt_arguments {
  config_sources sources;
  std::string dir;
  std::string to;
  std::string key_file;
  std::string patience = "1m";
  bool without_queue = false;
  bool dry_run = false;
  bool json = false;
};

// The first signal ends it in good order, the second at once.
void end_on_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { adopt_interrupted = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : {SIGINT, SIGTERM})
    sigaction(number, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

// A URL without a path.
bool is_origin(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (url.starts_with(scheme)) {
      const auto rest = url.substr(scheme.size());
      return !rest.empty() &&
             rest.find_first_of("/?# ") >= rest.size() - (rest.ends_with('/') ? 1 : 0);
    }
  return false;
}

result<adopt_request> request_of(const adopt_arguments& arguments) {
  adopt_request request{.dir = arguments.dir,
                        .to = arguments.to,
                        .without_queue = arguments.without_queue,
                        .dry_run = arguments.dry_run};
  const auto patience = parse_duration(arguments.patience);
  if (!patience || *patience < least_patience)
    return error{errc::invalid, "--patience: '" + arguments.patience +
                                    "' is no duration of 1s or more; write 30s or 5m"};
  request.patience_ms = *patience;
  if (!request.to.empty() && !is_origin(request.to))
    return error{errc::invalid, "--to: write http://HOST:PORT of a living node's ingest plane"};
  if (arguments.key_file.empty()) return request;
  const auto key = read_file(arguments.key_file);
  if (!key) return error{errc::invalid, "--key-file: " + key.error().message};
  request.to_key = key->substr(0, key->find_first_of(" \t\r\n"));
  return request;
}

int run_adopt(adopt_arguments& arguments) {
  const auto request = request_of(arguments);
  if (!request) return complain(request.error());
  arguments.sources.environment = penstock_environment();
  auto settings = load_config(arguments.sources);
  if (!settings) {
    std::cerr << settings.error().message << '\n';
    return exit_config;
  }
  settle_memory(*settings, read_memory_limit(), std::thread::hardware_concurrency());
  // The summary says what went well.
  if (settings->log.level == "info") settings->log.level = "warn";
  start_logging(settings->log, "adopt");
  end_on_signals();
  progress_bar bar;
  const auto report =
      adopt(*settings, *request, adopt_interrupted, [&](const progress& now) { bar.show(now); });
  bar.clear();
  stop_logging();
  if (!report) return complain(report.error());
  for (const auto& sentence : report->damaged)
    std::cerr << "penstock: " << sentence << '\n';
  std::cout << (arguments.json ? adopt_json(*report) + "\n" : adopt_text(*report));
  return request->dry_run || report->is_done() ? exit_ok : exit_unavailable;
}

} // namespace

void add_adopt_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<adopt_arguments>();
  auto* command = app.add_subcommand("adopt", "Publish what a node that died for good still owed");
  command->footer(
      "DIR is the dead node's data_dir, or a copy of it. Sinks and streams are those of --config:\n"
      "the dead node's file, or that of another node of its cluster. Events keep their ids. How\n"
      "far each sink came is saved in DIR, so it may be interrupted and run again. Events that\n"
      "consumers of the embedded queue have not acknowledged go to a living node with --to.\n"
      "Ends with 0 when nothing is owed any more, with 69 when something is left, a sink refused\n"
      "events, or a node runs on DIR.\n"
      "Examples:\n  penstock adopt /mnt/b/penstock --config node.toml --dry-run\n"
      "  penstock adopt /mnt/b/penstock --config node.toml --to http://10.0.0.2:8080");
  command->add_option("DIR", arguments->dir, "The dead node's data directory")
      ->required()
      ->type_name("DIR");
  command
      ->add_option_function<std::string>(
          "-c,--config", [arguments](const std::string& file) { arguments->sources.file = file; },
          "Whose sinks and streams; its node.data_dir does not matter")
      ->type_name("FILE");
  command->add_option("--set", arguments->sources.sets, "Set one key, as for 'penstock run'")
      ->type_name("SECTION.KEY=VALUE")
      ->allow_extra_args(false);
  auto* to = command->add_option("--to", arguments->to,
                                 "Where events of the embedded queue go: a living node's ingest "
                                 "plane, which gets them as CloudEvents");
  to->type_name("URL");
  command->add_option("--key-file", arguments->key_file, "A file with an API key of that node")
      ->type_name("FILE")
      ->needs(to);
  command
      ->add_flag("--without-queue", arguments->without_queue, "Leave the embedded queue's events")
      ->excludes(to);
  command
      ->add_option("--patience", arguments->patience,
                   "Give up sinks that have taken nothing for so long")
      ->type_name("DURATION")
      ->capture_default_str();
  command->add_flag("--dry-run", arguments->dry_run, "Only count what is owed; publish nothing");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->callback([arguments, &exit] { exit = run_adopt(*arguments); });
}

} // namespace penstock
