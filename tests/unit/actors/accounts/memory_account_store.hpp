// An account store without a disk, which fails when told to.
#pragma once

#include "storage/stores/account_store.hpp"

#include <algorithm>
#include <atomic>
#include <map>

namespace penstock {

class memory_account_store final : public account_store {
 public:
  result<account_records> load() override {
    account_records all;
    for (const auto& [id, key] : keys)
      all.keys.push_back(key);
    for (const auto& [name, plan] : plans)
      all.plans.push_back(plan);
    return all;
  }
  result<void> save(const account_records& changed) override {
    if (fails) return error{errc::disk_full, "no room"};
    ++saves;
    for (const auto& key : changed.keys)
      keys[key.id] = key;
    for (const auto& plan : changed.plans)
      plans[plan.name] = plan;
    return {};
  }
  result<void> sweep(std::int64_t before_ms) override {
    swept_before_ms = before_ms;
    std::erase_if(keys, [&](const auto& entry) {
      return entry.second.revoked_ms != 0 && entry.second.revoked_ms < before_ms;
    });
    return {};
  }

  std::map<std::string, key_record> keys;
  std::map<std::string, plan_record> plans;
  std::atomic<bool> fails{false};
  std::atomic<int> saves{0};
  std::int64_t swept_before_ms = 0;
};

} // namespace penstock
