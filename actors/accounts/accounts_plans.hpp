// What the accounts actor does with plans: how they are set, how a node asks its peers before it
// deletes one, and what is told of a plan that is gone while keys have it.
#pragma once

#include "actors/accounts/account_book.hpp"
#include "actors/accounts/account_messages.hpp"
#include "actors/accounts/plan_deletions.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace penstock {

/// A plan is deleted when all peers have said that it may be; one that does not say so for that
/// long is an error.
inline constexpr std::chrono::seconds plan_answer_timeout{2};
/// A peer has then had so long to tell the deletion, beyond the time it had for it.
inline constexpr std::chrono::seconds plan_reserved_for{10};

/// With its own reminders.
using accounts_self =
    accounts_handle::extend<caf::reacts_to<records_due>, caf::reacts_to<accounts_tick>,
                            caf::reacts_to<plan_answers_due>, caf::reacts_to<plan_release_due>>;

/// A node that accounts are compared with.
struct account_peer {
  accounts_handle accounts;
  std::string address;
  std::uint32_t version = 0; ///< of messages that both speak
};

struct accounts_plans_parts {
  accounts_self::pointer self = nullptr;
  std::shared_ptr<account_book> book;
  std::function<std::int64_t()> wall_us;
  std::function<result<void>(account_records)> change; ///< makes it durable, and tells everybody
  const std::map<std::uint16_t, account_peer>* peers = nullptr;
};

/// For whoever wants to use or set a plan that is being deleted.
error plan_is_going(const std::string& name);

/// Not synchronised: the accounts actor has it.
class accounts_plans {
 public:
  explicit accounts_plans(accounts_plans_parts parts) : parts_(std::move(parts)) {}

  account_done put(const put_plan& request);
  /// Answered when all peers have said that it may go, or one has not.
  caf::result<account_done> remove(const delete_plan& request);
  /// Whether it is being deleted, here or by a peer.
  bool is_going(const std::string& plan) const { return deletions_.is_going(plan); }
  /// A peer told what became of it.
  void release(const std::string& plan) { deletions_.release(plan); }

  void say_use(const plan_question& asked, const accounts_handle& sender);
  void use_is_said(const plan_answer& told, const accounts_handle& sender);
  void plan_is_kept(const plan_kept& told, const accounts_handle& sender);
  void answers_are_due(const plan_answers_due& due);
  void release_is_due(const plan_release_due& due);

  void peer_went(std::uint16_t member, const accounts_handle& peer);

  /// Logs plans that keys have and that are nowhere, each once.
  void tell_missing();

 private:
  std::int64_t now_ms() const { return parts_.wall_us() / 1000; }
  result<void> may_go(const std::string& plan) const;
  account_done erase(const std::string& plan);
  void end_deletion(plan_deletions::outcome ended);
  error objection_of(const plan_deletions::outcome& ended) const;

  accounts_plans_parts parts_;
  plan_deletions deletions_;
  std::map<std::uint64_t, caf::response_promise> deleting_; // whom to answer, by deletion
  std::set<std::string> told_missing_;
};

} // namespace penstock
