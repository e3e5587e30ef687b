// Does what blocks: the calls to the directory.
#pragma once

#include "actors/cluster_messages.hpp"
#include "actors/directory.hpp"

#include <memory>

namespace penstock {

/// Carries out each directory_wish in turn and answers it with directory_done. What the directory
/// tells goes to `told` as directory_news, and what it tells of keys and plans to `records`, as
/// that takes it. It blocks: spawn it detached. `drain` ends it.
caf::behavior directory_writer(caf::event_based_actor* self, std::shared_ptr<directory> store,
                               caf::actor told);

} // namespace penstock
