// What this node was leased and does not need goes back to who owns the shard by then.
#pragma once

#include "actors/limiter/lease_granter.hpp"
#include "actors/limiter/limiter_context.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limiter/shard_table.hpp"

#include <cstdint>
#include <vector>

namespace penstock {

/// Who owns a shard next is told again what was returned so shortly before: longer than it takes to
/// replace an owner.
inline constexpr std::int64_t return_memory_ns = 4'000'000'000;
/// A return is sent until its owner answers that it has it, and again when the owner changes: it
/// may have died, and who has what it knew takes the lease for held. A return that comes twice
/// changes nothing. Not synchronised.
class lease_returns {
 public:
  lease_returns(const limiter_context& context, const shard_table& table, lease_granter& granter)
      : context_(context), table_(table), granter_(granter) {}

  void give_back(const std::vector<returned_units>& units);
  /// Sends what was not sent, or not to who owns the shard now.
  void send();
  void on_taken(const returns_taken& done);
  /// What was under way to the member may not have come.
  void lose(std::uint16_t member);
  /// Of before return_memory_ns.
  void forget(std::int64_t steady_ns);
  /// All that is remembered has come where it was sent, as far as can be known.
  bool are_all_taken() const;

 private:
  struct recent_return {
    returned_units units;
    std::int64_t since_ns = 0;
    std::uint16_t sent_to = no_member; // or to be sent
    std::uint64_t token = 0;           // of the message that is under way; 0: none
    bool is_taken = false;             // by sent_to
  };

  const limiter_context& context_;
  const shard_table& table_;
  lease_granter& granter_;
  std::vector<recent_return> recent_; // of the last return_memory_ns
  std::uint64_t next_token_ = 1;
};

} // namespace penstock
