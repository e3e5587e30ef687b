#include "actors/accounts/directory_debt.hpp"

namespace penstock {

namespace {

directory_record record_in(const account_book& book, const std::string& name) {
  const auto dot = name.find('.');
  const auto rest = name.substr(dot + 1);
  if (name.starts_with("key.")) {
    const auto* key = book.key(rest);
    return key != nullptr ? to_directory(*key) : directory_record{name, {}};
  }
  const auto* rules = book.stored_plan(rest);
  return rules != nullptr ? to_directory(*rules) : directory_record{name, {}};
}

} // namespace

void directory_debt::note(const account_records& changed, std::set<std::string>& names) {
  for (const auto& rules : changed.plans)
    names.insert(directory_name(rules));
  for (const auto& key : changed.keys)
    names.insert(directory_name(key));
}

void directory_debt::owe_all(const account_book& book) {
  watching_ = false;
  owed_later_.clear();
  book.each_record([this](const auto& record) { owed_.insert(directory_name(record)); });
}

void directory_debt::owe_later(const std::string& name) {
  if (!owed_.contains(name)) owed_later_.insert(name);
}

void directory_debt::settle(const std::string& name) {
  owed_.erase(name);
  owed_later_.erase(name);
}

void directory_debt::tick() {
  if (watching_) owed_.merge(owed_later_);
  if (watching_) owed_later_.clear();
}

std::vector<directory_record> directory_debt::next_portion(const account_book& book,
                                                           std::vector<std::string>& too_large) {
  std::vector<directory_record> out;
  if (!watching_ || !under_way_.empty()) return out;
  while (!owed_.empty() && out.size() < max_records_per_put) {
    auto name = owed_.extract(owed_.begin());
    auto record = record_in(book, name.value());
    if (record.value.size() > max_directory_value_bytes) {
      too_large.push_back(std::move(name.value()));
      continue;
    }
    out.push_back(std::move(record));
    under_way_.insert(std::move(name));
  }
  return out;
}

void directory_debt::put(bool ok) {
  // Whatever was put may have failed in part. What was told meanwhile is owed again: no harm.
  if (!ok) owed_.merge(under_way_);
  under_way_.clear();
}

} // namespace penstock
