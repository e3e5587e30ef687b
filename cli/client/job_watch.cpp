#include "cli/client/job_watch.hpp"

#include "cli/base/exit_code.hpp"
#include "cli/base/progress.hpp"
#include "cli/client/json_fields.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <iostream>
#include <thread>

namespace penstock {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using watch_clock = std::chrono::steady_clock;

constexpr auto poll_interval = 100ms;
/// How long a node may be out of reach while its job is watched.
constexpr auto node_patience = 30s;

std::atomic<bool> watch_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free); // a signal handler sets it

/// While it lives an interrupt sets the flag; a second one ends the program.
class interrupt_guard {
 public:
  interrupt_guard() {
    watch_interrupted = false;
    struct sigaction action = {};
    action.sa_handler = [](int) { watch_interrupted = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &before_);
  }
  ~interrupt_guard() { sigaction(SIGINT, &before_, nullptr); }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;

 private:
  struct sigaction before_ = {};
};

std::uint64_t job_figure(const json::object& job, std::string_view field) {
  const auto* value = job.if_contains(field);
  boost::system::error_code failed;
  const auto number = value ? value->to_number<std::uint64_t>(failed) : 0;
  return failed ? 0 : number;
}

bool job_runs(const json::object& job) {
  return text_of(job, "state") == "running";
}

std::uint64_t job_settled(const json::object& job) {
  return job_figure(job, "sent") + job_figure(job, "refused");
}

result<json::object> ask_job(const admin_options& admin, const std::string& id) {
  return job_of(
      call_admin(admin, boost::beast::http::verb::get, "/v1/admin/replay/" + percent_encode(id)));
}

int leave_job(const std::string& id) {
  std::cerr << fmt::format(
      "{0} goes on. Watch it with 'penstock replay status {0} --watch', end it "
      "with 'penstock replay cancel {0}'\n",
      id);
  return exit_ok;
}

} // namespace

result<json::object> job_of(const result<json::value>& answer) {
  if (!answer) return answer.error();
  if (answer->is_object() && !text_of(answer->get_object(), "state").empty())
    return answer->get_object();
  return error{errc::unavailable, "the admin plane's answer is not a job; is this the address of a "
                                  "penstock node?"};
}

int print_job(const json::object& job, const job_output& output) {
  if (output.json) {
    std::cout << json::serialize(job) << '\n';
  } else {
    auto line =
        fmt::format("{}: {}, {} of {} events sent", text_of(job, "job"), text_of(job, "state"),
                    job_figure(job, "sent"), job_figure(job, "total"));
    if (const auto refused = job_figure(job, "refused"); refused > 0)
      line += fmt::format(", {} refused: see 'penstock dead-letters list'", refused);
    if (const auto why = text_of(job, "why"); !why.empty()) line += "; " + why;
    std::cout << line << '\n';
  }
  if (job_runs(job)) return exit_ok;
  const bool done = text_of(job, "state") == "done" && job_figure(job, "refused") == 0;
  return done ? exit_ok : exit_unavailable;
}

int watch_job(const admin_options& admin, json::object job, const job_output& output) {
  const auto id = text_of(job, "job");
  if (output.detach || id.empty() || !job_runs(job)) return print_job(job, output);
  const interrupt_guard guard;
  const auto begun = watch_clock::now();
  const auto settled_before = job_settled(job);
  auto last_heard = begun;
  progress_bar bar;
  while (job_runs(job)) {
    const auto settled = job_settled(job);
    const std::chrono::duration<double> elapsed = watch_clock::now() - begun;
    bar.show({id, settled, job_figure(job, "total"), elapsed.count(), settled - settled_before,
              text_of(job, "why")});
    std::this_thread::sleep_for(poll_interval);
    if (watch_interrupted) {
      bar.clear();
      return leave_job(id);
    }
    auto next = ask_job(admin, id);
    if (next) {
      job = std::move(*next);
      last_heard = watch_clock::now();
    } else if (next.error().code != errc::unavailable ||
               watch_clock::now() - last_heard > node_patience) {
      bar.clear();
      return complain(next.error());
    }
  }
  bar.clear();
  return print_job(job, output);
}

} // namespace penstock
