// Keys and plans as they are on the disk, and the secret that clients are hashed with.
#pragma once

#include "actors/accounts/account_book.hpp"
#include "cli/node/storage_unit.hpp"
#include "cli/node/unit.hpp"
#include "storage/stores/account_store.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The plans of a configuration, by name.
std::vector<plan> plans_of(const config& settings);
/// How names of keys and accounts are told apart without being kept.
name_hasher name_hasher_of(const std::string& secret);

/// The book is the accounts actor's once that runs (accounts_unit.hpp).
class account_files final : public unit {
 public:
  account_files(node_core& core, storage_unit& storage) : core_(core), storage_(storage) {}

  std::string_view name() const override { return "account files"; }
  result<void> start() override;

  const std::string& secret() const { return secret_; }
  const std::shared_ptr<account_book>& book() const { return book_; }
  const std::shared_ptr<account_store>& store() const { return store_; }

 private:
  node_core& core_;
  storage_unit& storage_;
  std::string secret_; // keys the hashes of clients and of API keys
  std::shared_ptr<account_store> store_;
  std::shared_ptr<account_book> book_;
};

} // namespace penstock
