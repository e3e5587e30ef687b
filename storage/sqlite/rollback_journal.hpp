// Looks at a rollback journal the way SQLite does, to tell one that takes a transaction back only
// in part.
#pragma once

#include "storage/base/result.hpp"

#include <filesystem>

namespace penstock {

/// `idempotency.db-journal`, say.
std::filesystem::path rollback_journal_path(const std::filesystem::path& db);

/// While a store without a write-ahead log is written to, its rollback journal has the pages as
/// they were. One that a crash left behind is played back at the next start, up to the first page
/// with a wrong checksum; if it has no good header it is ignored. The database then keeps a part of
/// a transaction. True for such a journal; false for none, an empty one, and one whose pages SQLite
/// had not begun to replace.
result<bool> is_rollback_journal_damaged(const std::filesystem::path& journal);

} // namespace penstock
