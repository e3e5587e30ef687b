// What limiters of different nodes say to each other: serialised; the tests round-trip each.
//
// CAF 0.17 writes the names of the types of which a message is made ("@<>+penstock::owner_request")
// and not their ids. So the types that are sent by themselves, owner_request and those below it up
// to backup_taken, keep their names for as long as their versions are spoken. Names of members, and
// of types that only lie within others, are not written.
#pragma once

#include "actors/base/wire_version.hpp"
#include "actors/limiter/lease_cache.hpp"
#include "actors/limiter/lease_granter.hpp"
#include "actors/limits/limit_messages.hpp"
#include "storage/stores/counter_store.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

// `version`: see wire_version.hpp. These have had their form since version 4; what a later one
// brought is at the end, and is written when the sender raises `version` to that.

/// To the owner of the items' shards: decide. Answered with owner_reply.
struct owner_request {
  std::uint8_t version = 4;
  std::uint64_t token = 0;
  std::vector<admit_item> items;
  std::vector<std::uint32_t> sizes;           ///< as in admit_request
  std::vector<std::uint32_t> requested_units; ///< to lease, one an item; none: nothing is
  // -- since 6
  std::uint64_t holder = 0; ///< the sender's process, as in placement; 0: it can't be known
  std::vector<lease_settlement> settlements; ///< one for each of requested_units that is not 0
};

struct owner_reply {
  std::uint8_t version = 4;
  std::uint64_t token = 0;
  /// Not all of the items are this node's, or not yet, or not any more: nothing was decided, ask
  /// whoever the latest view says.
  bool moved = false;
  std::vector<verdict> verdicts;
  std::vector<lease_answer> leases;
};

/// Units of leases that were not spent, to who gave them. Answered with returns_taken if it has a
/// token.
struct leases_returned {
  std::uint8_t version = 4;
  std::vector<lease_return> leases;
  // -- since 7
  std::uint64_t token = 0;
  std::vector<std::uint64_t> clients; ///< of each lease
};
struct returns_taken {
  std::uint8_t version = returns_wire_version;
  std::uint64_t token = 0;
  bool moved = false; ///< some were for shards of others, by the view here: say all of them again
};

/// A shard's counters on their way to its new owner: a piece, or the last. The sender decides
/// nothing of the shard any more. The last is answered with shard_taken.
struct shard_rows {
  std::uint8_t version = 4;
  std::uint64_t epoch = 0; ///< of the view that moves it
  std::string from;        ///< the sender's address
  std::uint32_t shard = 0;
  bool last = false;
  std::vector<counter_row> rows;
  std::vector<moved_lease> leases; ///< with the last piece
  // -- since 6
  std::vector<lease_origin> origins; ///< of each lease
  // -- since 10
  /// What the sender had saved when it ended, and nobody took over: the owner merges it with what
  /// it has.
  bool is_offer = false;
  /// Not all: a copy of somebody who had not been told everything, and nobody else knows more.
  bool is_partial = false;
};
struct shard_taken {
  std::uint8_t version = 4;
  std::uint64_t epoch = 0;
  std::uint32_t shard = 0;
};

/// What changed since the last of these, for the node that takes over if the sender dies. Answered
/// with backup_taken; several may be under way.
struct backup_rows {
  std::uint8_t version = 4;
  std::vector<counter_row> rows;
  // -- since 6
  std::vector<moved_lease> leases; ///< that began; the rows have them
  std::vector<lease_origin> origins;
  std::vector<std::uint64_t> ended; ///< leases; the rows have what was spent of them
  // -- since 7
  std::vector<std::uint32_t> whole; ///< shards that the receiver has all of now, if it lost nothing
};
struct backup_taken {
  std::uint8_t version = 4;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_answer& x) {
  return f(x.item, x.lease, x.units, x.lifetime_ns, x.again_ns);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_return& x) {
  return f(x.lease, x.units);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_settlement& x) {
  return f(x.lease, x.unspent, x.void_from);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_origin& x) {
  return f(x.holder, x.token);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, counter_row& x) {
  return f(x.client, x.plan, x.limit, x.scope, x.at, x.used, x.previous, x.idle_at);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, moved_lease& x) {
  return f(x.lease, x.client, x.key, x.plan, x.stream, x.limits, x.units, x.left_ns, x.marks,
           x.plan_digest);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, owner_request& x) {
  auto holder = since<settlements_wire_version>(x.version, x.holder);
  auto settlements = since<settlements_wire_version>(x.version, x.settlements);
  return f(x.version, x.token, x.items, x.sizes, x.requested_units, holder, settlements);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, owner_reply& x) {
  return f(x.version, x.token, x.moved, x.verdicts, x.leases);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, leases_returned& x) {
  auto token = since<returns_wire_version>(x.version, x.token);
  auto clients = since<returns_wire_version>(x.version, x.clients);
  return f(x.version, x.leases, token, clients);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, returns_taken& x) {
  return f(x.version, x.token, x.moved);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, shard_rows& x) {
  auto origins = since<settlements_wire_version>(x.version, x.origins);
  auto is_offer = since<offers_wire_version>(x.version, x.is_offer);
  auto is_partial = since<partial_wire_version>(x.version, x.is_partial);
  return f(x.version, x.epoch, x.from, x.shard, x.last, x.rows, x.leases, origins, is_offer,
           is_partial);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, shard_taken& x) {
  return f(x.version, x.epoch, x.shard);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, backup_rows& x) {
  auto leases = since<settlements_wire_version>(x.version, x.leases);
  auto origins = since<settlements_wire_version>(x.version, x.origins);
  auto ended = since<settlements_wire_version>(x.version, x.ended);
  auto whole = since<whole_wire_version>(x.version, x.whole);
  return f(x.version, x.rows, leases, origins, ended, whole);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, backup_taken& x) {
  return f(x.version);
}

} // namespace penstock

CAF_BEGIN_TYPE_ID_BLOCK(penstock_peers, caf::first_custom_type_id + 230)
CAF_ADD_TYPE_ID(penstock_peers, (penstock::lease_answer))
CAF_ADD_TYPE_ID(penstock_peers, (std::vector<penstock::lease_answer>))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::lease_return))
CAF_ADD_TYPE_ID(penstock_peers, (std::vector<penstock::lease_return>))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::lease_settlement))
CAF_ADD_TYPE_ID(penstock_peers, (std::vector<penstock::lease_settlement>))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::lease_origin))
CAF_ADD_TYPE_ID(penstock_peers, (std::vector<penstock::lease_origin>))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::counter_row))
CAF_ADD_TYPE_ID(penstock_peers, (std::vector<penstock::counter_row>))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::moved_lease))
CAF_ADD_TYPE_ID(penstock_peers, (std::vector<penstock::moved_lease>))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::owner_request))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::owner_reply))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::leases_returned))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::shard_rows))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::shard_taken))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::backup_rows))
CAF_ADD_TYPE_ID(penstock_peers, (penstock::backup_taken))
CAF_END_TYPE_ID_BLOCK(penstock_peers)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_lease_returns, caf::first_custom_type_id + 262)
CAF_ADD_TYPE_ID(penstock_lease_returns, (penstock::returns_taken))
CAF_END_TYPE_ID_BLOCK(penstock_lease_returns)
