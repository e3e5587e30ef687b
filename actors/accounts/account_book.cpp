#include "actors/accounts/account_book.hpp"

#include <xxhash.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace penstock {

namespace {

const std::string& name_of(const key_record& key) {
  return key.id;
}
const std::string& name_of(const plan_record& rules) {
  return rules.name;
}

/// What decides between records of one name. Of a key only `revoked_ms` ever changes.
auto rank(const key_record& key) {
  return std::tuple{key.version, key.revoked_ms};
}
auto rank(const plan_record& rules) {
  return std::tuple{rules.version, rules.deleted_ms, std::string_view{rules.limits}};
}

std::size_t bucket_of(const std::string& name) {
  return XXH3_64bits(name.data(), name.size()) % digest_buckets;
}

std::uint64_t fingerprint(const key_record& key) {
  return XXH3_64bits_withSeed(key.id.data(), key.id.size(),
                              key.version ^ static_cast<std::uint64_t>(key.revoked_ms) << 1);
}
std::uint64_t fingerprint(const plan_record& rules) {
  const auto content = XXH3_64bits_withSeed(rules.limits.data(), rules.limits.size(),
                                            static_cast<std::uint64_t>(rules.deleted_ms));
  return XXH3_64bits_withSeed(rules.name.data(), rules.name.size(), rules.version ^ content);
}

std::size_t weight(const key_record& key) {
  std::size_t bytes = 200 + key.account.size() + key.plan.size();
  for (const auto* list : {&key.streams, &key.origins, &key.networks})
    for (const auto& item : *list)
      bytes += 8 + item.size();
  return bytes;
}
std::size_t weight(const plan_record& rules) {
  return 100 + rules.name.size() + rules.limits.size();
}

template <class Record>
void keep_newer(std::vector<Record>& theirs, const std::map<std::string, Record>& ours,
                std::int64_t forgotten_before_ms) {
  std::erase_if(theirs, [&](const Record& record) {
    if (record.version == 0 || record.version > max_record_version || name_of(record).empty())
      return true;
    if (end_of(record) != 0 && end_of(record) < forgotten_before_ms) return true;
    const auto known = ours.find(name_of(record));
    return known != ours.end() && rank(known->second) >= rank(record);
  });
}

template <class Record>
class portion_maker {
 public:
  portion_maker(std::vector<account_records>& out, std::vector<Record> account_records::*where)
      : out_(out), where_(where) {}
  void add(Record record) {
    bytes_ += weight(record);
    if (fresh_ || out_.back().size() >= max_records_per_message ||
        bytes_ > max_record_bytes_per_message) {
      out_.emplace_back();
      bytes_ = weight(record);
      fresh_ = false;
    }
    (out_.back().*where_).push_back(std::move(record));
  }

 private:
  std::vector<account_records>& out_;
  std::vector<Record> account_records::*where_;
  std::size_t bytes_ = 0;
  bool fresh_ = true;
};

} // namespace

bool is_newer(const key_record& a, const key_record& b) {
  return rank(a) > rank(b);
}

bool is_newer(const plan_record& a, const plan_record& b) {
  return rank(a) > rank(b);
}

std::vector<account_records> in_portions(account_records records) {
  std::vector<account_records> out;
  // Plans first: keys refer to them.
  portion_maker plans{out, &account_records::plans};
  for (auto& record : records.plans)
    plans.add(std::move(record));
  portion_maker keys{out, &account_records::keys};
  for (auto& record : records.keys)
    keys.add(std::move(record));
  return out;
}

account_book::account_book(account_records records, std::vector<plan> configured, name_hasher hash)
    : configured_(std::move(configured)), hash_(std::move(hash)) {
  std::vector<access_rows::row> rows;
  rows.reserve(records.keys.size());
  for (auto& key : records.keys) {
    if (key.revoked_ms == 0) rows.push_back({key.hash, make_access_entry(key, hash_)});
    note(key);
    count(key, 1);
    auto id = key.id;
    keys_.insert_or_assign(keys_.end(), std::move(id), std::move(key));
  }
  for (auto& rules : records.plans) {
    note(rules);
    auto name = rules.name;
    stored_plans_.insert_or_assign(std::move(name), std::move(rules));
  }
  access_ = std::make_shared<const access_table>(rows);
  set_plans();
  note_missing(true);
}

