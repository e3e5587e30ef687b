#include "actors/accounts/accounts_actor.hpp"

#include "actors/base/error_text.hpp"
#include "actors/base/fail_fast.hpp"
#include "actors/interfaces/handles.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/limits/limit_text.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

key_record without_hash(key_record record) {
  record.hash = {};
  return record;
}

error no_such_plan(const std::string& name, const plan_set& plans) {
  constexpr std::size_t max_named = 20;
  std::string known;
  std::size_t named = 0;
  for (const auto& entry : plans.all()) {
    if (entry.missing) continue;
    if (named++ == max_named) {
      known += ", …";
      break;
    }
    known += (known.empty() ? "" : ", ") + entry.rules.name;
  }
  return {errc::invalid, "plan: there is no plan " + quote(name) + "; there are: " + known};
}

} // namespace

void accounts_state::start(accounts_parts parts) {
  parts_.emplace(std::move(parts));
  for (const auto& unread : parts_->book->plans()->unreadable())
    spdlog::error("accounts: the limits of plan {} are of another version of penstock, and not in "
                  "force",
                  unread);
  directory_.emplace(accounts_directory_parts{
      .book = parts_->book,
      .writer = parts_->directory,
      .wall_us = parts_->wall_us,
      .take = [this](account_records theirs) { take(std::move(theirs)); },
      .take_soon = [this] { self_->send(self_, records_due{}); },
      .put = [this](records_changed some) { self_->send(parts_->directory, std::move(some)); }});
  plans_.emplace(accounts_plans_parts{
      .self = self_,
      .book = parts_->book,
      .wall_us = parts_->wall_us,
      .change = [this](account_records changed) { return change(std::move(changed)); },
      .peers = &peers_});
  plans_->tell_missing();
  sweep();
}

// -- what the admin plane asks for ----------------------------------------------------------------

// With what is unsaved yet, which must not be written over something newer later on.
result<void> accounts_state::keep(const account_records& changed) {
  auto all = std::move(unsaved_);
  const auto old_keys = static_cast<std::ptrdiff_t>(all.keys.size());
  const auto old_plans = static_cast<std::ptrdiff_t>(all.plans.size());
  all.keys.insert(all.keys.end(), changed.keys.begin(), changed.keys.end());
  all.plans.insert(all.plans.end(), changed.plans.begin(), changed.plans.end());
  auto saved = parts_->store->save(all);
  unsaved_ = {};
  if (saved) return saved;
  all.keys.erase(all.keys.begin() + old_keys, all.keys.end());
  all.plans.erase(all.plans.begin() + old_plans, all.plans.end());
  unsaved_ = std::move(all);
  return saved;
}

// Durable first: what was answered must not be gone after a crash.
result<void> accounts_state::change(account_records changed) {
  if (auto saved = keep(changed); !saved) {
    spdlog::error("accounts: nothing was changed: {}", saved.error().message);
    return saved;
  }
  parts_->book->apply(changed);
  publish();
  directory_->made_here(changed);
  directory_->put_some();
  for (auto& portion : in_portions(std::move(changed)))
    for (const auto& [member, peer] : peers_)
      self_->send(peer.accounts, accounts_records{portion});
  return {};
}

// Front ends first: so they know every plan before a verdict under it reaches them.
void accounts_state::publish() {
  const auto plans = parts_->book->plans();
  for (const auto& subscriber : parts_->subscribers)
    self_->send(subscriber, accounts_changed{parts_->book->access(), plans});
  if (plans != told_plans_)
    for (const auto& limiter : parts_->limiters)
      self_->send(limiter, plans_changed{limiters_plans(*plans)});
  told_plans_ = plans;
}

