// The actor that owns keys and plans: it makes changes durable, puts them in force on this node,
// and keeps the nodes of a cluster alike.
#pragma once

#include "actors/accounts/account_book.hpp"
#include "actors/accounts/account_messages.hpp"
#include "actors/accounts/accounts_directory.hpp"
#include "actors/accounts/accounts_plans.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/directory/directory_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/stores/account_store.hpp"
#include "storage/stores/api_key.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// So often a node asks its peers for what it may have missed, though changes are pushed at once.
inline constexpr std::chrono::seconds accounts_sync_interval{10};
/// So often tombstones are swept, in those intervals.
inline constexpr std::uint64_t accounts_sweep_every = 360;
/// Records of peers that are in force, but that the disk did not take yet; what comes beyond is
/// not taken over, and asked for again later.
inline constexpr std::size_t max_unsaved_records = 10'000;
/// Senders of digests that are answered with this node's own, in one of those intervals; the others
/// in the next.
inline constexpr std::size_t max_answered_digests = 256;

struct accounts_parts {
  std::shared_ptr<account_store> store;
  std::shared_ptr<account_book> book; ///< what the store holds; only the actor uses it from now on
  key_hasher hash;
  std::vector<front_end_handle> subscribers; ///< told accounts_changed at each change
  std::function<std::int64_t()> wall_us;
  std::vector<limiter_handle> limiters{}; ///< told plans_changed, before the others
  directory_writer_handle directory{};    ///< told records_changed; null: there is no directory
};

class accounts_state {
 public:
  static constexpr const char* name = "accounts"; // CAF shows it
  using self_ptr = accounts_self::stateful_pointer<accounts_state>;

  explicit accounts_state(self_ptr self) : self_(self) {}

  void start(accounts_parts parts);

  // -- what the admin plane asks for --------------------------------------------------------------

  key_created create(const create_key& request);
  key_list_ptr list(const list_keys& request) const;
  account_done revoke(const revoke_key& request);
  plan_listing list_plans() const;
  account_names_ptr list_names() const;

  // -- the configuration --------------------------------------------------------------------------

  void configure(const plans_configured& update);

  // -- other nodes --------------------------------------------------------------------------------

  void peer_came(const peer_up& peer);
  void peer_went(const peer_down& peer);
  void compare(const accounts_digest& theirs, const accounts_handle& sender);
  void take_over(const accounts_records& theirs);

  /// Once started.
  accounts_directory& directory() { return *directory_; }
  accounts_plans& plans() { return *plans_; }

  void tick();

 private:
  std::int64_t now_ms() const { return parts_->wall_us() / 1000; }
  result<void> keep(const account_records& changed);
  result<void> change(account_records changed);
  account_records take(account_records theirs);
  void publish();
  void sweep();
  void bring_back(std::vector<plan_record> plans);

  self_ptr self_;
  std::optional<accounts_parts> parts_;
  std::map<std::uint16_t, account_peer> peers_;
  account_records unsaved_;
  plan_set_ptr told_plans_;
  bool heard_records_ = false; // since the last tick: a comparison is still under way
  // By sender, since the last tick: so that it ends. No more than max_answered_digests.
  std::set<caf::actor_addr> digests_answered_;
  std::uint64_t ticks_ = 0;
  std::optional<accounts_directory> directory_;
  std::optional<accounts_plans> plans_;
};

/// Blocks on the disk, so a node spawns it detached. It does not tell subscribers the first
/// snapshot: the composition has it from the book and gives it out before anything runs. In a
/// cluster it is told peer_up and peer_down as front ends are, and the gate gives it to peers.
/// Tell it nothing to drain: it is of use to its peers, and to no client, until the node ends.
accounts_self::behavior_type accounts_actor(accounts_self::stateful_pointer<accounts_state> self,
                                            accounts_parts parts);

} // namespace penstock
