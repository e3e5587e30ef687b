#include "storage/sqlite/wal_scan.hpp"

#include "storage/base/files.hpp"
#include "storage/sqlite/wal_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace {

// https://www.sqlite.org/fileformat2.html#the_write_ahead_log
constexpr std::uint32_t wal_magic = 0x377f0682; // the lowest bit tells the checksums' byte order
constexpr std::size_t frames_per_read = 256;
// Not zeros, which a disk may give for a block that it lost.
constexpr std::string_view unused_mark = "penstock: a log that is not used";
static_assert(unused_mark.size() == wal_header_bytes);

std::uint32_t big_endian(const unsigned char* from) {
  return std::uint32_t{from[0]} << 24 | std::uint32_t{from[1]} << 16 | std::uint32_t{from[2]} << 8 |
         from[3];
}

std::uint32_t little_endian(const unsigned char* from) {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

using wal_checksum = std::array<std::uint32_t, 2>;

void add(wal_checksum& sum, const unsigned char* data, std::size_t size, bool big) {
  for (std::size_t i = 0; i < size; i += 8) {
    sum[0] += (big ? big_endian(data + i) : little_endian(data + i)) + sum[1];
    sum[1] += (big ? big_endian(data + i + 4) : little_endian(data + i + 4)) + sum[0];
  }
}

bool matches(const wal_checksum& sum, const unsigned char* stored) {
  return sum[0] == big_endian(stored) && sum[1] == big_endian(stored + 4);
}

bool is_all_zeros(const unsigned char* from, std::size_t bytes) {
  return std::all_of(from, from + bytes, [](unsigned char byte) { return byte == 0; });
}

/// Walks the frames; `valid` ends at the first bad one, counting goes on.
class frame_walk {
 public:
  explicit frame_walk(const unsigned char* header) : big_(header[3] & 1) {
    std::memcpy(found_.salts.data(), header + 16, found_.salts.size());
    wal_checksum sum{};
    add(sum, header, 24, big_);
    valid_ = (big_endian(header) & ~1u) == wal_magic && matches(sum, header + 24);
    std::memcpy(stored_before_, header + 24, sizeof stored_before_);
    found_.has_header = valid_;
    found_.has_other_pages = valid_ && big_endian(header + 8) != page_bytes;
    found_.has_mark = std::memcmp(header, unused_mark.data(), wal_header_bytes) == 0;
    found_.header_damaged = !valid_ && !found_.has_mark && !is_all_zeros(header, wal_header_bytes);
  }

  wal_frame frame(const unsigned char* frame) {
    ++frames_;
    const bool same_generation = is_of_this_generation(frame);
    const bool commits = big_endian(frame + 4) != 0;
    const bool intact = is_intact(frame);
    if (same_generation) found_.last_frame = frames_;
    if (!found_.has_header && !is_all_zeros(frame, wal_frame_bytes)) ++found_.frames_without_header;
    valid_ = valid_ && intact;
    if (valid_ && commits) {
      found_.committed_frames = frames_;
      found_.uncommitted_frames = 0;
    } else if (valid_) {
      ++found_.uncommitted_frames;
    } else if (same_generation) {
      ++found_.broken_frames;
      if (commits) ++found_.commits_beyond;
    }
    return {frames_,
            big_endian(frame),
            intact,
            {reinterpret_cast<const char*>(frame) + wal_frame_header_bytes, page_bytes}};
  }

  const wal_scan& found() const { return found_; }

 private:
  // Frames that are left from an earlier use have other salts. Of these the second is always drawn
  // anew, and the first is at least counted up; so a frame with one damaged salt is known by the
  // other.
  bool is_of_this_generation(const unsigned char* frame) const {
    return found_.has_header && (std::memcmp(frame + 8, found_.salts.data(), 4) == 0 ||
                                 std::memcmp(frame + 12, found_.salts.data() + 4, 4) == 0);
  }

  // Each checksum goes on from the one before, which the file has, too: so frames behind a bad one
  // can be told from bad ones.
  bool is_intact(const unsigned char* frame) {
    wal_checksum sum{big_endian(stored_before_), big_endian(stored_before_ + 4)};
    std::memcpy(stored_before_, frame + 16, sizeof stored_before_);
    if (!found_.has_header || big_endian(frame) == 0 ||
        std::memcmp(frame + 8, found_.salts.data(), found_.salts.size()) != 0)
      return false;
    add(sum, frame, 8, big_);
    add(sum, frame + wal_frame_header_bytes, page_bytes, big_);
    return matches(sum, frame + 16);
  }

  bool big_;
  bool valid_ = true;
  unsigned char stored_before_[8];
  std::uint64_t frames_ = 0;
  wal_scan found_;
};

} // namespace

std::uint64_t wal_scan::used_bytes() const {
  return committed_frames == 0 ? 0 : wal_header_bytes + committed_frames * wal_frame_bytes;
}

result<void> mark_unused(const std::filesystem::path& wal) {
  auto fd = open_file(wal, O_WRONLY);
  if (!fd) return fd.error();
  if (::pwrite(fd->get(), unused_mark.data(), unused_mark.size(), 0) !=
      static_cast<ssize_t>(unused_mark.size()))
    return system_error(wal, "write");
  if (::fdatasync(fd->get()) != 0) return system_error(wal, "sync");
  return {};
}

result<void> forget_torn_end(const std::filesystem::path& wal, const wal_scan& found) {
  auto fd = open_file(wal, O_WRONLY);
  if (!fd) return fd.error();
  const char zeros[wal_frame_header_bytes] = {};
  for (auto frame = found.committed_frames; frame < found.last_frame; ++frame) {
    const auto offset = static_cast<off_t>(wal_header_bytes + frame * wal_frame_bytes);
    if (::pwrite(fd->get(), zeros, sizeof zeros, offset) != static_cast<ssize_t>(sizeof zeros))
      return system_error(wal, "write");
  }
  return {};
}

result<wal_scan> scan_wal(const std::filesystem::path& wal,
                          const std::function<void(const wal_frame&)>& visit) {
  auto fd = open_file(wal, O_RDONLY);
  if (!fd) {
    if (fd.error().code == errc::not_found) return wal_scan{};
    return fd.error();
  }
  unsigned char header[wal_header_bytes];
  const auto begins = ::pread(fd->get(), header, sizeof header, 0);
  if (begins < 0) return system_error(wal, "read");
  if (begins == 0) return wal_scan{};
  std::fill(header + begins, header + sizeof header, static_cast<unsigned char>(0));
  frame_walk walk{header};
  std::vector<unsigned char> buffer(frames_per_read * wal_frame_bytes);
  for (std::uint64_t offset = wal_header_bytes;;) {
    const auto got = ::pread(fd->get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
    if (got < 0) return system_error(wal, "read");
    const auto frames = static_cast<std::uint64_t>(got) / wal_frame_bytes;
    for (std::uint64_t i = 0; i < frames; ++i) {
      const auto seen = walk.frame(buffer.data() + i * wal_frame_bytes);
      if (visit) visit(seen);
    }
    if (frames < frames_per_read) return walk.found();
    offset += frames * wal_frame_bytes;
  }
}

} // namespace penstock
