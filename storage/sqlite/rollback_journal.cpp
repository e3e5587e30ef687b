#include "storage/sqlite/rollback_journal.hpp"

#include "storage/base/files.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_set>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace {

// https://www.sqlite.org/fileformat2.html#the_rollback_journal: stretches of pages, each behind a
// header that is as long as a sector. Magic and count are zeros until the pages of the stretch are
// synced.
constexpr std::array<unsigned char, 8> rollback_magic{0xd9, 0xd5, 0x05, 0xf9,
                                                      0x20, 0xa1, 0x63, 0xd7};
constexpr std::size_t rollback_header_bytes = 28, count_at = 8, nonce_at = 12, pages_at = 16,
                      sector_at = 20, page_size_at = 24;
constexpr std::uint32_t min_size_bytes = 512, max_size_bytes = 65536; // of sectors and pages
constexpr std::size_t checksum_step_bytes = 200;

std::uint32_t big_endian_at(const unsigned char* from) {
  return std::uint32_t{from[0]} << 24 | std::uint32_t{from[1]} << 16 | std::uint32_t{from[2]} << 8 |
         from[3];
}

bool is_size(std::uint32_t bytes) {
  return bytes >= min_size_bytes && bytes <= max_size_bytes && (bytes & (bytes - 1)) == 0;
}

bool is_page_right(const unsigned char* record, std::uint32_t page_size, std::uint32_t nonce) {
  auto sum = nonce;
  for (std::size_t at = page_size - checksum_step_bytes; at > 0 && at < page_size;
       at -= checksum_step_bytes)
    sum += record[4 + at];
  return sum == big_endian_at(record + 4 + page_size);
}

/// Whether a stretch is whole; moves `offset` behind it, as SQLite looks for the next. `pages`:
/// those of the stretches so far; each page is there once. No checksum covers their numbers.
bool is_stretch_whole(int fd, const unsigned char* header, std::uint64_t& offset,
                      std::unordered_set<std::uint32_t>& pages) {
  const auto sector = big_endian_at(header + sector_at),
             page_size = big_endian_at(header + page_size_at);
  if (!is_size(sector) || !is_size(page_size)) return false;
  std::string record(page_size + 8, '\0');
  offset += sector;
  for (auto left = big_endian_at(header + count_at); left > 0; --left, offset += record.size()) {
    const auto got = ::pread(fd, record.data(), record.size(), static_cast<off_t>(offset));
    const auto* bytes = reinterpret_cast<const unsigned char*>(record.data());
    const auto page = big_endian_at(bytes);
    if (got != static_cast<ssize_t>(record.size()) || page == 0 ||
        page > big_endian_at(header + pages_at) || !pages.insert(page).second ||
        !is_page_right(bytes, page_size, big_endian_at(header + nonce_at)))
      return false;
  }
  offset = (offset + sector - 1) / sector * sector;
  return true;
}

} // namespace

std::filesystem::path rollback_journal_path(const std::filesystem::path& db) {
  return db.native() + "-journal";
}

result<bool> is_rollback_journal_damaged(const std::filesystem::path& journal) {
  auto fd = open_file(journal, O_RDONLY);
  if (!fd && fd.error().code == errc::not_found) return false;
  if (!fd) return fd.error();
  std::array<unsigned char, rollback_header_bytes> header;
  std::unordered_set<std::uint32_t> pages;
  for (std::uint64_t offset = 0;;) {
    const auto got = ::pread(fd->get(), header.data(), header.size(), static_cast<off_t>(offset));
    if (got < 0) return system_error(journal, "read");
    if (got < static_cast<ssize_t>(header.size())) return false;
    const bool is_synced = std::equal(rollback_magic.begin(), rollback_magic.end(), header.begin());
    const bool is_unsynced = std::all_of(header.begin(), header.begin() + nonce_at,
                                         [](unsigned char byte) { return byte == 0; });
    // Behind the last stretch may lie what an earlier, longer journal left.
    if (!is_synced) return offset == 0 && !is_unsynced;
    if (!is_stretch_whole(fd->get(), header.data(), offset, pages)) return true;
  }
}

} // namespace penstock
