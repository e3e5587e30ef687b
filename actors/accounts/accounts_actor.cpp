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
  if (parts_->directory) debt_.owe_all(*parts_->book);
  tell_missing();
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
  if (parts_->directory) debt_.made_here(changed);
  put_some();
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

key_created accounts_state::create(const create_key& wish) {
  const auto refuse = [](error why) { return key_created{false, std::move(why), {}, {}}; };
  const auto& book = *parts_->book;
  const auto plans = book.plans();
  const auto* rules = plans->by_name(wish.plan);
  if (!rules || rules->missing) return refuse(no_such_plan(wish.plan, *plans));
  if (deletions_.is_going(wish.plan)) return refuse(plan_is_going(wish.plan));
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
  record.account = wish.account;
  record.plan = wish.plan;
  record.hash = parts_->hash(*key);
  record.shown = key->substr(0, api_key_shown_size);
  record.streams = wish.streams;
  record.origins = wish.origins;
  record.networks = wish.networks;
  record.created_ms = now_ms();
  record.expires_ms = wish.expires_ms;
  if (auto done = change({{record}, {}}); !done) return refuse(done.error());
  spdlog::info("made key {} for account {} under plan {}", record.id, record.account, record.plan);
  return {true, {}, *key, without_hash(std::move(record))};
}

key_list_ptr accounts_state::list(const list_keys& wish) const {
  auto out = std::make_shared<key_list>();
  bool more = false;
  out->keys = parts_->book->keys(wish.account, wish.after, wish.max, more);
  for (auto& record : out->keys)
    record.hash = {};
  if (more && !out->keys.empty()) out->next = out->keys.back().id;
  return out;
}

account_done accounts_state::revoke(const revoke_key& wish) {
  const auto* known = parts_->book->key(wish.id);
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

void accounts_state::configure(const plans_configured& news) {
  parts_->book->configure(news.plans);
  tell_missing();
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
  deletions_.release_all_of(caf::to_string(gone.mapped().accounts.address()));
  for (auto& ended : deletions_.went(peer.member))
    end_deletion(std::move(ended));
}

void accounts_state::compare(const accounts_digest& theirs, const accounts_handle& sender) {
  if (!sender) return;
  for (auto& portion : parts_->book->lacking(theirs.buckets))
    self_->send(sender, accounts_records{std::move(portion)});
}

void accounts_state::take_over(const accounts_records& theirs) {
  heard_records_ = true;
  const auto news = take(theirs.records);
  if (parts_->directory) debt_.heard(news);
}

// In force even when the disk does not take it: a key that was revoked elsewhere must be refused
// here on a full disk too. Gives what was news.
account_records accounts_state::take(account_records theirs) {
  auto news = parts_->book->newer(std::move(theirs), now_ms());
  if (news.empty()) return news;
  if (const auto kept = keep(news); !kept) {
    spdlog::error("accounts: can't keep what other nodes told, trying on: {}",
                  kept.error().message);
    if (unsaved_.size() + news.size() > max_unsaved_records) return {};
    unsaved_.keys.insert(unsaved_.keys.end(), news.keys.begin(), news.keys.end());
    unsaved_.plans.insert(unsaved_.plans.end(), news.plans.begin(), news.plans.end());
  }
  const auto before = parts_->book->live_plans_of(news);
  parts_->book->apply(news);
  for (const auto& rules : news.plans)
    deletions_.release(rules.name);
  bring_back(parts_->book->revived(news, before, now_ms()));
  publish();
  return news;
}

void accounts_state::tick() {
  if (!unsaved_.empty() && keep({}))
    spdlog::info("accounts: all that other nodes told is kept now");
  if (!heard_records_)
    for (const auto& [member, peer] : peers_)
      self_->send(peer.accounts, accounts_digest{parts_->book->digest()});
  if (parts_->book->note_missing(false)) {
    tell_missing();
    publish();
  }
  heard_records_ = false;
  if (++ticks_ % accounts_sweep_every == 0) sweep();
  debt_.tick();
  put_some();
}

void accounts_state::sweep() {
  const auto before_ms = now_ms() - tombstone_ms;
  if (const auto done = parts_->store->sweep(before_ms); !done)
    return spdlog::warn("accounts: {}", done.error().message);
  const auto swept = parts_->book->sweep(before_ms);
  if (parts_->directory) debt_.made_here(swept);
}

accounts_self::behavior_type accounts_actor(accounts_self::stateful_pointer<accounts_state> self,
                                            accounts_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->delayed_send(self, accounts_sync_interval, accounts_tick{});
  auto& state = self->state;
  return {
      [&state](const create_key& wish) { return state.create(wish); },
      [&state](const list_keys& wish) { return state.list(wish); },
      [&state](const revoke_key& wish) { return state.revoke(wish); },
      [&state](const put_plan& wish) { return state.put(wish); },
      [&state](const delete_plan& wish) { return state.remove(wish); },
      [&state](get_plans) { return state.list_plans(); },
      [&state](list_accounts) { return state.list_names(); },
      [&state](const plans_configured& news) { state.configure(news); },
      [&state](const peer_up& peer) { state.peer_came(peer); },
      [&state](const peer_down& peer) { state.peer_went(peer); },
      [self](const accounts_digest& theirs) {
        self->state.compare(theirs, sender_as<accounts_handle>(self));
      },
      [&state](const accounts_records& theirs) { state.take_over(theirs); },
      [self](const plan_question& asked) {
        self->state.say_use(asked, sender_as<accounts_handle>(self));
      },
      [self](const plan_answer& told) {
        self->state.use_is_said(told, sender_as<accounts_handle>(self));
      },
      [self](const plan_kept& told) {
        self->state.plan_is_kept(told, sender_as<accounts_handle>(self));
      },
      [&state](const plan_answers_due& due) { state.answers_are_due(due); },
      [&state](const plan_release_due& due) { state.release_is_due(due); },
      [&state](records_told& news) { state.records_are_told(std::move(news)); },
      [&state](records_due) { state.take_told(); },
      [&state](records_watched) { state.directory_watches(); },
      [&state](records_away) { state.directory_went(); },
      [&state](const records_put& outcome) { state.records_are_put(outcome); },
      [self](accounts_tick) {
        self->state.tick();
        self->delayed_send(self, accounts_sync_interval, accounts_tick{});
      },
  };
}

} // namespace penstock