key_created accounts_state::create(const create_key& request) {
  const auto refuse = [](error why) { return key_created{false, std::move(why), {}, {}}; };
  const auto& book = *parts_->book;
  const auto plans = book.plans();
  const auto* rules = plans->by_name(request.plan);
  if (!rules || rules->missing) return refuse(no_such_plan(request.plan, *plans));
  if (plans_->is_going(request.plan)) return refuse(plan_is_going(request.plan));
  if (book.key_count() >= max_keys)
    return refuse({errc::unavailable,
                   fmt::format("this cluster has {} keys, revoked ones of the last 30 days among "
                               "them, and takes no more",
                               max_keys)});
  const auto key = make_api_key();
  const auto id = make_key_id();
  if (!key) return refuse(key.error());
  if (!id) return refuse(id.error());
  key_record record;
  record.id = *id;
  record.version = book.next_version(parts_->wall_us());
  record.account = request.account;
  record.plan = request.plan;
  record.hash = parts_->hash(*key);
  record.shown = key->substr(0, api_key_shown_size);
  record.streams = request.streams;
  record.origins = request.origins;
  record.networks = request.networks;
  record.created_ms = now_ms();
  record.expires_ms = request.expires_ms;
  if (auto done = change({{record}, {}}); !done) return refuse(done.error());
  spdlog::info("made key {} for account {} under plan {}", record.id, record.account, record.plan);
  return {true, {}, *key, without_hash(std::move(record))};
}

key_list_ptr accounts_state::list(const list_keys& request) const {
  auto out = std::make_shared<key_list>();
  bool more = false;
  out->keys = parts_->book->keys(request.account, request.after, request.max, more);
  for (auto& record : out->keys)
    record.hash = {};
  if (more && !out->keys.empty()) out->next = out->keys.back().id;
  return out;
}

account_done accounts_state::revoke(const revoke_key& request) {
  const auto* known = parts_->book->key(request.id);
  if (!known) return account_done{false, {errc::not_found, "there is no key with this id"}};
  if (known->revoked_ms != 0) return {};
  auto record = *known;
  record.version = parts_->book->next_version(parts_->wall_us());
  record.revoked_ms = now_ms();
  if (auto done = change({{record}, {}}); !done) return account_done{false, done.error()};
  spdlog::info("revoked key {} of account {}", record.id, record.account);
  return {};
}

account_names_ptr accounts_state::list_names() const {
  return std::make_shared<const std::vector<std::string>>(parts_->book->accounts());
}

plan_listing accounts_state::list_plans() const {
  return {parts_->book->plans(), parts_->book->keys_by_plan(now_ms())};
}

// -- the configuration ----------------------------------------------------------------------------

void accounts_state::configure(const plans_configured& update) {
  parts_->book->configure(update.plans);
  plans_->tell_missing();
  publish();
}

// -- other nodes ----------------------------------------------------------------------------------

void accounts_state::peer_came(const peer_up& peer) {
  if (!peer.accounts) return;
  peers_[peer.member] = {peer.accounts, peer.address, peer.version};
  self_->send(peer.accounts, accounts_digest{parts_->book->digest()});
}

void accounts_state::peer_went(const peer_down& peer) {
  const auto gone = peers_.extract(peer.member);
  if (gone.empty()) return;
  plans_->peer_went(peer.member, gone.mapped().accounts);
}

void accounts_state::compare(const accounts_digest& theirs, const accounts_handle& sender) {
  if (!sender) return;
  for (auto& portion : parts_->book->lacking(theirs.buckets))
    self_->send(sender, accounts_records{std::move(portion)});
  // The sender may have what this node lacks, and was not a peer yet when it was told of this
  // one's.
  auto own = parts_->book->digest();
  if (own != theirs.buckets && digests_answered_.size() < max_answered_digests &&
      digests_answered_.insert(sender.address()).second)
    self_->send(sender, accounts_digest{std::move(own)});
}

void accounts_state::take_over(const accounts_records& theirs) {
  heard_records_ = true;
  const auto update = take(theirs.records);
  directory_->heard(update);
}

// In force even when the disk does not take it: a key that was revoked elsewhere must be refused
// here on a full disk too. Gives what was news.
account_records accounts_state::take(account_records theirs) {
  auto update = parts_->book->newer(std::move(theirs), now_ms());
  if (update.empty()) return update;
  if (const auto kept = keep(update); !kept) {
    spdlog::error("accounts: can't keep what other nodes told, trying on: {}",
                  kept.error().message);
    if (unsaved_.size() + update.size() > max_unsaved_records) return {};
    unsaved_.keys.insert(unsaved_.keys.end(), update.keys.begin(), update.keys.end());
    unsaved_.plans.insert(unsaved_.plans.end(), update.plans.begin(), update.plans.end());
  }
  const auto before = parts_->book->live_plans_of(update);
  parts_->book->apply(update);
  for (const auto& rules : update.plans)
    plans_->release(rules.name);
  bring_back(parts_->book->revived(update, before, now_ms()));
  publish();
  return update;
}

