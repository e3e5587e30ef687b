#include "cli/commands/check_data.hpp"

#include "cli/base/exit_code.hpp"
#include "cli/node/client_secret.hpp"
#include "cli/node/logging.hpp"
#include "storage/check/data_dir_check.hpp"

#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace penstock {

namespace {

namespace fs = std::filesystem;

/// Of a node in a cluster there is no such file: it has its secret from the configuration.
result<void> look_at_secret(const fs::path& dir, data_dir_report& report) {
  if (!fs::exists(dir / "client-secret") && !fs::exists(dir / "client-secret.sha256")) {
    if (auto missing = missing_secret(dir); !missing.empty())
      report.damaged.push_back(std::move(missing));
    return {};
  }
  const auto secret = client_secret({}, dir);
  if (secret) return {};
  if (secret.error().code != errc::corrupt) return secret.error();
  report.damaged.push_back(secret.error().message);
  return {};
}

/// A copy holds keys and events: one that TERM, INT or HUP ends a check of must not stay.
class copy_remover {
 public:
  copy_remover() {
    sigemptyset(&signals_);
    struct sigaction now {};
    for (const int one :
         {SIGTERM, SIGINT, SIGHUP}) // one that is ignored, as by nohup, ends nothing
      if (::sigaction(one, nullptr, &now) == 0 && now.sa_handler != SIG_IGN)
        sigaddset(&signals_, one);
    sigaddset(&signals_, SIGUSR2); // ends the thread
    pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    waiter_ = std::thread{[this] { wait(); }};
  }
  ~copy_remover() {
    is_done_ = true;
    pthread_kill(waiter_.native_handle(), SIGUSR2);
    waiter_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  copy_remover(const copy_remover&) = delete;
  copy_remover& operator=(const copy_remover&) = delete;

  /// Makes the copy's directory. A signal in between waits: it finds none, or removes it.
  result<fs::path> make_directory(std::string pattern) {
    const std::lock_guard hold{mutex_};
    auto made = make_private_directory(std::move(pattern));
    if (made) copy_ = *made;
    return made;
  }

 private:
  void wait() {
    constexpr int max_rounds = 1000; // files may come meanwhile, until the directory itself is gone
    int signal = SIGTERM;
    (void)sigwait(&signals_, &signal);
    if (is_done_) return;
    const std::lock_guard hold{mutex_};
    std::error_code fault;
    for (int round = 0; round < max_rounds && !copy_.empty() && fs::exists(copy_, fault); ++round)
      fs::remove_all(copy_, fault);
    ::_exit(128 + signal);
  }

  std::mutex mutex_;
  fs::path copy_;
  std::atomic<bool> is_done_ = false;
  sigset_t signals_;
  sigset_t before_;
  std::thread waiter_;
};

result<data_dir_report> look(const std::string& data_dir, const std::string& scratch_dir) {
  std::error_code fault;
  const fs::path scratch =
      scratch_dir.empty() ? fs::temp_directory_path(fault) : fs::path{scratch_dir};
  if (fault)
    return error{errc::io, "there is no directory for temporary files: " + fault.message()};
  copy_remover remover;
  auto copy = data_dir_copy::make(data_dir, scratch, [&remover](std::string pattern) {
    return remover.make_directory(std::move(pattern));
  });
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
  std::cout << data_dir << ": " << report.events << " events in " << report.segments
            << " segments, " << (report.damaged.empty() ? "no damage" : "damaged") << '\n';
  if (!report.damaged.empty() || !report.torn.empty())
    std::cout << "A node that starts on it says, and does, this:\n";
  for (const auto& sentence : report.damaged)
    std::cout << "damage: " << sentence << '\n';
  for (const auto& sentence : report.torn)
    std::cout << "no damage: " << sentence << '\n';
}

/// Sentences may have bytes of damaged files in them.
std::string json_list(const std::vector<std::string>& sentences) {
  std::string text;
  for (const auto& one : sentences)
    text += (text.empty() ? "\"" : ",\"") + json_escape(one) + '"';
  return '[' + text + ']';
}

void print_json(const data_dir_report& report) {
  std::cout << "{\"ok\":" << (report.damaged.empty() ? "true" : "false")
            << ",\"events\":" << report.events << ",\"segments\":" << report.segments
            << ",\"damaged\":" << json_list(report.damaged)
            << ",\"torn\":" << json_list(report.torn) << "}\n";
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