void account_book::set_plans() {
  std::vector<plan_record> stored;
  for (const auto& [name, rules] : stored_plans_)
    stored.push_back(rules);
  plans_ = std::make_shared<const plan_set>(configured_, stored, missing_);
}

// Adds a record to the digest, or takes it out again: the same thing.
template <class Record>
void account_book::note(const Record& record) {
  digest_[bucket_of(name_of(record))] ^= fingerprint(record);
  last_version_ = std::max(last_version_, record.version);
}

void account_book::count(const key_record& key, int by) {
  if (key.revoked_ms != 0) return;
  auto& keys = unrevoked_[key.plan];
  keys += static_cast<std::uint64_t>(by);
  if (keys == 0) unrevoked_.erase(key.plan);
}

// -- what is in force -----------------------------------------------------------------------------

const key_record* account_book::key(const std::string& id) const {
  const auto found = keys_.find(id);
  return found == keys_.end() ? nullptr : &found->second;
}

std::vector<key_record> account_book::keys(const std::string& account, const std::string& after,
                                           std::size_t max, bool& more) const {
  std::vector<key_record> out;
  more = false;
  for (auto at = keys_.upper_bound(after); at != keys_.end(); ++at) {
    if (!account.empty() && at->second.account != account) continue;
    if (out.size() == max) {
      more = true;
      break;
    }
    out.push_back(at->second);
  }
  return out;
}

std::map<std::string, std::uint64_t> account_book::keys_by_plan(std::int64_t now_ms) const {
  std::map<std::string, std::uint64_t> counts;
  for (const auto& [id, key] : keys_)
    if (key.revoked_ms == 0 && (key.expires_ms == 0 || key.expires_ms > now_ms)) ++counts[key.plan];
  return counts;
}

std::vector<std::string> account_book::accounts() const {
  std::vector<std::string> names;
  for (const auto& [id, key] : keys_)
    names.push_back(key.account);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::size_t account_book::stored_plan_count() const {
  return static_cast<std::size_t>(
      std::count_if(stored_plans_.begin(), stored_plans_.end(),
                    [](const auto& entry) { return entry.second.deleted_ms == 0; }));
}

const plan_record* account_book::stored_plan(const std::string& name) const {
  const auto found = stored_plans_.find(name);
  return found == stored_plans_.end() ? nullptr : &found->second;
}

// -- changes --------------------------------------------------------------------------------------

std::uint64_t account_book::next_version(std::int64_t now_us) const {
  return std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(now_us, 1)), last_version_ + 1);
}

account_records account_book::newer(account_records theirs, std::int64_t now_ms) const {
  keep_newer(theirs.keys, keys_, now_ms - tombstone_ms);
  keep_newer(theirs.plans, stored_plans_, now_ms - tombstone_ms);
  return theirs;
}

void account_book::apply(const account_records& changed) {
  std::vector<access_rows::row> rows;
  for (const auto& key : changed.keys) {
    auto [at, fresh] = keys_.try_emplace(key.id);
    if (!fresh) note(at->second);
    if (!fresh) count(at->second, -1);
    // The hash of a record never changes; if a damaged store says otherwise, no old one stays.
    if (!fresh && at->second.hash != key.hash) rows.push_back({at->second.hash, nullptr});
    at->second = key;
    note(key);
    count(key, 1);
    rows.push_back({key.hash, key.revoked_ms == 0 ? make_access_entry(key, hash_) : nullptr});
  }
  if (!rows.empty()) access_ = std::make_shared<const access_table>(access_->with(rows));
  for (const auto& rules : changed.plans) {
    auto [at, fresh] = stored_plans_.try_emplace(rules.name);
    if (!fresh) note(at->second);
    at->second = rules;
    note(rules);
  }
  if (!changed.plans.empty()) set_plans();
}

