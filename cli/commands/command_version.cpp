#include "cli/commands/commands.hpp"

#include <boost/json.hpp>
#include <boost/version.hpp>
#include <caf/config.hpp>
#include <fmt/format.h>

#include <iostream>
#include <memory>
#include <string>

namespace penstock {
namespace {

std::string caf_version() {
  return fmt::format("{}.{}.{}", CAF_VERSION / 10000, CAF_VERSION / 100 % 100, CAF_VERSION % 100);
}

std::string boost_version() {
  return fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000,
                     BOOST_VERSION % 100);
}

} // namespace

void add_version_command(CLI::App& app, int&) {
  auto json = std::make_shared<bool>(false);
  auto* version = app.add_subcommand("version", "Print the version");
  version->footer("Example:\n  penstock version --json");
  version->add_flag("--json", *json, "Print JSON");
  version->callback([json] {
    if (*json) {
      std::cout << boost::json::object{{"version", PENSTOCK_VERSION},
                                       {"caf", caf_version()},
                                       {"boost", boost_version()},
                                       {"compiler", __VERSION__}}
                << '\n';
    } else {
      std::cout << "penstock " << PENSTOCK_VERSION << " (CAF " << caf_version() << ", Boost "
                << boost_version() << ")\n";
    }
  });
}

} // namespace penstock
