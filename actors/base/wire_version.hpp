// Two versions of the program side by side: which forms of messages nodes may send each other.
#pragma once

#include <cstdint>

namespace penstock {

/// The versions of messages between nodes that this build speaks. Two nodes speak the later of
/// those that both know: hello and welcome agree on it. What a version brought:
///   4  leases, moving shards, the directory
///   5  replicas: ack = "replicated"
///   6  leases are settled by the next question, and backups know of them
///   7  backups are told when they have all of a shard, and who returns leases that they came
///   8  holders are told what of each stream was delivered, so that they keep what is owed alone
///   9  a node is told whether the other has the same cluster.secret
///   10 nodes that start with saved counters offer them to the owners, and who sends counters says
///      whether they are all; holders pass on what they hold, and say so; idempotency keys go with
///      replicated events; a node asks before it deletes a plan, and keeps a copy of another's
///      usage
/// Each message says by `version` which form it has: that of the version that changed it last, or
/// an earlier one where the peer knows no later. A new field goes to the end and is written by
/// since(); who reads an earlier form leaves it at its default. A new message is sent to nobody who
/// speaks an earlier version.
inline constexpr std::uint32_t wire_version = 10;
inline constexpr std::uint32_t oldest_wire_version = 4;
inline constexpr std::uint32_t replicas_wire_version = 5;
inline constexpr std::uint32_t settlements_wire_version = 6;
inline constexpr std::uint32_t whole_wire_version = 7;
inline constexpr std::uint32_t returns_wire_version = 7;
inline constexpr std::uint32_t delivered_wire_version = 8;
inline constexpr std::uint32_t secret_wire_version = 9;
inline constexpr std::uint32_t partial_wire_version = 10;
inline constexpr std::uint32_t offers_wire_version = 10;
inline constexpr std::uint32_t passing_wire_version = 10;
inline constexpr std::uint32_t plan_questions_wire_version = 10;
inline constexpr std::uint32_t usage_wire_version = 10;

/// A field at the end of a message that version `First` brought. For inspect(): it is written and
/// read only in messages that are of that version or a later one.
template <std::uint32_t First, class Version, class Field>
struct field_since {
  Version& version; // read before this field is come to
  Field& field;
};
template <std::uint32_t First, class Version, class Field>
field_since<First, Version, Field> since(Version& version, Field& field) {
  return {version, field};
}
template <class Inspector, std::uint32_t First, class Version, class Field>
typename Inspector::result_type inspect(Inspector& f, field_since<First, Version, Field>& x) {
  if (x.version < First) return f();
  return f(x.field);
}

} // namespace penstock
