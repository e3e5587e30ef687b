// What a front end counts.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/base/unpublished.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace penstock {

/// The statuses that the ingest plane answers with; any other is counted as the last, 0.
inline constexpr std::array<std::uint16_t, 21> counted_statuses{200, 202, 204, 400, 401, 403, 404,
                                                                405, 408, 411, 413, 415, 422, 429,
                                                                431, 500, 501, 503, 505, 507, 0};

/// What a lane holds for its clients, in http.max_in_flight.
enum class memory_part : std::uint8_t {
  input,    ///< of requests that are still arriving, but their bodies; and what came behind them
  bodies,   ///< of requests that are still arriving
  requests, ///< under way to the disk or to another node
  waits,    ///< requests that wait for sinks or a second node
  answers,  ///< not yet taken by the socket, and those that batches under way will have
};
inline constexpr std::array<const char*, 5> memory_part_names{"input", "bodies", "requests",
                                                              "waits", "answers"};

enum class timeout_kind : std::uint8_t { header, body, idle, write };
inline constexpr std::array<const char*, 4> timeout_names{"header", "body", "idle", "write"};

/// Why the node turned work away for its own sake (503, 507 or a closed connection).
enum class shed_reason : std::uint8_t {
  connections,         ///< http.max_connections is reached
  in_flight,           ///< http.max_in_flight_bytes is reached
  table_full,          ///< the limiter tracks as many clients as it may
  unreachable,         ///< the shard's owner can't be reached, and the cluster is set to refuse
  journal_full,        ///< the journal's cap is reached
  disk_full,           ///< the file system has no room
  journal_error,       ///< the journal failed otherwise
  unknown_plan,        ///< the limiter that was asked does not have the client's plan
  expendable,          ///< the journal nears its cap, and the stream is expendable
  address_connections, ///< http.max_connections_per_address is reached
  stream_names,        ///< a stream's name is new, and there is no place for it…
  stream_share,        ///< …or none for its client
  slow_client,         ///< http.max_in_flight is reached, and this one sends or reads slowly
  stream_full,         ///< the stream holds as much of the journal as it may
};
inline constexpr std::array<const char*, 14> shed_names{
    "connections",  "in_flight",     "table_full",   "unreachable", "journal_full",
    "disk_full",    "journal_error", "unknown_plan", "expendable",  "address_connections",
    "stream_names", "stream_share",  "slow_client",  "stream_full"};

/// Why a client may not come in, whatever it asks for.
enum class bar_reason : std::uint8_t {
  denied,    ///< an override denies it (403)
  anonymous, ///< it has no API key, and only who has one is served (401)
};
inline constexpr std::array<const char*, 2> bar_names{"denied", "anonymous"};

/// One front end's, written by its thread only.
struct alignas(64) front_end_metrics {
  std::array<counter, counted_statuses.size()> requests;
  latency_histogram
      request_us; ///< request complete to answer written; those a limiter was asked for
  counter bytes_in;
  counter bytes_out;
  counter events;        ///< accepted, whatever the number of requests
  counter received_lost; ///< events of ack = "received" whose commit failed after their 202
  gauge connections;     ///< open now
  counter connections_total;
  std::array<counter, timeout_names.size()> timeouts;
  std::array<counter, shed_names.size()> shed;
  std::array<counter, bar_names.size()> barred;
  gauge in_flight_bytes;                                    ///< bodies between socket and disk
  std::array<gauge, memory_part_names.size()> memory_bytes; ///< see lane_memory
  gauge memory_max_bytes;                                   ///< their bound
  counter limiter_messages;                                 ///< sent to this node's limiters
  counter journal_messages;                                 ///< sent to the journal
  gauge publish_waits; ///< requests that wait until the sinks, or a second node, have theirs
  counter published;   ///< those that were answered when the sinks had…
  std::array<counter, unpublished_names.size()> unpublished_answers; ///< …and those before, by why
  counter replicated; ///< those that were answered when a second node had…
  std::array<counter, unpublished_names.size()> unreplicated_answers; ///< …and those before

  void count_status(unsigned status) {
    const auto end = counted_statuses.end() - 1;
    const auto at = std::find(counted_statuses.begin(), end, status);
    requests[static_cast<std::size_t>(at - counted_statuses.begin())].add();
  }
  void count(timeout_kind kind) { timeouts[static_cast<std::size_t>(kind)].add(); }
  void count(shed_reason why, std::uint64_t times = 1) {
    shed[static_cast<std::size_t>(why)].add(times);
  }
  void count(bar_reason why) { barred[static_cast<std::size_t>(why)].add(); }
};

} // namespace penstock
