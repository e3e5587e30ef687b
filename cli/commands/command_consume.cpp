#include "cli/base/exit_code.hpp"
#include "cli/base/problems.hpp"
#include "cli/client/admin_call.hpp"
#include "cli/client/consumer.hpp"
#include "cli/client/exec.hpp"
#include "cli/client/json_fields.hpp"
#include "cli/commands/commands.hpp"
#include "net/base/stream_name.hpp"

#include <boost/json/serialize.hpp>
#include <openssl/evp.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace penstock {
namespace {

std::atomic<bool> stopping{false};
static_assert(std::atomic<bool>::is_always_lock_free); // a signal handler sets it

// A second signal ends the program at once.
void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stopping = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN); // a closed stdout is an error of the write
}

// More would only wait for each other: one worker receives 10,000 messages at once.
constexpr std::uint32_t max_workers = 64;

struct consume_arguments {
  consume_options options;
  admin_options admin;
  std::string command;
  std::uint64_t max_messages = 0; ///< 0: no end
  std::uint32_t lease_s = 30;
  std::uint32_t workers = 1;
  bool json = false; ///< what it prints is JSON either way
};

std::string body_of(const message& what) {
  const auto encoded = text_of(what, "data_base64");
  if (encoded.empty()) return text_of(what, "data");
  std::string body(encoded.size() / 4 * 3 + 3, '\0');
  const auto size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(body.data()),
                                    reinterpret_cast<const unsigned char*>(encoded.data()),
                                    static_cast<int>(encoded.size()));
  // The decoder counts the padding as bytes.
  const auto padding = encoded.ends_with("==") ? 2 : encoded.ends_with('=') ? 1 : 0;
  body.resize(static_cast<std::size_t>(std::max(size - padding, 0)));
  return body;
}

// Lines on stdout, of all workers. A failed write may have lost lines that an earlier print left in
// the buffer, so one failure voids all batches that are not finished.
class line_printer {
 public:
  handled print(const message& what) {
    const auto line = boost::json::serialize(what) + '\n';
    const std::lock_guard hold{mutex_};
    if (std::fwrite(line.data(), 1, line.size(), stdout) == line.size()) return handled::done;
    failed_with_ = errno;
    return handled::stop;
  }
  bool finish() {
    const std::lock_guard hold{mutex_};
    if (failed_with_ == 0 && std::fflush(stdout) != 0) failed_with_ = errno;
    return failed_with_ == 0;
  }
  /// Why it failed; 0 when it did not, or when the reader has just seen enough.
  int failed_with() const { return failed_with_ == EPIPE ? 0 : failed_with_; }

 private:
  std::mutex mutex_;
  int failed_with_ = 0;
};

handled execute(const consume_arguments& arguments, std::uint32_t worker, const message& what) {
  const auto id = text_of(what, "id");
  const auto exit = run_shell_command(arguments.command, body_of(what),
                                      {{"PENSTOCK_ID", id},
                                       {"PENSTOCK_STREAM", arguments.options.stream},
                                       {"PENSTOCK_WORKER", std::to_string(worker)},
                                       {"PENSTOCK_CONTENT_TYPE", text_of(what, "content_type")}});
  if (exit.has_error()) {
    std::cerr << "penstock: " << exit.error().message << '\n';
    return handled::stop;
  }
  if (*exit == 0) return handled::done;
  std::cerr << "penstock: the command ended with " << *exit << " for " << id
            << "; the message goes back to the queue\n";
  return handled::retry;
}

/// What the workers of this process have in common.
struct work_group {
  const consume_arguments& arguments;
  const server_url& server;
  message_budget budget{arguments.max_messages};
  line_printer printer{};
  std::mutex mutex{};
  consume_totals totals{};
  std::optional<error> failure{}; ///< the first; it ends all of them
};

// Each worker has a connection and leases of its own.
void work(work_group& group, std::uint32_t number) {
  const auto& arguments = group.arguments;
  http_client client{group.server, arguments.admin.token};
  const bool executing = !arguments.command.empty();
  const auto ended = consume(
      client, arguments.options, group.budget, stopping,
      [&](const message& what) {
        const auto outcome =
            executing ? execute(arguments, number, what) : group.printer.print(what);
        if (outcome == handled::stop) stopping = true;
        return outcome;
      },
      [&] { return executing || group.printer.finish(); });
  const std::lock_guard hold{group.mutex};
  if (ended.has_error()) {
    stopping = true;
    if (!group.failure) group.failure = ended.error();
    return;
  }
  group.totals.acknowledged += ended->acknowledged;
  group.totals.given_back += ended->given_back;
}