void account_book::configure(std::vector<plan> plans) {
  configured_ = std::move(plans);
  set_plans();
  note_missing(true);
}

// -- plans that are gone and used -----------------------------------------------------------------

std::vector<plan_record> account_book::live_plans_of(const account_records& changed) const {
  std::vector<plan_record> out;
  for (const auto& rules : changed.plans)
    if (const auto* ours = stored_plan(rules.name);
        rules.deleted_ms != 0 && ours && ours->deleted_ms == 0)
      out.push_back(*ours);
  return out;
}

std::vector<plan_record> account_book::revived(const account_records& changed,
                                               const std::vector<plan_record>& before,
                                               std::int64_t now_ms) const {
  std::set<std::string> names;
  for (const auto& rules : changed.plans)
    names.insert(rules.name);
  for (const auto& key : changed.keys)
    names.insert(key.plan);
  std::erase_if(names, [this](const std::string& name) {
    const auto* rules = stored_plan(name);
    const auto* in_force = plans_->by_name(name);
    return !rules || rules->deleted_ms == 0 || rules->version >= max_record_version ||
           !unrevoked_.contains(name) || (in_force && in_force->configured);
  });
  std::vector<plan_record> out;
  if (names.empty()) return out;
  const auto used = keys_by_plan(now_ms);
  for (const auto& name : names) {
    if (!used.contains(name)) continue;
    auto back = *stored_plan(name);
    const auto known = std::find_if(before.begin(), before.end(),
                                    [&](const auto& rules) { return rules.name == name; });
    if (!keeps_limits(back) && known == before.end()) continue;
    if (!keeps_limits(back)) back.limits = known->limits;
    ++back.version;
    back.changed_ms = std::exchange(back.deleted_ms, 0);
    out.push_back(std::move(back));
  }
  return out;
}

bool account_book::is_nowhere(const std::string& plan) const {
  const auto* found = plans_->by_name(plan);
  return !found || found->missing;
}

bool account_book::note_missing(bool at_once) {
  std::set<std::string> nowhere, missing;
  for (const auto& [plan, keys] : unrevoked_)
    if (nowhere.size() < max_stored_plans && is_nowhere(plan)) nowhere.insert(plan);
  for (const auto& plan : nowhere)
    if (at_once || nowhere_.contains(plan)) missing.insert(plan);
  nowhere_ = std::move(nowhere);
  if (missing == missing_) return false;
  missing_ = std::move(missing);
  set_plans();
  return true;
}

bool account_book::is_older(const key_record& theirs) const {
  const auto* ours = key(theirs.id);
  return ours != nullptr && is_newer(*ours, theirs);
}

bool account_book::is_older(const plan_record& theirs) const {
  const auto* ours = stored_plan(theirs.name);
  return ours != nullptr && is_newer(*ours, theirs);
}

account_records account_book::sweep(std::int64_t before_ms) {
  account_records swept;
  const auto forget = [&](auto& records, auto& into) {
    std::erase_if(records, [&](auto& entry) {
      const auto end = end_of(entry.second);
      const bool old = end != 0 && end < before_ms;
      if (old) note(entry.second);
      if (old) into.push_back(std::move(entry.second));
      return old;
    });
  };
  forget(keys_, swept.keys);
  forget(stored_plans_, swept.plans);
  return swept;
}

// -- comparing with other nodes -------------------------------------------------------------------

std::vector<account_records> account_book::lacking(const std::vector<std::uint64_t>& theirs) const {
  if (theirs.size() != digest_.size()) return {};
  if (std::equal(theirs.begin(), theirs.end(), digest_.begin())) return {};
  account_records out;
  const auto differs = [&](const std::string& name) {
    const auto bucket = bucket_of(name);
    return theirs[bucket] != digest_[bucket];
  };
  for (const auto& [name, rules] : stored_plans_)
    if (differs(name)) out.plans.push_back(rules);
  for (const auto& [id, key] : keys_)
    if (differs(id)) out.keys.push_back(key);
  return in_portions(std::move(out));
}

} // namespace penstock
