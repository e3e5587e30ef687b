#include "cli/config/node_memory.hpp"

#include "actors/cluster/cluster_settings.hpp"
#include "cli/base/readable.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace penstock {

std::size_t lane_count(const http_settings& http, unsigned cores) {
  return http.threads > 0 ? http.threads : std::max(1u, cores);
}

memory_needs memory_needs_of(const config& c, unsigned cores) {
  memory_needs out;
  out.lanes = lane_count(c.http, cores);
  for (const auto& [name, sink] : c.sinks) {
    if (sink.kind == "embedded") continue;
    if (sink.delivery.batch_bytes == 0)
      out.delivery_lanes += sink.delivery.lanes;
    else
      out.set_batches_bytes += sink.delivery.lanes * sink.delivery.batch_bytes;
  }
  out.is_clustered = c.cluster.directory != directory_kind::none;
  out.counts_usage = c.usage.enabled;
  out.max_body_bytes = c.http.max_body_bytes;
  out.max_header_bytes = c.http.max_header_bytes;
  const auto if_given = [&c](const char* key, std::uint64_t value) {
    return c.given.contains(key) ? std::optional{value} : std::nullopt;
  };
  out.max_in_flight_bytes = if_given("http.max_in_flight", c.http.max_in_flight_bytes);
  out.max_connections = if_given("http.max_connections", c.http.max_connections);
  out.max_clients = if_given("limiter.max_clients", c.limiter.max_clients);
  out.max_keys = if_given("idempotency.max_keys", c.idempotency.max_keys);
  out.queue_memory_bytes = if_given("queue.memory", c.queue.memory_bytes);
  return out;
}

void settle_memory(config& c, const memory_limit& here, unsigned cores) {
  const auto total = c.memory_bytes > 0 ? c.memory_bytes : here.bytes;
  c.memory = plan_memory(total, memory_needs_of(c, cores));
  c.http.max_in_flight_bytes = c.memory.max_in_flight_bytes;
  c.http.max_connections = c.memory.max_connections;
  c.limiter.max_clients = c.memory.max_clients;
  c.idempotency.max_keys = c.memory.max_keys;
  c.queue.memory_bytes = c.memory.queue_memory_bytes;
  constexpr std::uint64_t bodies_part = 5;
  c.admin.max_bodies_bytes = c.memory.admin_bytes / bodies_part;
  c.admin.max_answers_bytes = c.memory.admin_bytes - c.admin.max_bodies_bytes;
}

std::string memory_source(const config& c, const memory_limit& here) {
  return name_of(c.memory_bytes > 0 ? memory_limit::origin::setting : here.from);
}

std::vector<std::pair<std::string, std::uint64_t>> memory_bounds(const config& c) {
  const auto& plan = c.memory;
  return {{"http.max_in_flight", plan.max_in_flight_bytes},
          {"http.max_connections", plan.max_connections},
          {"limiter.max_clients", plan.max_clients},
          {"idempotency.max_keys", plan.max_keys},
          {"queue.memory", plan.queue_memory_bytes},
          {"delivery", plan.delivery_bytes},
          {"batch", plan.max_batch_bytes},
          {"queue_window", plan.queue_window_bytes},
          {"links", plan.link_unsent_bytes},
          {"replica_pending", plan.replica_pending_bytes},
          {"admin", plan.admin_bytes},
          {"usage_pending_entries", plan.usage_pending_entries},
          {"usage_sums", plan.usage_sums}};
}

std::string memory_text(const config& c, const memory_limit& here) {
  const auto& plan = c.memory;
  std::string text = fmt::format(
      "{} of {}: {} in flight, {} connections, {} limited clients, {} idempotency keys, {} of "
      "recent events, {} held for consumers",
      size_text(plan.total_bytes), memory_source(c, here), size_text(plan.max_in_flight_bytes),
      plan.max_connections, plan.max_clients, plan.max_keys, size_text(plan.queue_memory_bytes),
      size_text(plan.queue_window_bytes));
  if (plan.of(memory_use::delivery) > 0)
    text += fmt::format(", {} for sinks, batches up to {}", size_text(plan.delivery_bytes),
                        size_text(plan.max_batch_bytes));
  if (plan.of(memory_use::links) > 0)
    text += fmt::format(", {} for links", size_text(plan.of(memory_use::links)));
  return text + fmt::format(", {} in the admin plane; {} in all with {} of head-room",
                            size_text(plan.admin_bytes), size_text(plan.sum_bytes()),
                            size_text(plan.head_room_bytes));
}

std::vector<std::string> memory_warnings(const config& c, const memory_limit& here,
                                         unsigned cores) {
  std::vector<std::string> out;
  if (c.memory_bytes > here.bytes)
    out.push_back(fmt::format("node.memory is {}, more than the {} that {} has: the kernel may end "
                              "the node before it reaches its bounds; lower it or raise that",
                              size_text(c.memory_bytes), size_text(here.bytes),
                              name_of(here.from)));
  if (c.memory.fits()) return out;
  auto needs = memory_needs_of(c, cores);
  const auto needed = size_text(least_memory(needs));
  std::string set;
  for (const char* key : {"http.max_in_flight", "http.max_connections", "limiter.max_clients",
                          "idempotency.max_keys", "queue.memory"})
    if (c.given.contains(key)) set += (set.empty() ? "" : ", ") + std::string{key};
  out.push_back(
      fmt::format("with every bound reached the node takes {}, more than its {} of memory{}; {}",
                  size_text(c.memory.sum_bytes()), size_text(c.memory.total_bytes),
                  set.empty() ? "" : ", counting what is set (" + set + ")",
                  set.empty() ? "it needs at least " + needed
                              : "lower what is set, or give it at least " + needed));
  return out;
}

} // namespace penstock
