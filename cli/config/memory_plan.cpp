#include "cli/config/memory_plan.hpp"

#include <algorithm>
#include <numeric>

namespace penstock {

namespace {

constexpr std::uint64_t plan_kib = 1ull << 10;
constexpr std::uint64_t plan_mib = 1ull << 20;

/// By memory_use; only their proportions count.
constexpr std::array<std::uint64_t, memory_uses> memory_weights{28, 14, 14, 8, 8, 9,
                                                                6,  10, 12, 5, 4};

// The least with which each still does its work.
constexpr std::uint64_t least_in_flight_a_lane = 64 * plan_kib; // beside one body
constexpr std::uint64_t least_connections = 64;
constexpr std::uint64_t least_clients = 10'000;
constexpr std::uint64_t least_keys = 10'000;
constexpr std::uint64_t least_recent_bytes = plan_mib;
constexpr std::uint64_t least_delivery_bytes = plan_mib;
constexpr std::uint64_t least_batch_bytes = 64 * plan_kib;
constexpr std::uint64_t least_window_bytes = 2 * plan_mib;
constexpr std::uint64_t least_link_bytes = 10 * plan_mib; // a holder alone is sent up to 4 MiB
constexpr std::uint64_t least_replica_pending_bytes = plan_mib;
constexpr std::uint64_t least_admin_bytes = 5 * plan_mib;
constexpr std::uint64_t least_usage_ids = 64;
constexpr std::uint64_t least_usage_pending = 4096;
constexpr std::uint64_t least_usage_sums = 4096;

constexpr std::uint64_t usage_dimension_count = 5;

// What is not shared out below this part of all memory is taken from the head-room: a node that is
// too small starts all the same, and says so.
constexpr std::uint64_t least_shared_divisor = 16;

struct share_table {
  std::array<std::uint64_t, memory_uses> bytes{};
  std::uint64_t of(memory_use use) const { return bytes[static_cast<std::size_t>(use)]; }
};

bool is_needed(memory_use use, const memory_needs& needs) {
  switch (use) {
  case memory_use::delivery:
  case memory_use::batches:
    return needs.delivery_lanes > 0 || needs.set_batches_bytes > 0;
  case memory_use::links:
    return needs.is_clustered;
  case memory_use::usage:
    return needs.counts_usage;
  default:
    return true;
  }
}

share_table shares_of(std::uint64_t shared_bytes, const memory_needs& needs) {
  share_table out;
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < memory_uses; ++i)
    if (is_needed(static_cast<memory_use>(i), needs)) all += memory_weights[i];
  for (std::size_t i = 0; i < memory_uses; ++i)
    if (is_needed(static_cast<memory_use>(i), needs))
      out.bytes[i] = shared_bytes / all * memory_weights[i];
  return out;
}

std::uint64_t even(std::uint64_t bytes) {
  return bytes / (64 * plan_kib) * (64 * plan_kib);
}

/// A share within the least and the most that a bound may be; `most` wins.
std::uint64_t bound(std::uint64_t share, std::uint64_t least, std::uint64_t most) {
  return std::min(std::max(share, least), most);
}

void plan_ingest(memory_plan& plan, const share_table& share, const memory_needs& needs) {
  const memory_plan most;
  const auto put = [&](memory_use use, std::uint64_t bytes) {
    plan.bytes[static_cast<std::size_t>(use)] = bytes;
  };
  const auto body = std::min(needs.max_body_bytes, most.max_in_flight_bytes);
  plan.max_in_flight_bytes = needs.max_in_flight_bytes.value_or(
      bound(even(share.of(memory_use::in_flight)), needs.lanes * (body + least_in_flight_a_lane),
            most.max_in_flight_bytes));
  put(memory_use::in_flight, plan.max_in_flight_bytes);
  const auto a_connection = needs.max_header_bytes + bytes_per_connection;
  plan.max_connections = needs.max_connections.value_or(bound(
      share.of(memory_use::connections) / a_connection, least_connections, most.max_connections));
  put(memory_use::connections, plan.max_connections * a_connection);
  plan.max_clients = needs.max_clients.value_or(bound(
      share.of(memory_use::limits) / bytes_per_limited_client, least_clients, most.max_clients));
  put(memory_use::limits, plan.max_clients * bytes_per_limited_client);
  plan.max_keys = needs.max_keys.value_or(
      bound(share.of(memory_use::keys) / bytes_per_idempotency_key, least_keys, most.max_keys));
  put(memory_use::keys, plan.max_keys * bytes_per_idempotency_key);
}

void plan_delivery(memory_plan& plan, const share_table& share, const memory_needs& needs) {
  const memory_plan most;
  const auto put = [&](memory_use use, std::uint64_t bytes) {
    plan.bytes[static_cast<std::size_t>(use)] = bytes;
  };
  plan.queue_memory_bytes = needs.queue_memory_bytes.value_or(
      bound(even(share.of(memory_use::recent)), least_recent_bytes, most.queue_memory_bytes));
  put(memory_use::recent, plan.queue_memory_bytes);
  plan.queue_window_bytes =
      bound(even(share.of(memory_use::queue)), least_window_bytes, most.queue_window_bytes);
  put(memory_use::queue, plan.queue_window_bytes);
  if (!is_needed(memory_use::delivery, needs)) return;
  plan.delivery_bytes =
      bound(even(share.of(memory_use::delivery)), least_delivery_bytes, most.delivery_bytes);
  put(memory_use::delivery, plan.delivery_bytes);
  if (needs.delivery_lanes > 0)
    plan.max_batch_bytes =
        bound(share.of(memory_use::batches) / (needs.delivery_lanes * copies_per_batch),
              least_batch_bytes, most.max_batch_bytes);
  put(memory_use::batches,
      copies_per_batch * (needs.set_batches_bytes + needs.delivery_lanes * plan.max_batch_bytes));
}

void plan_rest(memory_plan& plan, const share_table& share, const memory_needs& needs) {
  const memory_plan most;
  const auto put = [&](memory_use use, std::uint64_t bytes) {
    plan.bytes[static_cast<std::size_t>(use)] = bytes;
  };
  plan.admin_bytes = bound(even(share.of(memory_use::admin)), least_admin_bytes, most.admin_bytes);
  put(memory_use::admin, plan.admin_bytes);
  if (needs.is_clustered) {
    const auto links = share.of(memory_use::links);
    plan.replica_pending_bytes =
        bound(even(links / 4), least_replica_pending_bytes, most.replica_pending_bytes);
    plan.link_unsent_bytes =
        bound(even(links - links / 4), least_link_bytes, most.link_unsent_bytes);
    put(memory_use::links, plan.link_unsent_bytes + plan.replica_pending_bytes);
  }
  if (!needs.counts_usage) return;
  // A third each: what lanes add up and have handed over, what waits for the disk, and reports.
  const auto third = share.of(memory_use::usage) / 3;
  const auto tallies = 2 * needs.lanes * usage_dimension_count * bytes_per_usage_entry;
  plan.usage_ids = bound(third / tallies, least_usage_ids, most.usage_ids);
  plan.usage_pending_entries =
      bound(third / bytes_per_usage_entry, least_usage_pending, most.usage_pending_entries);
  plan.usage_sums = bound(third / (2 * bytes_per_usage_sum), least_usage_sums, most.usage_sums);
  put(memory_use::usage, plan.usage_ids * tallies +
                             plan.usage_pending_entries * bytes_per_usage_entry +
                             2 * plan.usage_sums * bytes_per_usage_sum);
}

} // namespace

