// Whether a data directory has the journal that it had, as it may lie on a disk of its own.
#pragma once

#include "storage/base/result.hpp"
#include "storage/journal/journal.hpp"
#include "storage/stores/cursor_store.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace penstock {

/// errc::corrupt, with what to do, where `data_dir` had a journal and `journal/` has nothing of
/// one: it is not mounted, or is gone. To be asked before journal::open(), which would begin
/// another. The list of stores says that there was one; it names itself in the message.
result<void> miss_journal(const std::filesystem::path& data_dir);

/// From now on the journal of `data_dir` is missed. It must be open, so that its tag is durable,
/// and locked.
void note_journal(const std::filesystem::path& data_dir);

/// Where positions lie at or beyond the journal's next id, an earlier journal took the place of the
/// one that they speak of: new events would pass for confirmed. Then ids go on far beyond, as when
/// `next-id` is gone. A sentence for people; "" where all is well. Before events are added. Errors:
/// as write_number().
result<std::string> go_beyond_cursors(journal& events, const std::vector<cursor>& positions);

} // namespace penstock
