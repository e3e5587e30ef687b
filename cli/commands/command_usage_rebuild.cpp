#include "cli/base/exit_code.hpp"
#include "cli/base/readable.hpp"
#include "cli/base/table.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <thread>
#include <unistd.h>

namespace penstock {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

constexpr const char* rebuild_target = "/v1/admin/usage/rebuild";
constexpr auto rebuild_poll_interval = 200ms;

struct usage_rebuild_arguments {
  admin_options admin;
  std::string from = "-1h", to = "now";
  bool dry_run = false;
  bool despite_copies = false;
  bool json = false;
};

std::string volume_text(const json::object& from, std::string_view name) {
  const auto& volume = from.at(name).as_object();
  return fmt::format("{} events, {}", volume.at("events").to_number<std::uint64_t>(),
                     size_text(volume.at("bytes").to_number<std::uint64_t>()));
}

std::string rebuilt_text(const json::object& result) {
  const bool dry_run = result.at("dry_run").as_bool();
  const std::string added = dry_run ? "would be added" : "added";
  std::vector<std::vector<std::string>> facts{
      {"asked for", text_of(result, "from") + " to " + text_of(result, "to")},
      {"covered from", text_of(result, "covered_from")},
      {"in the journal", volume_text(result, "read")},
      {"of no known account", volume_text(result, "without_account")},
      {added + " to streams", volume_text(result, "added_to_streams")},
      {added + " to accounts", volume_text(result, "added_to_accounts")},
  };
  const auto fact_if_any = [&](const char* name, const char* shown) {
    if (const auto count = result.at(name).to_number<std::uint64_t>(); count > 0)
      facts.push_back({shown, std::to_string(count)});
  };
  fact_if_any("skipped", "hours and minutes left as they are");
  fact_if_any("damaged_blocks", "blocks that can't be read");
  auto out = table_text(facts);
  const auto& ids = result.at("ids").as_array();
  if (ids.empty()) return out;
  std::vector<std::vector<std::string>> rows{{"BY", "ID", "IN THE JOURNAL", "COUNTED", "ADDED"}};
  for (const auto& entry : ids) {
    const auto& one = entry.as_object();
    rows.push_back({text_of(one, "by"), text_of(one, "id"), volume_text(one, "proven"),
                    volume_text(one, "counted"), volume_text(one, "added")});
  }
  return out + '\n' + table_text(rows);
}

// A line that is written over; for a terminal.
void show_progress(const json::object& update) {
  const auto number = [&](std::string_view name) {
    const auto* value = update.if_contains(name);
    return value ? value->to_number<std::uint64_t>() : 0;
  };
  const auto done = number("done_bytes"), all = number("all_bytes");
  constexpr std::uint64_t columns = 40;
  const auto filled = all == 0 ? 0 : columns * std::min(done, all) / all;
  std::cerr << "\r[" << std::string(filled, '#') << std::string(columns - filled, ' ') << "] "
            << size_text(done) << " of " << size_text(all) << "   " << std::flush;
}

// Asks until the rebuild is over; gives the last answer.
result<json::value> await_rebuild(const admin_options& admin) {
  const bool shows = ::isatty(STDERR_FILENO) != 0;
  for (;;) {
    auto update = call_admin(admin, boost::beast::http::verb::get, rebuild_target);
    if (!update || text_of(update->get_object(), "state") != "running") {
      if (shows) std::cerr << "\r\x1b[K" << std::flush;
      return update;
    }
    if (shows) show_progress(update->get_object());
    std::this_thread::sleep_for(rebuild_poll_interval);
  }
}

int rebuild(const usage_rebuild_arguments& arguments) {
  json::object wish{{"from", arguments.from}, {"to", arguments.to}, {"dry_run", arguments.dry_run}};
  // A node of an earlier version knows no such member, and has no copies either.
  if (arguments.despite_copies) wish["despite_copies"] = true;
  const auto body = json::serialize(wish);
  const auto begun =
      call_admin(arguments.admin, boost::beast::http::verb::post, rebuild_target, body);
  if (!begun) return complain(begun.error());
  const auto update = await_rebuild(arguments.admin);
  if (!update) return complain(update.error());
  const auto& answer = update->get_object();
  if (const auto why = text_of(answer, "error"); !why.empty())
    return complain({errc::unavailable, "usage was not rebuilt: " + why});
  const auto* outcome = answer.if_contains("result");
  if (!outcome || !outcome->is_object())
    return complain({errc::unavailable, "the node tells of no rebuild; was it started again?"});
  if (arguments.json) {
    std::cout << *outcome << '\n';
    return exit_ok;
  }
  try {
    std::cout << rebuilt_text(outcome->get_object());
  } catch (const std::exception&) {
    return complain({errc::unavailable, "the admin plane's answer tells of no rebuild"});
  }
  return exit_ok;
}

} // namespace

void add_usage_rebuild_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<usage_rebuild_arguments>();
  auto* command = app.add_subcommand("rebuild", "Count events and bytes again from the journal");
  command->footer(
      "After a crash the counts of its last two seconds are missing; the journal has the events.\n"
      "Where it proves more events or bytes of a stream or an account than were counted, what is\n"
      "missing is added; nothing is ever taken away. Requests, refusals, keys, addresses and\n"
      "Referers are not in the journal and stay as they are. What the journal has deleted already\n"
      "can't be counted again: 'covered from' tells from where on it has everything.\n"
      "Examples:\n  penstock usage rebuild --from -2h --dry-run\n"
      "  penstock usage rebuild --from 2026-11-22T10:00:00Z --to 2026-11-22T11:00:00Z --json");
  command->add_option("--from", arguments->from, "The beginning")
      ->type_name("TIME")
      ->capture_default_str();
  command->add_option("--to", arguments->to, "The end")->type_name("TIME")->capture_default_str();
  command->add_flag("--dry-run", arguments->dry_run, "Tell what would be added, and add nothing");
  command->add_flag(
      "--despite-copies", arguments->despite_copies,
      "In a cluster: also what came before this node's usage.db was begun; if another\n"
      "node has a copy of an earlier one, that is then counted twice");
  command->add_flag("--json", arguments->json, "Print the result as JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = rebuild(*arguments); });
}

} // namespace penstock