std::uint64_t memory_plan::sum_bytes() const {
  return std::accumulate(bytes.begin(), bytes.end(), head_room_bytes);
}

memory_plan plan_memory(std::uint64_t total_bytes, const memory_needs& needs) {
  memory_plan plan;
  plan.total_bytes = total_bytes;
  plan.head_room_bytes = memory_base_bytes + total_bytes / allocator_slack_divisor;
  const auto left = total_bytes - std::min(total_bytes, plan.head_room_bytes);
  const auto share = shares_of(std::max(left, total_bytes / least_shared_divisor), needs);
  plan_ingest(plan, share, needs);
  plan_delivery(plan, share, needs);
  plan_rest(plan, share, needs);
  return plan;
}

std::uint64_t least_memory(const memory_needs& needs) {
  constexpr std::uint64_t step = 8 * plan_mib, most = 1ull << 40;
  const auto fits = [&](std::uint64_t steps) { return plan_memory(steps * step, needs).fits(); };
  std::uint64_t low = min_node_memory_bytes / step, high = most / step;
  if (fits(low)) return low * step;
  // Memory that is enough stays so: what is shared out never exceeds what is there.
  while (high - low > 1) {
    const auto middle = low + (high - low) / 2;
    (fits(middle) ? high : low) = middle;
  }
  return high * step;
}

} // namespace penstock