// On a full disk they are in force all the same, and saved later. Peers make them, too, so that
// what a crash loses here comes from them.
void accounts_state::bring_back(std::vector<plan_record> plans) {
  if (plans.empty()) return;
  for (const auto& rules : plans)
    spdlog::warn("accounts: the deleted plan {} is back: keys use it, which were made on a node "
                 "that did not know that it was deleted; its limits are {}",
                 rules.name, rules.limits);
  const account_records back{{}, std::move(plans)};
  if (!keep(back) && unsaved_.size() + back.size() <= max_unsaved_records)
    unsaved_.plans.insert(unsaved_.plans.end(), back.plans.begin(), back.plans.end());
  parts_->book->apply(back);
  directory_->heard(back);
}

void accounts_state::tick() {
  if (!unsaved_.empty() && keep({}))
    spdlog::info("accounts: all that other nodes told is kept now");
  if (!heard_records_)
    for (const auto& [member, peer] : peers_)
      self_->send(peer.accounts, accounts_digest{parts_->book->digest()});
  if (parts_->book->note_missing(false)) {
    plans_->tell_missing();
    publish();
  }
  heard_records_ = false;
  digests_answered_.clear();
  if (++ticks_ % accounts_sweep_every == 0) sweep();
  directory_->tick();
}

void accounts_state::sweep() {
  const auto before_ms = now_ms() - tombstone_ms;
  if (const auto done = parts_->store->sweep(before_ms); !done)
    return spdlog::warn("accounts: {}", done.error().message);
  const auto swept = parts_->book->sweep(before_ms);
  directory_->made_here(swept);
}

accounts_self::behavior_type accounts_actor(accounts_self::stateful_pointer<accounts_state> self,
                                            accounts_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->delayed_send(self, accounts_sync_interval, accounts_tick{});
  auto& state = self->state;
  return {
      [&state](const create_key& request) { return state.create(request); },
      [&state](const list_keys& request) { return state.list(request); },
      [&state](const revoke_key& request) { return state.revoke(request); },
      [&state](const put_plan& request) { return state.plans().put(request); },
      [&state](const delete_plan& request) { return state.plans().remove(request); },
      [&state](get_plans) { return state.list_plans(); },
      [&state](list_accounts) { return state.list_names(); },
      [&state](const plans_configured& update) { state.configure(update); },
      [&state](const peer_up& peer) { state.peer_came(peer); },
      [&state](const peer_down& peer) { state.peer_went(peer); },
      [self](const accounts_digest& theirs) {
        self->state.compare(theirs, sender_as<accounts_handle>(self));
      },
      [&state](const accounts_records& theirs) { state.take_over(theirs); },
      [self](const plan_question& asked) {
        self->state.plans().say_use(asked, sender_as<accounts_handle>(self));
      },
      [self](const plan_answer& told) {
        self->state.plans().use_is_said(told, sender_as<accounts_handle>(self));
      },
      [self](const plan_kept& told) {
        self->state.plans().plan_is_kept(told, sender_as<accounts_handle>(self));
      },
      [&state](const plan_answers_due& due) { state.plans().answers_are_due(due); },
      [&state](const plan_release_due& due) { state.plans().release_is_due(due); },
      [&state](records_told& update) { state.directory().on_records(std::move(update)); },
      [&state](records_due) { state.directory().take_heard(); },
      [&state](records_watched) { state.directory().on_watching(); },
      [&state](records_away) { state.directory().on_away(); },
      [&state](const records_put& outcome) { state.directory().on_put(outcome); },
      [self](accounts_tick) {
        self->state.tick();
        self->delayed_send(self, accounts_sync_interval, accounts_tick{});
      },
  };
}

} // namespace penstock
