// What a limiter counts in a cluster.
#pragma once

#include "actors/base/metrics.hpp"

namespace penstock {

/// What a limiter counts of its dealings with others; see metrics.hpp for who may write and read.
struct alignas(64) limiter_cluster_metrics {
  counter requests_sent;     ///< messages to owners
  counter replies_received;  ///< from them
  counter requests_answered; ///< messages from other nodes, as an owner
  counter moved;             ///< of those, because the shard was elsewhere
  counter asked_again;       ///< messages sent again for that reason
  counter leased_requests;   ///< requests admitted from a lease, without a message
  counter leased_refusals;   ///< refused on what the owner had said, without a message
  counter units_leased;      ///< by this node as an owner
  counter units_returned;    ///< to it, by answers and questions
  counter units_reclaimed;   ///< of dead holders: half of what they had, which may be too much
  counter leases_withheld;   ///< the backup did not confirm them in time
  counter fallback_local;    ///< requests decided here though the shard is another node's
  counter fallback_refused;  ///< or refused for that
  counter shards_sent;
  counter shards_received;
  counter shards_taken_over; ///< of a dead owner, from what it had streamed
  counter moves_incomplete;  ///< counters that never came
  counter backup_rows_sent;
  counter backup_units; ///< units charged that the backup confirmed to know
  gauge owned_shards;
  gauge waiting_shards; ///< ours, but their counters are not here yet
  gauge leaving_shards; ///< another's, but it has not confirmed their counters yet
  gauge settled_epoch;  ///< of the last view by which nothing is to come or to go any more
  gauge held_requests;  ///< that wait for a shard to arrive or an owner to be found
  gauge leased_units;   ///< held for spending
  gauge unsent_units;   ///< charged and not confirmed by a backup: what a crash admits again
};

} // namespace penstock
