// Does what blocks: the calls to the directory.
#pragma once

#include "actors/directory/directory.hpp"
#include "actors/directory/directory_messages.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <memory>

namespace penstock {

struct directory_writer_state {
  static constexpr const char* name = "directory_writer"; // CAF shows it
  directory_listeners told;
};

/// Carries out each directory_request in turn and answers it with directory_done, and
/// records_changed with records_put. What the directory tells goes to the two actors of
/// directory_listeners, which is sent to it first. It blocks: spawn it detached. `drain` ends it.
directory_writer_handle::behavior_type
directory_writer(directory_writer_handle::stateful_pointer<directory_writer_state> self,
                 std::shared_ptr<directory> store);

} // namespace penstock
