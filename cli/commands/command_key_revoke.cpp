#include "cli/base/exit_code.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/commands/commands.hpp"
#include "storage/stores/api_key.hpp"

#include <boost/json.hpp>

#include <iostream>
#include <memory>

namespace penstock {
namespace {

struct key_revoke_arguments {
  admin_options admin;
  std::string id;
  bool json = false;
};

int revoke(const key_revoke_arguments& arguments) {
  if (arguments.id.starts_with(api_key_prefix))
    return complain({errc::invalid, "this is a key, not its id; 'penstock key list' tells ids by "
                                    "the first characters of their keys"});
  const auto done = call_admin(arguments.admin, boost::beast::http::verb::delete_,
                               "/v1/admin/keys/" + percent_encode(arguments.id));
  if (!done) return complain(done.error());
  if (arguments.json)
    std::cout << boost::json::object{{"id", arguments.id}, {"revoked", true}} << '\n';
  else
    std::cout << "revoked " << arguments.id << '\n';
  return exit_ok;
}

} // namespace

void add_key_revoke_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<key_revoke_arguments>();
  auto* command = app.add_subcommand("revoke", "Make an API key useless, for good");
  command->footer("Every node of the cluster that can be reached refuses it within a second.\n"
                  "Example:\n  penstock key revoke key_3qv7xkz5m2d6w4ta");
  command->add_option("ID", arguments->id, "The key's id, as list shows it")
      ->required()
      ->type_name("");
  command->add_flag("--json", arguments->json, "Print JSON");
  add_admin_options(*command, arguments->admin);
  command->callback([arguments, &exit] { exit = revoke(*arguments); });
}

} // namespace penstock
