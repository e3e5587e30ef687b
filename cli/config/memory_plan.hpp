// How a node's memory is shared out: what each bound of docs/architecture.md may take. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// What a node's memory is for; each has a budget.
enum class memory_use : std::uint8_t {
  in_flight,   ///< bodies and answers between sockets and disk
  connections, ///< what a connection holds beside: its session and a header
  limits,      ///< clients' counters
  keys,        ///< idempotency keys
  recent,      ///< newest blocks, kept for who keeps up
  delivery,    ///< blocks that publishers hold for their sinks
  batches,     ///< what sinks make of the batches under way
  queue,       ///< blocks that the embedded queue holds for its consumers
  links,       ///< what waits for other nodes
  admin,       ///< bodies and answers of the admin plane
  usage,       ///< usage that is not written yet, and reports of it
};
inline constexpr std::size_t memory_uses = 11;
inline constexpr std::array<std::string_view, memory_uses> memory_use_names{
    "in_flight", "connections", "limits", "keys",  "recent", "delivery",
    "batches",   "queue",       "links",  "admin", "usage"};

// -- what one thing takes, at most; see docs/decisions/038 for where the figures are from
// ----------

/// A client in the limiter's table with as many limits as a plan may have.
inline constexpr std::uint64_t bytes_per_limited_client = 68 + 8 * 16;
inline constexpr std::uint64_t bytes_per_idempotency_key = 64;
/// Of a connection, beside http.max_header.
inline constexpr std::uint64_t bytes_per_connection = 4 << 10;
/// An id that usage tells apart, with its text.
inline constexpr std::uint64_t bytes_per_usage_entry = 384;
/// A sink holds a batch's bodies again in its own form, and once more in its client's buffer.
inline constexpr std::uint64_t copies_per_batch = 3;
/// A sum of a usage report or of a rebuild.
inline constexpr std::uint64_t bytes_per_usage_sum = 128;

/// Not shared out: the program itself, threads' stacks, SQLite's caches, mailboxes, and the small
/// tables with bounds of their own. An idle node takes 48 MiB of it, SQLite's caches up to 32…
inline constexpr std::uint64_t memory_base_bytes = 80ull << 20;
/// …and this part of all memory is left to the allocator, which can't fill every page.
inline constexpr std::uint64_t allocator_slack_divisor = 10;
/// The least that node.memory may be set to: with less a node can't start.
inline constexpr std::uint64_t min_node_memory_bytes = 64ull << 20;

/// What of a configuration the plan depends on. Nothing in an optional: it is derived.
struct memory_needs {
  std::uint64_t lanes = 1;
  /// Of all sinks that are not embedded, and whose batches may be as large as the plan says…
  std::uint64_t delivery_lanes = 0;
  /// …and the bytes of one batch a lane of those whose configuration says how large.
  std::uint64_t set_batches_bytes = 0;
  bool is_clustered = false;
  bool counts_usage = true;
  std::uint64_t max_body_bytes = 1ull << 20;
  std::uint64_t max_header_bytes = 16ull << 10;
  std::optional<std::uint64_t> max_in_flight_bytes{};
  std::optional<std::uint64_t> max_connections{};
  std::optional<std::uint64_t> max_clients{};
  std::optional<std::uint64_t> max_keys{};
  std::optional<std::uint64_t> queue_memory_bytes{};
};

/// The bounds. As made, those of a machine whose memory is no concern.
struct memory_plan {
  std::uint64_t total_bytes = 0; ///< node.memory; 0: no plan was made
  std::uint64_t head_room_bytes = 0;
  /// What each use takes when it is filled to its bound, by memory_use.
  std::array<std::uint64_t, memory_uses> bytes{};

  std::uint64_t max_in_flight_bytes = 256ull << 20;
  std::uint64_t max_connections = 10'000;
  std::uint64_t max_clients = 10'000'000;
  std::uint64_t max_keys = 1'000'000;
  std::uint64_t queue_memory_bytes = 64ull << 20;
  std::uint64_t delivery_bytes = 1ull << 30; ///< of all publishers and streams
  std::uint64_t max_batch_bytes = 5ull << 20;
  std::uint64_t queue_window_bytes = 1ull << 30;  ///< of all streams
  std::uint64_t link_unsent_bytes = 512ull << 20; ///< of all links; one alone gets half of it
  std::uint64_t replica_pending_bytes = 16ull << 20;
  std::uint64_t admin_bytes = 80ull << 20; ///< a fifth for bodies, the rest for answers
  std::uint64_t usage_ids = 4096;          ///< a dimension and lane
  std::uint64_t usage_pending_entries = 400'000;
  std::uint64_t usage_sums = 1ull << 18; ///< of a report, and of a rebuild

  std::uint64_t of(memory_use use) const { return bytes[static_cast<std::size_t>(use)]; }
  /// What the node takes when all is filled to its bound.
  std::uint64_t sum_bytes() const;
  bool fits() const { return sum_bytes() <= total_bytes; }
};

/// Shares `total_bytes` out by fixed weights among what the node has; what is set counts as it is
/// set. Each bound has a least value, with which the node still works, and no derived one is larger
/// than that of a memory_plan as made. Where least values or what is set add up to more than there
/// is, fits() is false.
memory_plan plan_memory(std::uint64_t total_bytes, const memory_needs& needs);

/// The least memory, in steps of 8 MiB, for which the plan fits; what can't be met within 1 TiB
/// gives that.
std::uint64_t least_memory(const memory_needs& needs);

} // namespace penstock
