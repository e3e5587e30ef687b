#include "cli/node/account_files.hpp"

#include "cli/node/client_secret.hpp"
#include "net/clients/identity.hpp"

namespace penstock {

std::vector<plan> plans_of(const config& settings) {
  std::vector<plan> plans;
  for (auto& [name, rules] : settings.plans)
    plans.push_back(rules);
  return plans;
}

name_hasher name_hasher_of(const std::string& secret) {
  return [hash = client_hasher{secret}](std::string_view kind, std::string_view name) {
    return hash(identity_source::bearer, kind, name);
  };
}

result<void> account_files::start() {
  auto secret = client_secret(core_.settings.cluster, core_.settings.data_dir);
  if (!secret) return secret.error();
  secret_ = std::move(*secret);
  store_report found;
  auto opened = account_store::open(core_.settings.data_dir, {}, &found);
  storage_.tell_damage(found);
  if (!opened) return opened.error();
  auto records = (*opened)->load();
  if (!records) return records.error();
  book_ = std::make_shared<account_book>(std::move(*records), plans_of(core_.settings),
                                         name_hasher_of(secret_));
  store_ = std::move(*opened);
  return {};
}

} // namespace penstock
