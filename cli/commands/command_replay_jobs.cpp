#include "cli/base/exit_code.hpp"
#include "cli/base/table.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/client/job_watch.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

namespace json = boost::json;
using boost::beast::http::verb;

struct job_arguments {
  admin_options admin;
  job_output output;
  std::string id;
  bool watch = false;
};

std::string job_cell(const json::object& job, std::string_view field) {
  const auto* value = job.if_contains(field);
  if (!value || value->is_null()) return "";
  return value->is_string() ? text_of(job, field) : json::serialize(*value);
}

int list_jobs_of(const job_arguments& arguments) {
  const auto answer = call_admin(arguments.admin, verb::get, "/v1/admin/replay");
  if (!answer) return complain(answer.error());
  const auto* jobs = answer->is_object() ? answer->get_object().if_contains("jobs") : nullptr;
  if (!jobs || !jobs->is_array())
    return complain({errc::unavailable, "the admin plane's answer is not a list of jobs"});
  if (arguments.output.json) {
    std::cout << json::serialize(*answer) << '\n';
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows{
      {"JOB", "KIND", "STREAM", "SINK", "STATE", "SENT", "REFUSED", "TOTAL", "CREATED", "WHY"}};
  for (const auto& entry : jobs->get_array()) {
    if (!entry.is_object()) continue;
    const auto& job = entry.get_object();
    auto& row = rows.emplace_back();
    for (const auto* field :
         {"job", "kind", "stream", "sink", "state", "sent", "refused", "total", "created", "why"})
      row.push_back(job_cell(job, field));
    for (const auto at : {2u, 3u})
      if (row[at].empty()) row[at] = "(all)";
  }
  std::cout << table_text(rows);
  return exit_ok;
}

int job_status(const job_arguments& arguments) {
  const auto job = job_of(
      call_admin(arguments.admin, verb::get, "/v1/admin/replay/" + percent_encode(arguments.id)));
  if (!job) return complain(job.error());
  auto output = arguments.output;
  output.detach = !arguments.watch;
  return watch_job(arguments.admin, *job, output);
}

int cancel_job_of(const job_arguments& arguments) {
  const auto job = job_of(call_admin(
      arguments.admin, verb::post, "/v1/admin/replay/" + percent_encode(arguments.id) + "/cancel"));
  if (!job) return complain(job.error());
  print_job(*job, arguments.output);
  return text_of(*job, "state") == "cancelled" ? exit_ok : exit_unavailable;
}

int resume_job_of(const job_arguments& arguments) {
  const auto job = job_of(call_admin(
      arguments.admin, verb::post, "/v1/admin/replay/" + percent_encode(arguments.id) + "/resume"));
  if (!job) return complain(job.error());
  return watch_job(arguments.admin, *job, arguments.output);
}

CLI::App* add_job_command(CLI::App& app, int& exit, const char* name, const char* help,
                          const std::shared_ptr<job_arguments>& arguments,
                          int (*run)(const job_arguments&)) {
  auto* command = app.add_subcommand(name, help);
  command->add_flag("--json", arguments->output.json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, run, &exit] { exit = run(*arguments); });
  return command;
}

void add_job_id(CLI::App& command, job_arguments& arguments) {
  command.add_option("JOB", arguments.id, "The job, as list shows it")->required()->type_name("");
}

} // namespace

void add_replay_job_commands(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<job_arguments>();
  add_job_command(app, exit, "list", "List replays and retries of dead letters", arguments,
                  list_jobs_of)
      ->footer("Example:\n  penstock replay list");

  arguments = std::make_shared<job_arguments>();
  auto* status =
      add_job_command(app, exit, "status", "Show how far a job is", arguments, job_status);
  add_job_id(*status, *arguments);
  status->add_flag("--watch", arguments->watch, "Until it ends");
  status->footer("Example:\n  penstock replay status r7 --watch");

  arguments = std::make_shared<job_arguments>();
  auto* cancel = add_job_command(app, exit, "cancel", "End a job; what is under way still goes",
                                 arguments, cancel_job_of);
  add_job_id(*cancel, *arguments);
  cancel->footer("Ends with 69 when it had ended before.\nExample:\n  penstock replay cancel r7");

  arguments = std::make_shared<job_arguments>();
  auto* resume =
      add_job_command(app, exit, "resume", "Go on with a replay that was cancelled or failed",
                      arguments, resume_job_of);
  add_job_id(*resume, *arguments);
  resume->add_flag("--detach", arguments->output.detach, "Don't wait for its end");
  resume->footer("Example:\n  penstock replay resume r7");
}

} // namespace penstock
