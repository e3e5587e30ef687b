// Messages that only the front ends take.
#pragma once

#include "actors/accounts/account_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/clients/identity.hpp"
#include "net/clients/plan_overrides.hpp"
#include "net/http/http_settings.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace penstock {

/// What a reload can change for the front ends. Immutable.
struct ingest_rules {
  std::map<std::string, stream_settings, std::less<>> streams; ///< "default" is always there
  plan_overrides overrides;
  unknown_streams others = unknown_streams::accept; ///< what is not in `streams`

  bool refuses(std::string_view stream) const {
    return others == unknown_streams::refuse && streams.find(stream) == streams.end();
  }
};
using ingest_rules_ptr = std::shared_ptr<const ingest_rules>;

/// New rules after a reload.
struct rules_changed {
  ingest_rules_ptr rules;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::rules_changed)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_net, caf::first_custom_type_id + 100)
CAF_ADD_TYPE_ID(penstock_net, (penstock::rules_changed))
CAF_END_TYPE_ID_BLOCK(penstock_net)
