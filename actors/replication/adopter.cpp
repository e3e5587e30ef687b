#include "actors/replication/adopter.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"

namespace penstock {

adopter_handle::behavior_type adopter(adopter_handle::pointer self, publish_replica publish) {
  end_process_on_exception(self);
  return {
      [publish = std::move(publish)](const adopt_replica& what) { return publish(what); },
      [self](drain) { self->quit(); },
  };
}

} // namespace penstock
