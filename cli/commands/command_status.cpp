#include "cli/base/exit_code.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "cli/views/status_view.hpp"

#include <boost/json.hpp>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <thread>
#include <unistd.h>

namespace penstock {
namespace {

struct status_arguments {
  admin_options admin;
  bool json = false;
  std::uint32_t watch_s = 0; ///< 0: once
};

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int show_status(const status_arguments& arguments) {
  // Only a terminal can be wiped; elsewhere what comes next stands below.
  const bool wipes = arguments.watch_s > 0 && ::isatty(STDOUT_FILENO) != 0;
  std::optional<status_sample> before;
  for (bool first = true;; first = false) {
    const auto answer =
        call_admin(arguments.admin, boost::beast::http::verb::get, "/v1/admin/status");
    if (!answer) return complain(answer.error());
    const auto& status = answer->get_object();
    if (arguments.json) {
      std::cout << status << '\n';
    } else {
      const auto now = sample_of(status, steady_seconds());
      if (!now) return complain(now.error());
      const auto text = status_text(status, before, *now);
      if (!text) return complain(text.error());
      std::cout << (wipes ? "\x1b[H\x1b[2J" : first ? "" : "\n") << *text;
      before = *now;
    }
    std::cout.flush();
    if (!std::cout) return complain({errc::unavailable, "stdout can't be written"});
    if (arguments.watch_s == 0) return exit_ok;
    std::this_thread::sleep_for(std::chrono::seconds{arguments.watch_s});
  }
}

} // namespace

void add_status_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<status_arguments>();
  auto* command =
      app.add_subcommand("status", "How a node is: journal, queues, sinks and their lag");
  command->footer(
      "LAG counts events that are durable and that the sink has not settled, SIZE the bytes of\n"
      "their bodies, OLDEST the age of the first of them. STATE is ok, retrying, or open: then "
      "the\n"
      "sink gets a probe now and then. Ends with 69 when the node can't be reached, with 78 when\n"
      "it does not take the token.\n"
      "Examples:\n  penstock status\n  penstock status --watch 2\n"
      "  penstock status --json | jq '.sinks[].streams[].lag_s'");
  command->add_flag("--json", arguments->json,
                    "Print what the admin plane answers, an object a line");
  command
      ->add_option("--watch", arguments->watch_s, "Again every so often, with rates, until ended")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 3600));
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = show_status(*arguments); });
}

} // namespace penstock
