#include "cli/commands/dead_letters_options.hpp"

#include <boost/json.hpp>

namespace penstock {

void add_dead_letters_options(CLI::App& command, dead_letters_choice& options) {
  command.add_option("--sink", options.sink, "Only this sink's")->type_name("NAME");
  command.add_option("--stream", options.stream, "Only this stream's")->type_name("NAME");
  command.add_flag("--json", options.json, "Print JSON");
  add_admin_options(command, options.admin);
}

void add_letters_times(CLI::App& command, dead_letters_choice& options) {
  command
      .add_option("--from", options.from,
                  "Only events accepted then or later: RFC 3339, or so long ago (-24h)")
      ->type_name("TIME");
  command.add_option("--to", options.to, "Only events accepted then or before")->type_name("TIME");
}

void add_letters_choice(CLI::App& command, dead_letters_choice& options) {
  command.add_option("ID", options.ids, "Events by their ids, as list shows them")->type_name("");
  command.add_flag("--all", options.all, "All there are");
}

std::string letters_target(const dead_letters_choice& options, const std::string& path,
                           std::uint32_t limit, std::uint64_t after) {
  auto target = "/v1/admin/dead-letters" + path + "?limit=" + std::to_string(limit);
  if (after > 0) target += "&after=" + std::to_string(after);
  const std::pair<const char*, const std::string*> filters[] = {{"sink", &options.sink},
                                                                {"stream", &options.stream},
                                                                {"from", &options.from},
                                                                {"to", &options.to}};
  for (const auto& [name, value] : filters)
    if (!value->empty()) target += "&" + std::string{name} + "=" + percent_encode(*value);
  return target;
}

result<boost::json::object> letters_choice(const dead_letters_choice& options) {
  boost::json::object request;
  if (!options.ids.empty()) {
    boost::json::array ids;
    for (const auto& id : options.ids)
      ids.emplace_back(id);
    request["ids"] = std::move(ids);
  }
  if (!options.sink.empty()) request["sink"] = options.sink;
  if (!options.stream.empty()) request["stream"] = options.stream;
  if (options.all) request["all"] = true;
  if (request.empty())
    return error{errc::invalid, "which ones? Name ids, or add --sink, --stream or --all"};
  return request;
}

} // namespace penstock
