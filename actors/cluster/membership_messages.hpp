// Messages of the membership actor, to those of other nodes and of its own.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <cstdint>

namespace penstock {

// -- between nodes: these are serialised; the tests round-trip each -------------------------------

// `version`: see wire_version.hpp. What a later one brought is at the end of a message, and is
// written when the sender raises `version` to that.

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

// -- within a node: never serialised --------------------------------------------------------------

/// To the membership actor, before anything else: the actor that does what blocks, and the links,
/// which are made after it.
struct membership_partners {
  directory_writer_handle writer;
  peer_connector_handle links;
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

/// To a limiter whose node drains: give leases back, hand over all shards as the placement says.
/// Answered with shards_gone once nothing is here any more.
struct leave_shards {};
struct shards_gone {};

/// To limiters: the member decides by no view before this one any more.
struct member_epoch {
  std::uint16_t member = 0;
  std::uint64_t epoch = 0;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::membership_partners)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::leave_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::left_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::await_join)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::joined_cluster)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::member_epoch)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::leave_shards)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::shards_gone)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_membership, caf::first_custom_type_id + 250)
CAF_ADD_TYPE_ID(penstock_membership, (penstock::away_question))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::away_answer))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::leave_cluster))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::left_cluster))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::await_join))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::joined_cluster))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::member_epoch))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::leave_shards))
CAF_ADD_TYPE_ID(penstock_membership, (penstock::shards_gone))
CAF_END_TYPE_ID_BLOCK(penstock_membership)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_membership_partners, caf::first_custom_type_id + 297)
CAF_ADD_TYPE_ID(penstock_membership_partners, (penstock::membership_partners))
CAF_END_TYPE_ID_BLOCK(penstock_membership_partners)
