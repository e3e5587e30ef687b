#include "actors/replication/adopter.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

namespace penstock {

caf::behavior adopter(caf::event_based_actor* self, publish_replica publish) {
  end_process_on_exception(self);
  return {
      [publish = std::move(publish)](const adopt_replica& what) { return publish(what); },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
