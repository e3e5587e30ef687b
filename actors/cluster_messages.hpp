// What limiters of different nodes say to each other.
#pragma once

#include "actors/directory.hpp"
#include "actors/lease_desk.hpp"
#include "actors/lease_purse.hpp"
#include "actors/messages.hpp"

#include <cstdint>
#include <optional>
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
  std::vector<std::uint32_t> sizes;  ///< as in admit_request
  std::vector<std::uint32_t> wishes; ///< units to lease, one an item; none: no wishes
  // -- since 6
  std::uint64_t holder = 0;        ///< the sender's process, as in placement; 0: it can't be known
  std::vector<lease_claim> claims; ///< one a wish that is not 0
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

/// From a node that can't reach the directory to the others: can you? Answered with away_answer.
struct away_question {
  std::uint8_t version = 4;
  std::uint64_t epoch = 0; ///< of the sender's view
};
struct away_answer {
  std::uint8_t version = 4;
  std::uint64_t epoch = 0;
  bool away = false; ///< nor can the one that answers
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, away_question& x) {
  return f(x.version, x.epoch);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, away_answer& x) {
  return f(x.version, x.epoch, x.away);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_answer& x) {
  return f(x.item, x.lease, x.units, x.lifetime_ns, x.again_ns);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_return& x) {
  return f(x.lease, x.units);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease_claim& x) {
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
  auto holder = since<claims_wire_version>(x.version, x.holder);
  auto claims = since<claims_wire_version>(x.version, x.claims);
  return f(x.version, x.token, x.items, x.sizes, x.wishes, holder, claims);
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
  auto origins = since<claims_wire_version>(x.version, x.origins);
  return f(x.version, x.epoch, x.from, x.shard, x.last, x.rows, x.leases, origins);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, shard_taken& x) {
  return f(x.version, x.epoch, x.shard);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, backup_rows& x) {
  auto leases = since<claims_wire_version>(x.version, x.leases);
  auto origins = since<claims_wire_version>(x.version, x.origins);
  auto ended = since<claims_wire_version>(x.version, x.ended);
  auto whole = since<whole_wire_version>(x.version, x.whole);
  return f(x.version, x.rows, leases, origins, ended, whole);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, backup_taken& x) {
  return f(x.version);
}

// -- within a node --------------------------------------------------------------------------------

/// A limiter's timer: ask again where an owner was not one.
struct ask_again {};

/// To a limiter whose node drains: give leases back, hand over all shards as the placement says.
/// Answered with shards_gone once nothing is here any more.
struct leave_shards {};
struct shards_gone {};

/// What the directory told, to the membership actor: one of these is set.
struct directory_news {
  std::optional<member_record> member{};
  std::optional<std::string> member_gone{};
  std::optional<cluster_view> view{};
  std::uint64_t revision = 0; ///< with member, its record's; with view
  bool watching = false;
  bool away = false;
};

/// What the directory writer is to do; answered with directory_done when it has. It blocks.
struct directory_wish {
  enum class kind : std::uint8_t { open, renew, propose, leave, forget };
  kind what = kind::open;
  member_record self{};       ///< with renew and leave; with forget another's, its address only
  cluster_view next{};        ///< with propose, as is
  std::uint64_t revision = 0; ///< the last; with forget the record's
  std::int64_t sent_ns = 0;   ///< steady; comes back
};
struct directory_done {
  directory_wish::kind what = directory_wish::kind::open;
  std::int64_t sent_ns = 0;
  /// With renew: of the view, afterwards. With forget: of what was taken out, 0 for nothing.
  std::uint64_t revision = 0;
  error why{}; ///< if it failed
  bool ok = false;
};

/// To the membership actor: take this node out of the cluster, in two steps. First it says that it
/// leaves, so that its shards go elsewhere; with `now` it takes itself out. Answered with
/// left_cluster when the directory has it, or can't be reached.
struct leave_cluster {
  bool now = false;
};
struct left_cluster {};

/// To the membership actor: answered with joined_cluster once this node was let in.
struct await_join {};
struct joined_cluster {};

/// To limiters: the member decides by no view before this one any more.
struct member_epoch {
  std::uint16_t member = 0;
  std::uint64_t epoch = 0;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::ask_again)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_news)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_wish)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::directory_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::leave_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::left_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::await_join)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::joined_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::leave_shards)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::shards_gone)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::member_epoch)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_cluster, caf::first_custom_type_id + 230)
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::lease_answer))
CAF_ADD_TYPE_ID(penstock_cluster, (std::vector<penstock::lease_answer>))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::lease_return))
CAF_ADD_TYPE_ID(penstock_cluster, (std::vector<penstock::lease_return>))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::lease_claim))
CAF_ADD_TYPE_ID(penstock_cluster, (std::vector<penstock::lease_claim>))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::lease_origin))
CAF_ADD_TYPE_ID(penstock_cluster, (std::vector<penstock::lease_origin>))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::counter_row))
CAF_ADD_TYPE_ID(penstock_cluster, (std::vector<penstock::counter_row>))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::moved_lease))
CAF_ADD_TYPE_ID(penstock_cluster, (std::vector<penstock::moved_lease>))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::owner_request))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::owner_reply))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::leases_returned))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::shard_rows))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::shard_taken))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::backup_rows))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::backup_taken))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::ask_again))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::away_question))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::away_answer))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::directory_news))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::directory_wish))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::directory_done))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::leave_cluster))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::left_cluster))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::await_join))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::joined_cluster))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::leave_shards))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::shards_gone))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::member_epoch))
CAF_ADD_TYPE_ID(penstock_cluster, (penstock::returns_taken))
CAF_END_TYPE_ID_BLOCK(penstock_cluster)
