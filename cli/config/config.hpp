// A node's whole configuration, checked.
#pragma once

#include "actors/base/extension.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/extensions/extensions.hpp"
#include "actors/idempotency/idempotency_settings.hpp"
#include "actors/limiter/limiter_settings.hpp"
#include "actors/limits/plan.hpp"
#include "actors/queue/queue_settings.hpp"
#include "actors/streams/stream_settings.hpp"
#include "actors/usage/usage_settings.hpp"
#include "cli/config/memory_plan.hpp"
#include "net/admin/admin_settings.hpp"
#include "net/clients/identity_settings.hpp"
#include "net/clients/plan_overrides.hpp"
#include "net/http/http_settings.hpp"
#include "net/sinks/sink_settings.hpp"
#include "storage/journal/journal.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

struct log_settings {
  std::string level = "info";  ///< trace | debug | info | warn | error | off
  std::string format = "text"; ///< text | json
};

struct journal_settings {
  std::uint64_t max_size_bytes = 10ull << 30;
  std::uint64_t segment_size_bytes = 64ull << 20;
  std::uint64_t unconfigured_max_size_bytes = 0; ///< 0: a fifth of max_size
  std::uint32_t high_watermark = 80; ///< percent of max_size; expendable streams are refused…
  std::uint32_t low_watermark = 70;  ///< …until it is down to this
  std::chrono::milliseconds retention_ms{0}; ///< kept this long after every sink is past it
  std::chrono::milliseconds received_delay_ms{
      10}; ///< how long `received` events may wait for a group
};

struct config {
  std::string node_name = "node";
  std::string data_dir = "./data";
  std::uint64_t memory_bytes = 0; ///< 0: what the cgroup, or the machine, has
  std::chrono::milliseconds drain_delay_ms{0};
  std::chrono::milliseconds drain_timeout_ms{30'000};
  http_settings http;
  admin_settings admin;
  identity_settings identity;
  limiter_settings limiter;
  std::map<std::string, override_settings> overrides;
  std::map<std::string, plan> plans;              ///< "anonymous" is always there
  std::map<std::string, stream_settings> streams; ///< "default" is always there
  std::map<std::string, sink_settings> sinks;     ///< "queue" (embedded) is always there
  queue_settings queue;
  journal_settings journal;
  idempotency_settings idempotency;
  cluster_settings cluster;
  log_settings log;
  usage_settings usage;
  std::uint64_t dead_letters_max_bytes = 1ull << 30;
  std::map<std::string, extension_values> extensions; ///< by their names
  std::map<std::string, std::string>
      given;          ///< keys that were set, "http.max_in_flight", and to what
  memory_plan memory; ///< see settle_memory() in cli/config/node_memory.hpp
};

/// The bound of what all streams together hold that are not configured.
inline std::uint64_t unconfigured_max_bytes(const config& settings) {
  const auto& journal = settings.journal;
  return journal.unconfigured_max_size_bytes > 0 ? journal.unconfigured_max_size_bytes
                                                 : journal.max_size_bytes / 5;
}

/// Where values come from, later ones winning: defaults, file, environment, --set.
struct config_sources {
  std::optional<std::string> file;                ///< --config
  std::vector<std::string> sets;                  ///< --set section.key=value
  std::map<std::string, std::string> environment; ///< PENSTOCK_SECTION_KEY
};

/// Errors (errc::config) name file, line, key and what would do; all problems found are in the
/// message, one a line.
/// `extra`: whose keys there are in [extensions].
result<config> load_config(const config_sources& sources,
                           const std::vector<extension>& extra = extensions());

/// The process's environment variables that begin with PENSTOCK_.
std::map<std::string, std::string> penstock_environment();

/// docs/configuration.md, generated from the option table.
std::string configuration_reference();

} // namespace penstock
