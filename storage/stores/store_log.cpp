#include "storage/stores/store_log.hpp"

#include "storage/base/files.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/sqlite/wal_files.hpp"
#include "storage/sqlite/wal_index.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

/// Whether the database has a later version of a page than the last that can be read of the log.
result<bool> is_newer_than_its_log(const fs::path& db, const wal_scan& found) {
  auto fd = open_file(db, O_RDONLY);
  if (!fd) return fd.error();
  const std::hash<std::string_view> hash;
  std::unordered_map<std::uint32_t, std::size_t>
      last_readable; // by page; as many as the log has frames
  std::string stored(page_bytes, '\0');
  bool is_newer = false;
  auto walked = scan_wal(wal_path(db), [&](const wal_frame& frame) {
    if (frame.number <= found.committed_frames) {
      last_readable[frame.page] = hash(frame.content);
      return;
    }
    const auto before = last_readable.find(frame.page);
    if (is_newer || !frame.is_intact || before == last_readable.end() ||
        before->second == hash(frame.content))
      return;
    const auto offset = static_cast<off_t>((frame.page - 1) * page_bytes);
    is_newer = ::pread(fd->get(), stored.data(), stored.size(), offset) ==
                   static_cast<ssize_t>(stored.size()) &&
               stored == frame.content;
  });
  if (!walked) return walked.error();
  return is_newer;
}

bool is_log_damaged(const store_log& log, const fs::path& db, bool is_synced) {
  const auto& found = log.found;
  if (!found.has_header) {
    // What is not synced may be gone from the log after a power cut, but not the log itself.
    std::error_code fault;
    const bool is_gone = !std::filesystem::exists(wal_path(db), fault);
    return found.frames_without_header > 0 ||
           ((is_synced || is_gone) && tells_of_uncopied_frames(shm_path(db)));
  }
  if (log.is_without_database) return found.last_frame > 0;
  return found.commits_beyond > 1 ||
         (is_synced && frames_told(shm_path(db), found) > found.committed_frames);
}

} // namespace

result<store_log> read_store_log(const fs::path& db, bool is_synced) {
  store_log log;
  auto found = scan_wal(wal_path(db));
  if (!found) return found.error();
  log.found = *found;
  if (found->has_other_pages) return log; // of another program's making: SQLite alone can judge it
  log.is_without_database = is_empty_database(db);
  if (is_log_damaged(log, db, is_synced)) {
    log.end = log_end::damaged;
    log.is_overtaken = frames_copied(shm_path(db), *found) > found->committed_frames;
    if (found->committed_frames == 0 || log.is_without_database || log.is_overtaken) return log;
    auto newer = is_newer_than_its_log(db, *found);
    if (!newer) return newer.error();
    log.is_overtaken = *newer;
  } else if (found->broken_frames > 0 || found->uncommitted_frames > 0) {
    log.end = log_end::torn;
  }
  return log;
}

} // namespace penstock
