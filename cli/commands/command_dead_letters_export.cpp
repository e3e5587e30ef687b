#include "cli/base/exit_code.hpp"
#include "cli/base/progress.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/dead_letters_options.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>

namespace penstock {
namespace {

constexpr std::uint32_t export_page = 1000;
constexpr std::chrono::seconds export_timeout{60};

/// The number of a page's last letter; 0 when it has none.
std::uint64_t last_number(std::string_view lines) {
  while (lines.ends_with('\n'))
    lines.remove_suffix(1);
  const auto begin = lines.rfind('\n');
  const auto line = begin == lines.npos ? lines : lines.substr(begin + 1);
  boost::system::error_code failed;
  const auto letter = boost::json::parse({line.data(), line.size()}, failed);
  if (failed || !letter.is_object()) return 0;
  const auto* number = letter.get_object().if_contains("number");
  const auto value = number ? number->to_number<std::uint64_t>(failed) : 0;
  return failed ? 0 : value;
}

int export_letters(const dead_letters_choice& which) {
  const auto server = server_url::parse(which.admin.url);
  if (!server) return complain(server.error());
  http_client client{*server, which.admin.token};
  progress_bar bar;
  std::uint64_t after = 0, letters = 0;
  for (;;) {
    const auto page =
        client.get(letters_target(which, "/export", export_page, after), export_timeout);
    if (!page) return complain(page.error());
    if (page->status != 200) return complain(refusal_of(*page));
    if (page->body.empty()) break;
    const auto next = last_number(page->body);
    if (next <= after)
      return complain(
          {errc::unavailable, "the admin plane's answer is not a list of dead letters"});
    after = next;
    if (std::fwrite(page->body.data(), 1, page->body.size(), stdout) != page->body.size())
      return complain({errc::unavailable, std::string{"stdout: "} + std::strerror(errno)});
    letters += static_cast<std::uint64_t>(std::count(page->body.begin(), page->body.end(), '\n'));
    bar.show({.label = "export", .done = letters, .total = letters});
  }
  if (std::fflush(stdout) != 0)
    return complain({errc::unavailable, std::string{"stdout: "} + std::strerror(errno)});
  return exit_ok;
}

} // namespace

void add_dead_letters_export_command(CLI::App& app, int& exit) {
  auto which = std::make_shared<dead_letters_choice>();
  auto* command = app.add_subcommand("export", "Print dead letters with their bodies");
  command->footer(
      "Prints one JSON object a line, with \"data\" (or \"data_base64\" when it is not\n"
      "text). The letters stay.\n"
      "Example:\n  penstock dead-letters export --sink bus > letters.ndjson");
  add_dead_letters_options(*command, *which);
  add_letters_times(*command, *which);
  command->callback([which, &exit] { exit = export_letters(*which); });
}

} // namespace penstock
