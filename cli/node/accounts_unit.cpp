#include "cli/node/accounts_unit.hpp"

#include "actors/base/wall_clock.hpp"
#include "net/base/wall_time.hpp"

namespace penstock {

result<void> accounts_unit::start() {
  accounts_parts parts{files_.store(), files_.book(), key_hasher{files_.secret()}, {}, wall_us};
  parts.limiters = lanes_.limiters();
  const auto front_ends = lanes_.front_ends();
  parts.subscribers.assign(front_ends.begin(), front_ends.end());
  parts.directory = directory_.writer();
  actor_ = core_.system.spawn<caf::detached>(accounts_actor, std::move(parts));
  return {};
}

void accounts_unit::reload(const config& settings) {
  caf::anon_send(actor_, plans_configured{plans_of(settings)});
}

} // namespace penstock
