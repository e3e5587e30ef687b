#include "cli/commands/check_data.hpp"

#include "cli/base/exit_code.hpp"
#include "cli/node/client_secret.hpp"
#include "storage/check/data_dir_check.hpp"

#include <boost/json.hpp>

#include <filesystem>
#include <iostream>

namespace penstock {

namespace {

namespace fs = std::filesystem;

/// Of a node in a cluster there is no such file: it has its secret from the configuration.
result<void> look_at_secret(const fs::path& dir, data_dir_report& report) {
  if (!fs::exists(dir / "client-secret") && !fs::exists(dir / "client-secret.sha256")) return {};
  const auto secret = client_secret({}, dir);
  if (secret) return {};
  if (secret.error().code != errc::corrupt) return secret.error();
  report.damaged.push_back(secret.error().message);
  return {};
}

result<data_dir_report> look(const std::string& data_dir, const std::string& scratch_dir) {
  std::error_code fault;
  const fs::path scratch = scratch_dir.empty() ? fs::temp_directory_path(fault) : fs::path{scratch_dir};
  if (fault) return error{errc::io, "there is no directory for temporary files: " + fault.message()};
  auto copy = data_dir_copy::make(data_dir, scratch);
  if (!copy) return copy.error();
  auto report = open_all_stores(copy->path());
  if (report)
    if (auto done = look_at_secret(copy->path(), *report); !done) report = done.error();
  if (!report) return error{report.error().code, copy->of_original(report.error().message)};
  for (auto* sentences : {&report->damaged, &report->torn})
    for (auto& sentence : *sentences)
      sentence = copy->of_original(std::move(sentence));
  return report;
}

void print_text(const std::string& data_dir, const data_dir_report& report) {
  std::cout << data_dir << ": " << report.events << " events in " << report.segments << " segments, "
            << (report.damaged.empty() ? "no damage" : "damaged") << '\n';
  if (!report.damaged.empty() || !report.torn.empty())
    std::cout << "A node that starts on it says, and does, this:\n";
  for (const auto& sentence : report.damaged)
    std::cout << "damage: " << sentence << '\n';
  for (const auto& sentence : report.torn)
    std::cout << "no damage: " << sentence << '\n';
}

void print_json(const data_dir_report& report) {
  boost::json::array damaged(report.damaged.begin(), report.damaged.end());
  boost::json::array torn(report.torn.begin(), report.torn.end());
  std::cout << boost::json::object{{"ok", report.damaged.empty()},
                                   {"events", report.events},
                                   {"segments", report.segments},
                                   {"damaged", std::move(damaged)},
                                   {"torn", std::move(torn)}}
            << '\n';
}

} // namespace

int check_data(const std::string& data_dir, const std::string& scratch_dir, bool json) {
  const auto report = look(data_dir, scratch_dir);
  if (!report) {
    std::cerr << report.error().message << '\n';
    return exit_unavailable;
  }
  if (json)
    print_json(*report);
  else
    print_text(data_dir, *report);
  return report->damaged.empty() ? exit_ok : exit_data;
}

} // namespace penstock
