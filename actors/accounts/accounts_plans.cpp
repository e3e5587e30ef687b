#include "actors/accounts/accounts_plans.hpp"

#include "actors/base/error_text.hpp"
#include "actors/base/wire_version.hpp"
#include "actors/interfaces/handles.hpp"
#include "actors/limits/limit_text.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

account_done failed(error why) {
  return {false, std::move(why)};
}

error used_by(const std::string& plan, std::uint64_t keys, const std::string& where) {
  return {errc::invalid,
          fmt::format("the plan {} is used by {} key{}{}; revoke {} first", quote(plan), keys,
                      keys == 1 ? "" : "s", where, keys == 1 ? "it" : "them")};
}

} // namespace

error plan_is_going(const std::string& name) {
  return {errc::unavailable, "the plan " + quote(name) +
                                 " is being deleted; try again in some seconds if it is still "
                                 "there then"};
}

account_done accounts_plans::put(const put_plan& request) {
  const auto& wanted = request.rules.name;
  if (deletions_.is_going(wanted)) return failed(plan_is_going(wanted));
  const auto plans = parts_.book->plans();
  if (const auto* other = plans->by_id(plan_id(wanted)); other && other->rules.name != wanted)
    return failed({errc::invalid, "the names " + quote(wanted) + " and " +
                                      quote(other->rules.name) +
                                      " have the same 32-bit hash; take another one"});
  const auto* known = plans->by_name(wanted);
  if (!(known && known->stored) && parts_.book->stored_plan_count() >= max_stored_plans)
    return failed(
        {errc::invalid, fmt::format("there are {} plans; delete one first", max_stored_plans)});
  plan_record record;
  record.name = wanted;
  record.version = parts_.book->next_version(parts_.wall_us());
  record.limits = limits_text(request.rules.limits);
  record.changed_ms = now_ms();
  if (auto done = parts_.change({{}, {record}}); !done) return failed(done.error());
  spdlog::info("set plan {}: {}", record.name, record.limits);
  return {};
}

// -- deleting one ---------------------------------------------------------------------------------
//
//   remove ── no peers ──────────────────────────────────────────────► erase
//     └─ plan_question ──► peers: say_use, reserve ── plan_answer ──► use_is_said
//            all of them none: erase, told by accounts_records        ─┘   │
//            an objection, or none of them in time: plan_kept   ◄──────────┘

caf::result<account_done> accounts_plans::remove(const delete_plan& request) {
  if (auto may = may_go(request.name); !may) return failed(may.error());
  std::set<std::uint16_t> asked;
  for (const auto& [member, peer] : *parts_.peers)
    if (peer.version >= plan_questions_wire_version) asked.insert(member);
  if (asked.empty()) return erase(request.name);
  const auto version = parts_.book->stored_plan(request.name)->version;
  const auto number = deletions_.begin(request.name, version, asked);
  if (!number) return failed(plan_is_going(request.name));
  for (const auto member : asked)
    parts_.self->send(parts_.peers->at(member).accounts,
                      plan_question{request.name, version, *number});
  parts_.self->delayed_send(parts_.self, plan_answer_timeout, plan_answers_due{*number});
  return deleting_[*number] = parts_.self->make_response_promise();
}

result<void> accounts_plans::may_go(const std::string& plan) const {
  const auto plans = parts_.book->plans();
  const auto* known = plans->by_name(plan);
  if (!known || known->missing) return error{errc::not_found, "there is no plan " + quote(plan)};
  if (!known->stored)
    return error{errc::invalid,
                 "the plan " + quote(plan) + " comes from the configuration; remove it there"};
  if (known->configured) return {};
  const auto keys = parts_.book->keys_by_plan(now_ms());
  if (const auto used = keys.find(plan); used != keys.end()) return used_by(plan, used->second, "");
  return {};
}

// The tombstone keeps the limits: what was made elsewhere meanwhile brings the plan back.
account_done accounts_plans::erase(const std::string& plan) {
  auto record = *parts_.book->stored_plan(plan);
  record.version = parts_.book->next_version(parts_.wall_us());
  record.deleted_ms = std::max(now_ms(), record.changed_ms + 1);
  if (auto done = parts_.change({{}, {record}}); !done) return failed(done.error());
  deletions_.release(plan);
  spdlog::info("deleted plan {}", record.name);
  return {};
}

