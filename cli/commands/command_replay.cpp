#include "cli/base/exit_code.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/client/job_watch.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

namespace json = boost::json;

struct replay_arguments {
  admin_options admin;
  job_output output;
  std::string stream, sink, from, to;
  std::uint32_t rate = 0;
  bool dry_run = false;
};

int print_count(const json::object& counted, bool as_json) {
  if (as_json) {
    std::cout << json::serialize(counted) << '\n';
    return exit_ok;
  }
  const auto* total = counted.if_contains("total");
  std::cout << (total ? json::serialize(*total) : "0") << " events would be sent";
  const auto from = text_of(counted, "from"), to = text_of(counted, "to");
  if (!from.empty()) std::cout << ", from " << from << " to " << to;
  std::cout << '\n';
  return exit_ok;
}

int run_replay(const replay_arguments& arguments) {
  if (arguments.stream.empty())
    return complain({errc::invalid, "which stream? Write: penstock replay STREAM --sink NAME"});
  if (arguments.sink.empty())
    return complain({errc::invalid, "where to? Add --sink NAME, one of [sinks] in the node's "
                                    "configuration"});
  json::object request{{"stream", arguments.stream}, {"sink", arguments.sink}};
  if (!arguments.from.empty()) request["from"] = arguments.from;
  if (!arguments.to.empty()) request["to"] = arguments.to;
  if (arguments.rate > 0) request["rate"] = arguments.rate;
  if (arguments.dry_run) request["dry_run"] = true;
  const auto job = job_of(call_admin(arguments.admin, boost::beast::http::verb::post,
                                     "/v1/admin/replay", json::serialize(request)));
  if (!job) return complain(job.error());
  if (arguments.dry_run) return print_count(*job, arguments.output.json);
  return watch_job(arguments.admin, *job, arguments.output);
}

} // namespace

void add_replay_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<replay_arguments>();
  auto* command = app.add_subcommand("replay", "Send a stream's events to a sink again");
  command->footer(
      "Sends what the journal still has of a stream, from one event or time to another, both\n"
      "inclusive; by default all. The node does it as a job, which goes on after an interrupt "
      "here\n"
      "and after a restart of the node. Ends with 69 when not all of it could be sent. A stream\n"
      "that is called as a command below goes by --stream.\n"
      "Examples:\n  penstock replay heartbeats --sink bus --from -24h --rate 5000\n"
      "  penstock replay errors --sink bus --from 2026-11-01T00:00:00Z --dry-run\n"
      "  penstock replay status r7 --watch");
  command->add_option("STREAM,--stream", arguments->stream, "The stream")->type_name("NAME");
  command->add_option("--sink", arguments->sink, "Where to send them; as in [sinks.NAME]")
      ->type_name("NAME");
  command
      ->add_option("--from", arguments->from,
                   "The first: an event's id, an RFC 3339 time, or so long ago (-24h)")
      ->type_name("ID|TIME");
  command->add_option("--to", arguments->to, "The last")->type_name("ID|TIME");
  command
      ->add_option("--rate", arguments->rate, "Events per second; as fast as it goes if not said")
      ->type_name("N")
      ->check(CLI::Range(1, 10'000'000));
  auto* dry = command->add_flag("--dry-run", arguments->dry_run, "Only count; send nothing");
  command->add_flag("--detach", arguments->output.detach, "Start it and don't wait for its end")
      ->excludes(dry);
  command->add_flag("--json", arguments->output.json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->require_subcommand(0, 1);
  add_replay_job_commands(*command, exit);
  command->callback([arguments, command, &exit] {
    if (command->get_subcommands().empty()) exit = run_replay(*arguments);
  });
}

} // namespace penstock
