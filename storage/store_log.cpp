#include "storage/store_log.hpp"

#include "storage/files.hpp"
#include "storage/segment.hpp"

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

// https://www.sqlite.org/walformat.html#the_wal_index_header: two copies, in the machine's byte order.
constexpr std::size_t index_header_bytes = 48;
constexpr std::size_t index_version_at = 0, index_is_made_at = 12, index_frames_at = 16,
                      index_salts_at = 32, index_checksum_at = 40;
constexpr std::uint32_t index_version = 3007000;
constexpr std::size_t index_copied_at = 2 * index_header_bytes, index_bytes_read = index_copied_at + 4;

std::uint32_t number_at(const unsigned char* from) {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

bool has_index_checksum(const unsigned char* header) {
  std::uint32_t a = 0, b = 0;
  for (std::size_t i = 0; i < index_checksum_at; i += 8) {
    a += number_at(header + i) + b;
    b += number_at(header + i + 4) + a;
  }
  return a == number_at(header + index_checksum_at) && b == number_at(header + index_checksum_at + 4);
}

/// What SQLite's shared memory says of this generation of a log; zeros where it is gone, half written, or of
/// another generation.
struct index_frames {
  std::uint64_t told = 0;   ///< those that connections were told of, which is once they are synced
  std::uint64_t copied = 0; ///< of these, in the database, too
};

index_frames read_index(const fs::path& shm, const wal_scan& found) {
  auto fd = open_file(shm, O_RDONLY);
  std::array<unsigned char, index_bytes_read> begin;
  if (!fd || ::pread(fd->get(), begin.data(), begin.size(), 0) != static_cast<ssize_t>(begin.size())) return {};
  const auto* header = begin.data();
  const bool holds = std::memcmp(header, header + index_header_bytes, index_header_bytes) == 0 &&
                     number_at(header + index_version_at) == index_version &&
                     header[index_is_made_at] == 1 && has_index_checksum(header) &&
                     std::memcmp(header + index_salts_at, found.salts.data(), found.salts.size()) == 0;
  if (!holds) return {};
  const std::uint64_t told = number_at(header + index_frames_at), copied = number_at(header + index_copied_at);
  return {told, copied <= told ? copied : 0}; // no checksum covers the second
}

/// Whether the database has a later version of a page than the last that can be read of the log.
result<bool> is_newer_than_its_log(const fs::path& db, const wal_scan& found) {
  auto fd = open_file(db, O_RDONLY);
  if (!fd) return fd.error();
  const std::hash<std::string_view> hash;
  std::unordered_map<std::uint32_t, std::size_t> last_readable; // by page; as many as the log has frames
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

bool is_log_damaged(const store_log& log, const index_frames& index, bool is_synced) {
  const auto& found = log.found;
  if (!found.has_header) return found.frames_without_header > 0;
  if (log.is_without_database) return found.last_frame > 0;
  return found.commits_beyond > 1 ||
         (is_synced && index.told > found.committed_frames);
}

} // namespace

result<store_log> read_store_log(const fs::path& db, bool is_synced) {
  store_log log;
  auto found = scan_wal(wal_path(db));
  if (!found) return found.error();
  log.found = *found;
  if (found->has_other_pages) return log; // of another program's making: SQLite alone can judge it
  log.is_without_database = file_bytes(db) == 0;
  const auto index = read_index(shm_path(db), *found);
  if (is_log_damaged(log, index, is_synced)) {
    log.end = log_end::damaged;
    log.is_overtaken = index.copied > found->committed_frames;
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
