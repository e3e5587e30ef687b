#include "cli/base/exit_code.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "cli/views/usage_view.hpp"

#include <chrono>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <langinfo.h>
#include <memory>
#include <sys/ioctl.h>
#include <unistd.h>

namespace penstock {
namespace {

// As long as the node gives to a report and to those before it in the queue.
constexpr std::chrono::minutes report_timeout{50};

struct usage_arguments {
  admin_options admin;
  std::string by = "account", per = "hour", from = "-24h", to = "now", id, order = "requests",
              scope = "cluster";
  std::uint32_t top = 10;
  bool json = false, csv = false;
};

std::string target_of(const usage_arguments& arguments) {
  std::string target = "/v1/admin/usage";
  const auto add = [&](const char* name, const std::string& value) {
    target += target.find('?') == target.npos ? '?' : '&';
    target += name;
    target += '=' + percent_encode(value);
  };
  add("by", arguments.by);
  add("per", arguments.per);
  add("from", arguments.from);
  add("to", arguments.to);
  add("top", std::to_string(arguments.top));
  add("order", arguments.order);
  if (arguments.scope != "cluster") add("scope", arguments.scope);
  if (!arguments.id.empty()) add("id", arguments.id);
  if (arguments.csv) add("format", "csv");
  return target;
}

output_shape shape_of_stdout() {
  if (::isatty(STDOUT_FILENO) == 0) return {};
  std::setlocale(LC_CTYPE, "");
  output_shape shape{80, std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0};
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) shape.width = size.ws_col;
  return shape;
}

int print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return exit_ok;
  return complain({errc::unavailable, std::string{"stdout: "} + std::strerror(errno)});
}

int run_usage(const usage_arguments& arguments) {
  const auto server = server_url::parse(arguments.admin.url);
  if (server.has_error()) return complain(server.error());
  http_client client{*server, arguments.admin.token};
  const auto response = client.get(target_of(arguments), report_timeout);
  if (response.has_error()) return complain(response.error());
  if (response->status != 200) return complain(refusal_of(*response));
  if (arguments.csv) return print(response->body);
  if (arguments.json) return print(response->body + '\n');
  const auto view = parse_usage(response->body);
  if (view.has_error()) return complain({errc::unavailable, view.error().message});
  for (const auto& gap : view->gaps)
    std::fprintf(stderr, "%s\n", gap.c_str());
  return print(usage_table(*view, arguments.order, shape_of_stdout()));
}

} // namespace

void add_usage_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<usage_arguments>();
  auto* command = app.add_subcommand("usage", "Who sent how much: the top, or one id over time");
  command->footer(
      "Prints a table; on a terminal with bars. Times are UTC: RFC 3339, now, or so long before\n"
      "now (-90m, -24h, -7d). What the last second or two brought may be missing.\n"
      "Examples:\n  penstock usage --by ip --from -1h --per minute\n"
      "  penstock usage --by account --id acme --per day --from -30d --csv\n"
      "  penstock usage rebuild --from -2h");
  const auto option = [&](const char* name, auto& into, const char* help, const char* type) {
    return command->add_option(name, into, help)->type_name(type)->capture_default_str();
  };
  option("--by", arguments->by, "Whose usage", "WHAT")
      ->check(CLI::IsMember({"account", "key", "ip", "referer", "stream"}));
  option("--per", arguments->per, "How finely time is told apart", "PERIOD")
      ->check(CLI::IsMember({"minute", "hour", "day", "month"}));
  option("--from", arguments->from, "The beginning", "TIME");
  option("--to", arguments->to, "The end", "TIME");
  option("--top", arguments->top, "How many ids", "N")->check(CLI::Range(1, 1000));
  option("--order", arguments->order, "What the top and the bars go by", "WHAT")
      ->check(CLI::IsMember({"requests", "events", "bytes", "refused"}));
  command->add_option("--id", arguments->id, "This one over time, rather than the top")
      ->type_name("ID");
  option("--scope", arguments->scope, "Of which nodes: all of the cluster, or the one asked",
         "WHAT")
      ->check(CLI::IsMember({"cluster", "node"}));
  auto* json = command->add_flag("--json", arguments->json, "Print what the admin plane answers");
  command->add_flag("--csv", arguments->csv, "Print comma-separated values")->excludes(json);
  add_admin_options(*command, arguments->admin);
  add_usage_rebuild_command(*command, exit);
  command->callback([arguments, command, &exit] {
    if (command->get_subcommands().empty()) exit = run_usage(*arguments);
  });
}

} // namespace penstock
