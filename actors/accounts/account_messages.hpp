// Messages of the accounts actor: keys and plans, within a node and between nodes.
#pragma once

#include "actors/accounts/access_table.hpp"
#include "actors/accounts/account_json.hpp"
#include "actors/accounts/plan_deletions.hpp"
#include "actors/base/compat.hpp"
#include "actors/limits/plan_set.hpp"
#include "storage/base/result.hpp"
#include "storage/stores/account_store.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

namespace penstock {

// -- between nodes: these are serialised; tests/actors round-trips each ---------------------------

/// What a node knows of keys and plans, boiled down: one hash for each of digest_buckets, see
/// account_book.hpp. The node that gets it answers with accounts_records for each bucket that
/// differs.
struct accounts_digest {
  std::vector<std::uint64_t> buckets;
};

/// Records that changed on the sending node, or that the receiving one may lack. At most
/// max_records_per_message; of each record the highest version is right.
struct accounts_records {
  account_records records;
};

/// May this plan go? Asked of each peer by a node that is to delete it; from version 10 on.
/// Answered with plan_answer. Whoever says plan_use::none has reserved the plan: until a record of
/// it comes, or plan_kept, or plan_reserved_for has passed.
struct plan_question {
  std::string name;
  std::uint64_t version = 0; ///< of the record of it that the asking node has
  std::uint64_t number = 0;  ///< the asking node's own
};
struct plan_answer {
  std::uint64_t number = 0;
  plan_use what = plan_use::unsaid;
  std::uint64_t keys = 0; ///< with plan_use::keys: how many
};
/// It is not deleted: the reservation ends.
struct plan_kept {
  std::string name;
  std::uint64_t number = 0;
};

/// What CAF would print of a message that nobody takes must not hold a hash.
template <class Inspector>
inline constexpr bool is_printing =
    std::is_same_v<Inspector, caf::detail::stringification_inspector>;

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, key_record& x) {
  if constexpr (is_printing<Inspector>)
    return f(caf::meta::type_name("key_record"), x.id, x.version);
  else
    return f(x.id, x.version, x.account, x.plan, x.hash, x.shown, x.streams, x.origins, x.networks,
             x.created_ms, x.expires_ms, x.revoked_ms);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, plan_record& x) {
  return f(x.name, x.version, x.limits, x.changed_ms, x.deleted_ms);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, accounts_digest& x) {
  return f(x.buckets);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, accounts_records& x) {
  return f(x.records.keys, x.records.plans);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, plan_question& x) {
  return f(x.name, x.version, x.number);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, plan_answer& x) {
  return f(x.number, x.what, x.keys);
}
template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, plan_kept& x) {
  return f(x.name, x.number);
}

// -- within a node: never serialised --------------------------------------------------------------

/// The keys and plans in force now; told to all who decide by them whenever something changes.
struct accounts_changed {
  access_table_ptr access;
  plan_set_ptr plans;
};

/// A reload brought these plans.
struct plans_configured {
  std::vector<plan> plans;
};

/// Makes a key; answered with key_created. Streams, origins and networks have been checked, and
/// origins are as normal_origin() gives them.
struct create_key {
  std::string account;
  std::string plan;
  std::vector<std::string> streams;
  std::vector<std::string> origins;
  std::vector<std::string> networks;
  std::int64_t expires_ms = 0; ///< 0: never
};
/// The key, which nobody can be told again, or why there is none.
struct key_created {
  bool ok = true;
  error why;
  std::string key;
  key_record record; ///< without its hash
};

/// Asks for keys, also revoked ones; answered with key_list_ptr.
struct list_keys {
  std::string account; ///< empty: of all
  std::string after;   ///< ids after this one
  std::uint32_t max = 1000;
};
/// By id, without hashes.
struct key_list {
  std::vector<key_record> keys;
  std::string next; ///< the `after` to go on with; empty: there are no more
};
using key_list_ptr = std::shared_ptr<const key_list>;

/// Asks for the accounts that any key is or was of; answered with account_names_ptr.
struct list_accounts {};
using account_names_ptr = std::shared_ptr<const std::vector<std::string>>;

/// Makes a key useless, for good; answered with account_done. To revoke it again is no error.
struct revoke_key {
  std::string id;
};
/// Sets a plan; answered with account_done.
struct put_plan {
  plan rules;
};
/// Deletes a plan that was set; answered with account_done. Keys go on with the configuration's
/// plan of that name; when there is none and keys have the plan, that is an error.
struct delete_plan {
  std::string name;
};
/// A change is durable and in force on this node, or why it is not.
struct account_done {
  bool ok = true;
  error why;
};

/// Asks for the plans in force; answered with plan_listing.
struct get_plans {};
struct plan_listing {
  plan_set_ptr plans;
  std::map<std::string, std::uint64_t> keys; ///< live ones, by plan
};

/// The accounts actor's own regular tick.
struct accounts_tick {};

/// The accounts actor's own reminder to take what was told: it lies behind all that was told before
/// it, which is saved in one transaction.
struct records_due {};

/// Reminders of the accounts actor: a deletion has waited long enough for the peers' answers, and a
/// plan was reserved long enough.
struct plan_answers_due {
  std::uint64_t number = 0;
};
struct plan_release_due {
  std::string name;
  std::string asker;
  std::uint64_t number = 0;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::accounts_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plans_configured)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::create_key)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::key_created)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::list_keys)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::key_list_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::revoke_key)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::put_plan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::delete_plan)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::account_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::get_plans)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plan_listing)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::accounts_tick)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::list_accounts)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::account_names_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::records_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plan_answers_due)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::plan_release_due)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_accounts, caf::first_custom_type_id + 200)
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::key_record))
CAF_ADD_TYPE_ID(penstock_accounts, (std::vector<penstock::key_record>))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::plan_record))
CAF_ADD_TYPE_ID(penstock_accounts, (std::vector<penstock::plan_record>))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::accounts_digest))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::accounts_records))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::accounts_changed))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::plans_configured))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::create_key))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::key_created))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::list_keys))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::key_list_ptr))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::revoke_key))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::put_plan))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::delete_plan))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::account_done))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::get_plans))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::plan_listing))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::accounts_tick))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::list_accounts))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::account_names_ptr))
CAF_ADD_TYPE_ID(penstock_accounts, (penstock::records_due))
CAF_END_TYPE_ID_BLOCK(penstock_accounts)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_plan_deletions, caf::first_custom_type_id + 300)
CAF_ADD_TYPE_ID(penstock_plan_deletions, (penstock::plan_question))
CAF_ADD_TYPE_ID(penstock_plan_deletions, (penstock::plan_answer))
CAF_ADD_TYPE_ID(penstock_plan_deletions, (penstock::plan_kept))
CAF_ADD_TYPE_ID(penstock_plan_deletions, (penstock::plan_answers_due))
CAF_ADD_TYPE_ID(penstock_plan_deletions, (penstock::plan_release_due))
CAF_END_TYPE_ID_BLOCK(penstock_plan_deletions)