int run_consume(consume_arguments& arguments) {
  if (!is_stream_name(arguments.options.stream))
    return complain(
        {errc::invalid, quote(arguments.options.stream) + ": " + std::string{stream_name_rule}});
  const auto server = server_url::parse(arguments.admin.url);
  if (server.has_error()) return complain(server.error());
  arguments.options.lease = std::chrono::seconds{arguments.lease_s};
  stop_on_signals();
  work_group group{arguments, *server};
  std::vector<std::thread> others;
  for (std::uint32_t i = 1; i < arguments.workers; ++i)
    others.emplace_back([&group, i] { work(group, i); });
  work(group, 0);
  for (auto& other : others)
    other.join();
  if (arguments.workers > 1)
    std::cerr << "penstock: " << group.totals.acknowledged << " messages acknowledged, "
              << group.totals.given_back << " given back, by " << arguments.workers << " workers\n";
  if (group.failure) return complain(*group.failure);
  if (group.printer.failed_with() != 0)
    return complain({errc::unavailable, std::string{"stdout: "} +
                                            std::strerror(group.printer.failed_with()) +
                                            "; what was not written goes back to the queue"});
  return exit_ok;
}

} // namespace

void add_consume_command(CLI::App& app, int& exit) {
  auto arguments = std::make_shared<consume_arguments>();
  auto& options = arguments->options;
  auto* command =
      app.add_subcommand("consume", "Receive a stream's events from the embedded queue");
  command->footer(
      "Prints one JSON object a line: id, time, content_type, data (or data_base64 when it is not\n"
      "text), attributes. A message is acknowledged when its line is written or its command has\n"
      "ended with 0; otherwise it goes back to the queue. Ends with 69 when the admin plane can't\n"
      "be reached.\n"
      "One worker gets the events in the stream's order. Several (here with --workers, or as\n"
      "several processes on any machines) share the stream: each message goes to one of them, "
      "their\n"
      "order is no longer that of the stream, and what a worker that died had under its lease "
      "comes\n"
      "again with the same id when the lease ends.\n"
      "Examples:\n  penstock consume heartbeats --max 10\n"
      "  penstock consume errors --exec 'jq .message >> errors.log'\n"
      "  penstock consume pings --workers 8 --lease 60 --exec ./handle");
  command->add_option("STREAM", options.stream, "The stream")->required()->type_name("");
  command
      ->add_option("--exec", arguments->command,
                   "Run a command for each message, its body on stdin, with PENSTOCK_ID, "
                   "PENSTOCK_STREAM, PENSTOCK_CONTENT_TYPE and PENSTOCK_WORKER in the environment")
      ->type_name("CMD");
  add_admin_options(*command, arguments->admin);
  command->add_option("--max", arguments->max_messages, "End after so many messages")
      ->type_name("N");
  auto* workers = command
                      ->add_option("--workers", arguments->workers,
                                   "Work at so many messages at a time, out of order")
                      ->type_name("N")
                      ->check(CLI::Range(std::uint32_t{1}, max_workers))
                      ->capture_default_str();
  command->add_option("--batch", options.batch, "Messages to receive at once, at most")
      ->type_name("N")
      ->check(CLI::Range(std::uint32_t{1}, max_batch_messages))
      ->capture_default_str();
  command
      ->add_option("--lease", arguments->lease_s,
                   "How long a received message is ours; longer than a command takes")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 12 * 3600))
      ->capture_default_str();
  auto* from =
      command
          ->add_option("--from", options.from,
                       "Read again from an event id or an RFC 3339 time to the end, without "
                       "acknowledging anything")
          ->type_name("ID|TIME")
          ->excludes(workers);
  command
      ->add_flag("--follow,!--no-follow", options.follow,
                 "Wait for more when the queue is empty (the default), or end")
      ->excludes(from);
  command->add_flag("--json", arguments->json, "Print JSON lines; this is what it does anyway");
  command->callback([arguments, &exit] { exit = run_consume(*arguments); });
}

} // namespace penstock