void accounts_plans::use_is_said(const plan_answer& told, const accounts_handle& sender) {
  for (const auto& [member, peer] : *parts_.peers) {
    if (peer.accounts != sender) continue;
    const auto what = told.what <= plan_use::unsaid ? told.what : plan_use::unsaid;
    auto ended = deletions_.answered(told.number, member, what, told.keys);
    if (ended) end_deletion(std::move(*ended));
    return;
  }
}

void accounts_plans::answers_are_due(const plan_answers_due& due) {
  if (auto ended = deletions_.timed_out(due.number)) end_deletion(std::move(*ended));
}

void accounts_plans::end_deletion(plan_deletions::outcome ended) {
  const auto& plan = ended.what.name;
  const auto* known = parts_.book->stored_plan(plan);
  account_done done;
  if (ended.objection != plan_use::none) {
    done = failed(objection_of(ended));
  } else if (known && known->deleted_ms == 0) {
    // Nobody minds; but what peers told since may.
    const auto may = may_go(plan);
    if (!may)
      done = failed(may.error());
    else if (known->version != ended.what.version)
      done = failed({errc::unavailable, "the plan " + quote(plan) +
                                            " was changed at the same time; look at it, and delete "
                                            "it again"});
    else
      done = erase(plan);
  } // else another node deleted it at the same time
  if (!done.ok)
    for (const auto member : ended.what.asked)
      if (const auto peer = parts_.peers->find(member); peer != parts_.peers->end())
        parts_.self->send(peer->second.accounts, plan_kept{plan, ended.number});
  deleting_.extract(ended.number).mapped().deliver(std::move(done));
}

error accounts_plans::objection_of(const plan_deletions::outcome& ended) const {
  const auto peer = parts_.peers->find(ended.by);
  const auto where =
      peer == parts_.peers->end() ? std::string{"another node"} : peer->second.address;
  const auto plan = "the plan " + quote(ended.what.name);
  switch (ended.objection) {
  case plan_use::keys:
    return used_by(ended.what.name, ended.keys, " on " + where);
  case plan_use::changed:
    return {errc::unavailable, plan + " was changed on " + where +
                                   " at the same time; look at it, and delete it again"};
  case plan_use::none:
  case plan_use::unsaid:
    break;
  }
  return {errc::unavailable,
          plan + " is still there: " + where + " did not say whether keys use it; try again"};
}

// -- another node asks ----------------------------------------------------------------------------

void accounts_plans::say_use(const plan_question& asked, const accounts_handle& sender) {
  if (!sender) return;
  plan_answer answer{asked.number, plan_use::none, 0};
  const auto& book = *parts_.book;
  const auto* record = book.stored_plan(asked.name);
  const auto plans = book.plans();
  const auto* in_force = plans->by_name(asked.name);
  const auto keys = book.keys_by_plan(now_ms());
  const auto used = keys.find(asked.name);
  if (used != keys.end() && !(in_force && in_force->configured))
    answer = {asked.number, plan_use::keys, used->second};
  else if (record && record->deleted_ms != 0)
    answer.what = plan_use::none; // and there is nothing to reserve
  else if (record && record->version > asked.version)
    answer.what = plan_use::changed;
  else if (const auto asker = caf::to_string(sender.address());
           !deletions_.reserve(asked.name, asker, asked.number))
    answer.what = plan_use::unsaid;
  else
    parts_.self->delayed_send(parts_.self, plan_reserved_for,
                              plan_release_due{asked.name, asker, asked.number});
  parts_.self->send(sender, answer);
}

void accounts_plans::plan_is_kept(const plan_kept& told, const accounts_handle& sender) {
  if (sender) deletions_.release(told.name, caf::to_string(sender.address()), told.number);
}

void accounts_plans::release_is_due(const plan_release_due& due) {
  deletions_.release(due.name, due.asker, due.number);
}

void accounts_plans::peer_went(std::uint16_t member, const accounts_handle& peer) {
  deletions_.release_all_of(caf::to_string(peer.address()));
  for (auto& ended : deletions_.went(member))
    end_deletion(std::move(ended));
}

// -- plans that are gone and used -----------------------------------------------------------------

void accounts_plans::tell_missing() {
  std::set<std::string> missing;
  for (const auto& entry : parts_.book->plans()->all())
    if (entry.missing) missing.insert(entry.rules.name);
  for (const auto& plan : missing)
    if (!told_missing_.contains(plan))
      spdlog::warn("accounts: keys have the plan {}, which is nowhere: they have the limits of {} "
                   "until it is set",
                   plan, anonymous_plan_name);
  told_missing_ = std::move(missing);
}

} // namespace penstock
