#include "actors/base/units.hpp"
#include "cli/base/exit_code.hpp"
#include "cli/base/progress.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "cli/views/drain_view.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>

namespace penstock {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using boost::beast::http::verb;
using drain_watch_clock = std::chrono::steady_clock;

constexpr const char* drain_target = "/v1/admin/drain";
constexpr auto drain_poll_interval = 100ms;
/// Where stderr is no terminal, a stage that lasts gets a line this often.
constexpr auto drain_line_interval = 5s;
/// A node that can't be reached may be too busy to answer.
constexpr auto drain_silence = 3s;
/// How long after its deadline, or after it told the end, a node may take to be gone.
constexpr auto drain_overtime = 60s;

struct drain_arguments {
  admin_options admin;
  std::string timeout;
  bool wait_for_queue = false;
  bool no_wait = false;
  bool json = false;
};

struct drain_answer_of_node {
  json::object document;
  drain_report report;
};

result<drain_answer_of_node> ask_about_drain(const admin_options& admin, verb how,
                                             const std::string& body = {}) {
  const auto answer = call_admin(admin, how, drain_target, body);
  if (!answer) return answer.error();
  if (!answer->is_object()) return error{errc::unavailable, "the admin plane's answer is empty"};
  auto report = drain_report_of(answer->get_object());
  if (!report) return report.error();
  return drain_answer_of_node{answer->get_object(), std::move(*report)};
}

result<std::string> drain_body(const drain_arguments& arguments) {
  json::object body;
  if (!arguments.timeout.empty()) {
    const auto timeout = parse_duration(arguments.timeout);
    if (!timeout)
      return error{errc::invalid, "--timeout: '" + arguments.timeout +
                                      "' is not a duration like 30s, 500ms or 10m"};
    body["timeout_s"] = std::chrono::duration<double>(*timeout).count();
  }
  if (arguments.wait_for_queue) body["wait_for_queue"] = true;
  return json::serialize(body);
}

/// A bar where stderr is a terminal, else a line for each stage and now and then. What a stage has
/// to do may be counted only after it began: then it gets another line.
class drain_display {
 public:
  void show(const drain_report& now) {
    most_ = std::max(most_, now.to_do);
    const auto time = drain_watch_clock::now();
    if (bar_.is_terminal()) {
      const std::chrono::duration<double> elapsed = time - began_;
      bar_.show({"drain", most_ - now.to_do, most_, elapsed.count(), 0, drain_line(now)});
    } else if (now.stage != stage_ || time - shown_ >= drain_line_interval ||
               (now.to_do > 0 && !is_counted_)) {
      std::cerr << drain_line(now) << '\n';
      shown_ = time;
      is_counted_ = now.to_do > 0;
    }
    stage_ = now.stage;
  }
  void clear() { bar_.clear(); }

 private:
  progress_bar bar_;
  drain_watch_clock::time_point began_ = drain_watch_clock::now(), shown_{};
  std::uint64_t most_ = 0;
  std::string stage_;
  bool is_counted_ = false; ///< the last line said what is to be done
};

/// Until nobody answers at the address any more.
result<void> await_end_of_node(const admin_options& admin) {
  const auto deadline = drain_watch_clock::now() + drain_overtime;
  while (ask_about_drain(admin, verb::get)) {
    if (drain_watch_clock::now() >= deadline)
      return error{errc::unavailable, "the node has drained, and still answers"};
    std::this_thread::sleep_for(drain_poll_interval);
  }
  return {};
}

result<drain_answer_of_node> await_drained(const admin_options& admin, drain_answer_of_node now) {
  drain_display display;
  auto heard = drain_watch_clock::now();
  auto deadline = heard + drain_overtime;
  while (!now.report.has_ended()) {
    display.show(now.report);
    std::this_thread::sleep_for(drain_poll_interval);
    auto next = ask_about_drain(admin, verb::get);
    const auto time = drain_watch_clock::now();
    if (next) {
      now = std::move(*next);
      heard = time;
      if (now.report.seconds_left > 0)
        deadline =
            time + drain_overtime +
            std::chrono::milliseconds{static_cast<std::int64_t>(now.report.seconds_left * 1e3)};
    } else if (next.error().code != errc::unavailable || time - heard > drain_silence) {
      display.clear();
      return error{next.error().code, "the node went before it told how its drain ended; its log "
                                      "says so. " +
                                          next.error().message};
    }
    if (time >= deadline) {
      display.clear();
      return error{errc::unavailable, "the node's deadline has passed, and it still drains"};
    }
  }
  display.show(now.report);
  display.clear();
  return now;
}

int run_drain(const drain_arguments& arguments) {
  const auto body = drain_body(arguments);
  if (!body) return complain(body.error());
  auto answer = ask_about_drain(arguments.admin, verb::post, *body);
  if (!answer) return complain(answer.error());
  const auto print = [&](const std::string& text) {
    std::cout << (arguments.json ? json::serialize(answer->document) + '\n' : text);
  };
  if (arguments.no_wait) {
    print(drain_line(answer->report) + '\n');
    return exit_ok;
  }
  answer = await_drained(arguments.admin, std::move(*answer));
  if (!answer) return complain(answer.error());
  print(drain_summary(answer->report));
  std::cout.flush();
  if (auto gone = await_end_of_node(arguments.admin); !gone) return complain(gone.error());
  return answer->report.left.empty() ? exit_ok : exit_unavailable;
}

} // namespace

void add_drain_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<drain_arguments>();
  auto* command = app.add_subcommand("drain", "End a node so that nothing is left to do");
  command->footer(
      "As SIGTERM does: the node is not ready any more, answers what is under way, gives its\n"
      "leases and shards to other nodes, publishes what its sinks are owed, leaves the directory\n"
      "and ends. Ends with 0 when the node is gone and nothing was left, with 69 when something\n"
      "was at the deadline: it stays in the node's data directory. Interrupted, it leaves the\n"
      "node draining.\n"
      "Examples:\n  penstock drain\n  penstock drain --timeout 10m --wait-for-queue\n"
      "  penstock drain --json | jq -r '.left[]'");
  command
      ->add_option("--timeout", arguments->timeout,
                   "How long it may take, at most 1h; by default node.drain_timeout")
      ->type_name("DURATION");
  command->add_flag("--wait-for-queue", arguments->wait_for_queue,
                    "Also until consumers have acknowledged all that the embedded queue has");
  command->add_flag("--no-wait", arguments->no_wait, "Only begin it");
  command->add_flag("--json", arguments->json, "Print what the admin plane tells in the end");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = run_drain(*arguments); });
}

} // namespace penstock
