#include "cli/base/exit_code.hpp"
#include "cli/base/table.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/dead_letters_options.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>

namespace penstock {
namespace {

namespace json = boost::json;
using boost::beast::http::verb;

constexpr std::uint32_t dead_letters_page = 1000;

struct letters_list_arguments {
  dead_letters_choice which;
  std::uint32_t limit = 100;
};

struct letters_list {
  json::array letters;
  json::object totals;
  bool more = false;
};

std::uint64_t letters_figure(const json::object& from, std::string_view field) {
  const auto* value = from.if_contains(field);
  boost::system::error_code failed;
  const auto number = value ? value->to_number<std::uint64_t>(failed) : 0;
  return failed ? 0 : number;
}

/// Pages until there are `limit` letters.
result<letters_list> fetch_letters(const letters_list_arguments& arguments) {
  letters_list all;
  std::uint64_t after = 0;
  for (;;) {
    const auto left = arguments.limit - static_cast<std::uint32_t>(all.letters.size());
    auto page =
        call_admin(arguments.which.admin, verb::get,
                   letters_target(arguments.which, "", std::min(left, dead_letters_page), after));
    if (!page) return page.error();
    auto& body = page->get_object();
    auto* list = body.if_contains("dead_letters");
    auto* totals = body.if_contains("totals");
    if (!list || !list->is_array() || !totals || !totals->is_object())
      return error{errc::unavailable, "the admin plane's answer is not a list of dead letters"};
    for (auto& letter : list->get_array())
      if (letter.is_object()) all.letters.push_back(std::move(letter));
    all.totals = std::move(totals->get_object());
    const auto next = letters_figure(body, "next");
    all.more = next > after;
    if (!all.more || all.letters.size() >= arguments.limit) return all;
    after = next;
  }
}

int list_dead_letters_of(const letters_list_arguments& arguments) {
  auto all = fetch_letters(arguments);
  if (!all) return complain(all.error());
  if (arguments.which.json) {
    json::object out{{"dead_letters", std::move(all->letters)}, {"totals", std::move(all->totals)}};
    std::cout << json::serialize(out) << '\n';
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows{
      {"ID", "SINK", "STREAM", "ACCEPTED", "DIED", "TRIES", "SIZE", "REASON"}};
  for (const auto& entry : all->letters) {
    const auto& letter = entry.get_object();
    rows.push_back({text_of(letter, "id"), text_of(letter, "sink"), text_of(letter, "stream"),
                    text_of(letter, "time"), text_of(letter, "died"),
                    std::to_string(letters_figure(letter, "tries")),
                    std::to_string(letters_figure(letter, "size")), text_of(letter, "reason")});
  }
  std::cout << table_text(rows);
  if (all->more)
    std::cerr << fmt::format("there are more: {} dead letters in all; see --limit\n",
                             letters_figure(all->totals, "dead_letters"));
  return exit_ok;
}

int show_letter(const dead_letters_choice& which) {
  auto target = "/v1/admin/dead-letters/" + percent_encode(which.ids.front());
  if (!which.sink.empty()) target += "?sink=" + percent_encode(which.sink);
  const auto answer = call_admin(which.admin, verb::get, target);
  if (!answer) return complain(answer.error());
  const auto& letter = answer->get_object();
  if (which.json) {
    std::cout << json::serialize(letter) << '\n';
    return exit_ok;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : letter)
    rows.push_back({std::string{name.data(), name.size()},
                    value.is_string() ? std::string{value.get_string()} : json::serialize(value)});
  std::cout << table_text(rows);
  return exit_ok;
}

} // namespace

void add_dead_letters_list_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<letters_list_arguments>();
  auto* command = app.add_subcommand("list", "List dead letters, without their bodies");
  command->footer("The oldest dead letter comes first.\n"
                  "Example:\n  penstock dead-letters list --sink bus --from -24h");
  add_dead_letters_options(*command, arguments->which);
  add_letters_times(*command, arguments->which);
  command->add_option("--limit", arguments->limit, "At most so many")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->callback([arguments, &exit] { exit = list_dead_letters_of(*arguments); });
}

void add_dead_letters_show_command(CLI::App& app, int& exit) {
  auto which = std::make_shared<dead_letters_choice>();
  auto* command = app.add_subcommand("show", "Show a dead letter with its body");
  command->footer("Example:\n  penstock dead-letters show 000000000000002a-abcdefgh --json");
  command->add_option("ID", which->ids, "The event's id, as list shows it")
      ->required()
      ->expected(1)
      ->type_name("");
  command->add_option("--sink", which->sink, "Of this sink, if it is a dead letter of several")
      ->type_name("NAME");
  command->add_flag("--json", which->json, "Print JSON");
  add_admin_options(*command, which->admin);
  command->callback([which, &exit] { exit = show_letter(*which); });
}

} // namespace penstock
