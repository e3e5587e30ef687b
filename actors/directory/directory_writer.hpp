// Does what blocks: the calls to the directory.
#pragma once

#include "actors/directory/directory.hpp"

#include <memory>

namespace penstock {

struct directory_writer_state {
  static constexpr const char* name = "directory_writer"; // CAF shows it
  caf::actor membership;
  caf::actor accounts;
};

/// Carries out each directory_wish in turn and answers it with directory_done, and records_changed
/// with records_put. What the directory tells goes to the two actors that are sent to it first, in
/// this order: the membership actor, as directory_news, and the accounts actor. It blocks: spawn it
/// detached. `drain` ends it.
caf::behavior directory_writer(caf::stateful_actor<directory_writer_state>* self,
                               std::shared_ptr<directory> store);

} // namespace penstock
