// The actor that owns keys and plans: it makes changes durable, puts them in force on this node,
// and keeps the nodes of a cluster alike.
#pragma once

#include "actors/accounts/account_book.hpp"
#include "actors/accounts/account_messages.hpp"
#include "actors/accounts/directory_debt.hpp"
#include "actors/accounts/plan_deletions.hpp"
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
#include <string_view>
#include <vector>

namespace penstock {

/// So often a node asks its peers for what it may have missed, though changes are pushed at once.
inline constexpr std::chrono::seconds accounts_sync_interval{10};
/// So often tombstones are swept, in those intervals.
inline constexpr std::uint64_t accounts_sweep_every = 360;
/// Records of peers that are in force, but that the disk did not take yet; what comes beyond is
/// not taken over, and asked for again later.
inline constexpr std::size_t max_unsaved_records = 10'000;
/// Names of records in the directory that can't be read, or put, of which the log tells.
inline constexpr std::size_t max_record_complaints = 64;
/// A plan is deleted when all peers have said that it may be; one that does not say so for that
/// long is an error.
inline constexpr std::chrono::seconds plan_answer_timeout{2};
/// A peer has then had so long to tell the deletion, beyond the time it had for it.
inline constexpr std::chrono::seconds plan_reserved_for{10};

struct accounts_parts {
  std::shared_ptr<account_store> store;
  std::shared_ptr<account_book> book; ///< what the store holds; only the actor uses it from now on
  key_hasher hash;
  std::vector<front_end_handle> subscribers; ///< told accounts_changed at each change
  std::function<std::int64_t()> wall_us;
  std::vector<limiter_handle> limiters{}; ///< told plans_changed, before the others
  directory_writer_handle directory{};    ///< told records_changed; null: there is no directory
};

/// With its own reminders.
using accounts_self =
    accounts_handle::extend<caf::reacts_to<records_due>, caf::reacts_to<accounts_tick>,
                            caf::reacts_to<plan_answers_due>, caf::reacts_to<plan_release_due>>;

class accounts_state {
 public:
  static constexpr const char* name = "accounts"; // CAF shows it
  using self_ptr = accounts_self::stateful_pointer<accounts_state>;

  explicit accounts_state(self_ptr self) : self_(self) {}

  void start(accounts_parts parts);

  // -- what the admin plane asks for --------------------------------------------------------------

  key_created create(const create_key& wish);
  key_list_ptr list(const list_keys& wish) const;
  account_done revoke(const revoke_key& wish);
  plan_listing list_plans() const;
  account_names_ptr list_names() const;

  // -- plans that are set and deleted: accounts_plans.cpp -----------------------------------------

  account_done put(const put_plan& wish);
  caf::result<account_done> remove(const delete_plan& wish);
  void say_use(const plan_question& asked, const accounts_handle& sender);
  void use_is_said(const plan_answer& told, const accounts_handle& sender);
  void plan_is_kept(const plan_kept& told, const accounts_handle& sender);
  void answers_are_due(const plan_answers_due& due);
  void release_is_due(const plan_release_due& due);

  // -- the configuration --------------------------------------------------------------------------

  void configure(const plans_configured& news);

  // -- other nodes --------------------------------------------------------------------------------

  void peer_came(const peer_up& peer);
  void peer_went(const peer_down& peer);
  void compare(const accounts_digest& theirs, const accounts_handle& sender);
  void take_over(const accounts_records& theirs);

  // -- the directory: accounts_directory.cpp ------------------------------------------------------

  void records_are_told(records_told news);
  void take_told();
  void directory_watches();
  void directory_went();
  void records_are_put(const records_put& outcome);

  void tick();

 private:
  std::int64_t now_ms() const { return parts_->wall_us() / 1000; }
  result<void> keep(const account_records& changed);
  result<void> change(account_records changed);
  account_records take(account_records theirs);
  void publish();
  void sweep();
  void put_some();
  template <class Record>
  void note_told(const Record& record);
  void note_taken_out(const std::string& key);
  void complain(const std::string& key, std::string_view why);
  result<void> may_go(const std::string& plan) const;
  account_done erase(const std::string& plan);
  void end_deletion(plan_deletions::outcome ended);
  error objection_of(const plan_deletions::outcome& ended) const;
  void bring_back(std::vector<plan_record> plans);
  void tell_missing();

  self_ptr self_;
  std::optional<accounts_parts> parts_;
  struct peer {
    accounts_handle accounts;
    std::string address;
    std::uint32_t version = 0;
  };
  std::map<std::uint16_t, peer> peers_;
  account_records unsaved_;
  plan_set_ptr told_plans_;
  bool heard_records_ = false; // since the last tick: a comparison is still under way
  std::uint64_t ticks_ = 0;
  directory_debt debt_;
  std::vector<directory_record> told_; ///< and not taken yet
  std::set<std::string> complaints_;
  plan_deletions deletions_;
  std::map<std::uint64_t, caf::response_promise> deleting_; // whom to answer, by deletion
  std::set<std::string> told_missing_;
};

/// For whoever wants to use or set a plan that is being deleted.
error plan_is_going(const std::string& name);

/// Blocks on the disk, so a node spawns it detached. It does not tell subscribers the first
/// snapshot: the composition has it from the book and gives it out before anything runs. In a
/// cluster it is told peer_up and peer_down as front ends are, and the gate gives it to peers.
/// Tell it nothing to drain: it is of use to its peers, and to no client, until the node ends.
accounts_self::behavior_type accounts_actor(accounts_self::stateful_pointer<accounts_state> self,
                                            accounts_parts parts);

} // namespace penstock
