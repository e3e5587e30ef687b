#include "cli/node/run.hpp"

#include "cli/base/exit_code.hpp"
#include "cli/config/config_warnings.hpp"
#include "cli/config/node_memory.hpp"
#include "cli/config/reload.hpp"
#include "cli/node/logging.hpp"
#include "cli/node/node.hpp"
#include "cli/node/service_manager.hpp"

#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <sys/resource.h>

#include <csignal>
#include <iostream>
#include <thread>

namespace penstock {

namespace {

// Blocked in every thread, since all are started after this; taken with sigwait().
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

// Each connection is a descriptor; the soft limit is often 1024 for no reason but history.
void raise_descriptor_limit(std::uint64_t max_connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  constexpr std::uint64_t others = 256;
  if (limit.rlim_cur < max_connections + others)
    spdlog::warn("the system allows {} open files, too few for http.max_connections = {}; raise "
                 "it (ulimit -n, LimitNOFILE=) or lower that",
                 limit.rlim_cur, max_connections);
}

void warn_of(const config& settings) {
  for (const auto& warning : warnings_of(settings))
    spdlog::warn("{}", warning);
}

int exit_code_of(const error& why) {
  switch (why.code) {
  case errc::config:
    return exit_config;
  case errc::corrupt:
    return exit_data;
  case errc::unavailable:
  case errc::locked:
    return exit_unavailable;
  default:
    return exit_internal;
  }
}

void reload(node& running, const config& started, const config_sources& sources) {
  tell_service_manager("RELOADING=1");
  auto settings = load_config(sources);
  if (settings) {
    running.reload(*settings);
    warn_of(*settings);
    spdlog::info("reloaded: plans, overrides, streams but for their sinks, http.unknown_streams "
                 "and log.level are as configured now");
    if (const auto left = keys_left(started, *settings); !left.empty())
      spdlog::warn("these keys have other values than at the start, and take effect at the next "
                   "one: {}",
                   fmt::join(left, ", "));
  } else {
    spdlog::error("not reloaded, the old configuration stays:\n{}", settings.error().message);
  }
  tell_service_manager("READY=1");
}

int serve(node& running, const config& started, const config_sources& sources,
          const sigset_t& signals) {
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal == SIGHUP) {
      reload(running, started, sources);
      continue;
    }
    spdlog::info("draining");
    tell_service_manager("STOPPING=1");
    // 0 either way: what is left is durable, and lost to nobody.
    if (running.drain())
      spdlog::info("drained");
    else
      spdlog::warn("drained, but not everything was finished, see above");
    return exit_ok;
  }
}

} // namespace

int run_node(const config_sources& sources) {
  auto settings = load_config(sources);
  if (!settings) {
    std::cerr << settings.error().message << '\n';
    return exit_config;
  }
  const auto configured = *settings; // before memory's bounds are filled in
  auto signals = block_signals();
  start_logging(settings->log, settings->node_name);
  warn_of(*settings);
  const auto memory = read_memory_limit();
  const auto cores = std::thread::hardware_concurrency();
  settle_memory(*settings, memory, cores);
  raise_descriptor_limit(settings->http.max_connections);
  spdlog::info("memory: {}", memory_text(*settings, memory));
  for (const auto& sentence : memory_warnings(*settings, memory, cores))
    spdlog::warn("memory: {}", sentence);
  int code = exit_ok;
  {
    auto running = node::start(*settings, memory_source(*settings, memory));
    if (running) {
      spdlog::info("penstock {} ready: events at http://{}, admin at http://{}", PENSTOCK_VERSION,
                   (*running)->http_address(), settings->admin.listen);
      tell_service_manager("READY=1");
      code = serve(**running, configured, sources, signals);
    } else {
      spdlog::critical("can't start: {}", running.error().message);
      code = exit_code_of(running.error());
    }
  }
  stop_logging();
  return code;
}

} // namespace penstock
