#include "cli/base/exit_code.hpp"
#include "cli/client/job_watch.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/dead_letters_options.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

namespace json = boost::json;
using boost::beast::http::verb;

struct retry_arguments {
  dead_letters_choice which;
  std::uint32_t rate = 0;
  bool detach = false;
};

int retry_dead_letters_of(const retry_arguments& arguments) {
  auto request = letters_choice(arguments.which);
  if (!request) return complain(request.error());
  if (arguments.rate > 0) (*request)["rate"] = arguments.rate;
  const auto job = job_of(call_admin(arguments.which.admin, verb::post,
                                     "/v1/admin/dead-letters/replay", json::serialize(*request)));
  if (!job) return complain(job.error());
  if (text_of(*job, "job").empty() && !arguments.which.json) {
    std::cout << "no dead letters match\n";
    return exit_ok;
  }
  return watch_job(arguments.which.admin, *job, {arguments.detach, arguments.which.json});
}

int drop_dead_letters_of(const dead_letters_choice& which) {
  const auto request = letters_choice(which);
  if (!request) return complain(request.error());
  const auto done =
      call_admin(which.admin, verb::post, "/v1/admin/dead-letters/drop", json::serialize(*request));
  if (!done) return complain(done.error());
  const auto* dropped = done->get_object().if_contains("dropped");
  if (!dropped)
    return complain({errc::unavailable, "the admin plane's answer does not say what it dropped"});
  if (which.json)
    std::cout << json::serialize(*done) << '\n';
  else
    std::cout << "dropped " << json::serialize(*dropped) << '\n';
  return exit_ok;
}

} // namespace

void add_dead_letters_retry_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<retry_arguments>();
  auto* command = app.add_subcommand("retry", "Send dead letters to their sinks again");
  command->footer("What a sink takes is no dead letter any more; what it refuses again stays one.\n"
                  "Ends with 69 when it refused some.\n"
                  "Examples:\n  penstock dead-letters retry --sink bus\n"
                  "  penstock dead-letters retry 000000000000002a-abcdefgh\n"
                  "  penstock dead-letters retry --all --rate 100 --detach");
  add_letters_choice(*command, arguments->which);
  add_dead_letters_options(*command, arguments->which);
  command
      ->add_option("--rate", arguments->rate, "Events per second; as fast as it goes if not said")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000'000));
  command->add_flag("--detach", arguments->detach, "Start it and don't wait for its end");
  command->callback([arguments, &exit] { exit = retry_dead_letters_of(*arguments); });
}

void add_dead_letters_drop_command(CLI::App& app, int& exit) {
  auto which = std::make_shared<dead_letters_choice>();
  auto* command = app.add_subcommand("drop", "Drop dead letters, for good");
  command->footer("Examples:\n  penstock dead-letters drop 000000000000002a-abcdefgh\n"
                  "  penstock dead-letters drop --sink old");
  add_letters_choice(*command, *which);
  add_dead_letters_options(*command, *which);
  command->callback([which, &exit] { exit = drop_dead_letters_of(*which); });
}

} // namespace penstock
