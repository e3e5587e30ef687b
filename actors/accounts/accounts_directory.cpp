#include "actors/accounts/accounts_directory.hpp"

#include "actors/accounts/account_json.hpp"
#include "actors/base/error_text.hpp"

#include <spdlog/spdlog.h>

#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <variant>

namespace penstock {

accounts_directory::accounts_directory(accounts_directory_parts parts) : parts_(std::move(parts)) {
  if (parts_.writer) debt_.owe_all(*parts_.book);
}

void accounts_directory::on_records(records_told update) {
  if (update.records.empty()) return;
  if (told_.empty()) parts_.take_soon();
  std::move(update.records.begin(), update.records.end(), std::back_inserter(told_));
  if (told_.size() < max_records_per_message) return;
  take_heard();
}

/// What the directory holds now was told: whatever is newer here is owed to it.
template <class Record>
void accounts_directory::note_told(const Record& record) {
  const auto key = directory_name(record);
  const auto ended_ms = end_of(record);
  if (ended_ms != 0 && ended_ms < parts_.wall_us() / 1000 - tombstone_ms)
    debt_.owe(key); // all have forgotten it: it is taken out
  else if (parts_.book->is_older(record))
    debt_.owe_later(key); // many nodes see that
  else
    debt_.settle(key);
}

void accounts_directory::take_heard() {
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
  if (!all.empty()) parts_.take(std::move(all));
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (read[i])
      std::visit([this](const auto& record) { note_told(record); }, *read[i]);
    else if (told[i].value.empty())
      note_taken_out(told[i].key);
  }
}

/// Only what all have forgotten is taken out of the directory. If it is anything else, somebody did
/// so by hand, or with a clock that is wrong.
void accounts_directory::note_taken_out(const std::string& key) {
  const auto live = [&] {
    const auto rest = key.substr(key.find('.') + 1);
    const auto* one = key.starts_with("key.") ? parts_.book->key(rest) : nullptr;
    const auto* rules = key.starts_with("plan.") ? parts_.book->stored_plan(rest) : nullptr;
    return (one != nullptr && end_of(*one) == 0) || (rules != nullptr && end_of(*rules) == 0);
  };
  if (live())
    debt_.owe_later(key);
  else
    debt_.settle(key);
}

void accounts_directory::on_watching() {
  take_heard();
  debt_.watching();
  put_some();
}

void accounts_directory::on_away() {
  take_heard();
  debt_.owe_all(*parts_.book);
}

void accounts_directory::on_put(const records_put& outcome) {
  debt_.put(outcome.ok);
  if (outcome.ok) put_some(); // if not, at the next tick
}

void accounts_directory::made_here(const account_records& changed) {
  if (parts_.writer) debt_.made_here(changed);
}

void accounts_directory::heard(const account_records& changed) {
  if (parts_.writer) debt_.heard(changed);
}

void accounts_directory::tick() {
  debt_.tick();
  put_some();
}

void accounts_directory::put_some() {
  if (!parts_.writer) return;
  std::vector<std::string> too_large;
  auto portion = debt_.next_portion(*parts_.book, too_large);
  for (const auto& key : too_large)
    complain(key, "is too large for it; other nodes have it from their peers");
  if (!portion.empty()) parts_.put(records_changed{std::move(portion)});
}

void accounts_directory::complain(const std::string& key, std::string_view why) {
  if (complaints_.size() >= max_record_complaints || !complaints_.insert(key).second) return;
  spdlog::warn("accounts: the directory's record {} {}", quote(key), why);
}

} // namespace penstock
