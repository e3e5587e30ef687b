// The accounts actor and the directory: what it tells is taken as a peer's records are, and what it
// lacks is put there, a portion at a time.
#include "actors/accounts/accounts_actor.hpp"
#include "actors/base/error_text.hpp"
#include "actors/directory/directory_messages.hpp"

#include <spdlog/spdlog.h>

#include <iterator>
#include <map>
#include <utility>

namespace penstock {

void accounts_state::records_are_told(records_told update) {
  if (update.records.empty()) return;
  if (told_.empty()) self_->send(self_, records_due{});
  std::move(update.records.begin(), update.records.end(), std::back_inserter(told_));
  if (told_.size() < max_records_per_message) return;
  take_told();
}

/// What the directory holds now was told: whatever is newer here is owed to it.
template <class Record>
void accounts_state::note_told(const Record& record) {
  const auto key = directory_name(record);
  const auto ended_ms = end_of(record);
  if (ended_ms != 0 && ended_ms < now_ms() - tombstone_ms)
    debt_.owe(key); // all have forgotten it: it is taken out
  else if (parts_->book->is_older(record))
    debt_.owe_later(key); // many nodes see that
  else
    debt_.settle(key);
}

void accounts_state::take_told() {
  const auto told = std::exchange(told_, {});
  // A name may be there several times, and an older record last.
  std::map<std::string, key_record> keys;
  std::map<std::string, plan_record> plans;
  const auto keep_right = [](auto& records, const auto& record) {
    const auto [at, fresh] = records.try_emplace(directory_name(record), record);
    if (!fresh && is_newer(record, at->second)) at->second = record;
  };
  std::vector<std::optional<account_record>> read;
  for (const auto& record : told) {
    auto& one = read.emplace_back();
    if (record.value.empty()) continue;
    one = from_directory(record);
    if (!one) complain(record.key, "can't be read; passed over");
    if (one && std::holds_alternative<key_record>(*one))
      keep_right(keys, std::get<key_record>(*one));
    if (one && std::holds_alternative<plan_record>(*one))
      keep_right(plans, std::get<plan_record>(*one));
  }
  account_records all;
  for (auto& [at, rules] : plans)
    all.plans.push_back(std::move(rules));
  for (auto& [at, key] : keys)
    all.keys.push_back(std::move(key));
  if (!all.empty()) take(std::move(all));
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (read[i])
      std::visit([this](const auto& record) { note_told(record); }, *read[i]);
    else if (told[i].value.empty())
      note_taken_out(told[i].key);
  }
}

/// Only what all have forgotten is taken out of the directory. If it is anything else, somebody did
/// so by hand, or with a clock that is wrong.
void accounts_state::note_taken_out(const std::string& key) {
  const auto live = [&] {
    const auto rest = key.substr(key.find('.') + 1);
    const auto* one = key.starts_with("key.") ? parts_->book->key(rest) : nullptr;
    const auto* rules = key.starts_with("plan.") ? parts_->book->stored_plan(rest) : nullptr;
    return (one != nullptr && end_of(*one) == 0) || (rules != nullptr && end_of(*rules) == 0);
  };
  if (live())
    debt_.owe_later(key);
  else
    debt_.settle(key);
}

void accounts_state::directory_watches() {
  take_told();
  debt_.watching();
  put_some();
}

void accounts_state::directory_went() {
  take_told();
  debt_.owe_all(*parts_->book);
}

void accounts_state::records_are_put(const records_put& outcome) {
  debt_.put(outcome.ok);
  if (outcome.ok) put_some(); // if not, at the next tick
}

void accounts_state::put_some() {
  if (!parts_->directory) return;
  std::vector<std::string> too_large;
  auto portion = debt_.next_portion(*parts_->book, too_large);
  for (const auto& key : too_large)
    complain(key, "is too large for it; other nodes have it from their peers");
  if (!portion.empty()) self_->send(parts_->directory, records_changed{std::move(portion)});
}

void accounts_state::complain(const std::string& key, std::string_view why) {
  if (complaints_.size() >= max_record_complaints || !complaints_.insert(key).second) return;
  spdlog::warn("accounts: the directory's record {} {}", quote(key), why);
}

} // namespace penstock
