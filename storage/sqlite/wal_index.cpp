#include "storage/sqlite/wal_index.hpp"

#include "storage/base/files.hpp"

#include <array>
#include <cstring>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace {

// https://www.sqlite.org/walformat.html#the_wal_index_header: two copies, in the machine's byte
// order.
constexpr std::size_t index_header_bytes = 48;
constexpr std::size_t index_version_at = 0, index_is_made_at = 12, index_frames_at = 16,
                      index_salts_at = 32, index_checksum_at = 40;
constexpr std::size_t copied_frames_at = 2 * index_header_bytes;
constexpr std::uint32_t index_version = 3007000;

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
  return a == number_at(header + index_checksum_at) &&
         b == number_at(header + index_checksum_at + 4);
}

struct wal_index {
  std::uint32_t frames = 0;
  std::uint32_t copied_frames = 0; // into the database
  std::array<unsigned char, 8> salts{};
};

/// Nothing where it is gone, or half written.
std::optional<wal_index> read_index(const std::filesystem::path& shm) {
  auto fd = open_file(shm, O_RDONLY);
  std::array<unsigned char, copied_frames_at + 4> headers;
  if (!fd ||
      ::pread(fd->get(), headers.data(), headers.size(), 0) != static_cast<ssize_t>(headers.size()))
    return {};
  const auto* header = headers.data();
  if (std::memcmp(header, header + index_header_bytes, index_header_bytes) != 0 ||
      number_at(header + index_version_at) != index_version || header[index_is_made_at] != 1 ||
      !has_index_checksum(header))
    return {};
  wal_index index{number_at(header + index_frames_at), number_at(header + copied_frames_at), {}};
  if (index.copied_frames > index.frames) index.copied_frames = 0; // no checksum covers it
  std::memcpy(index.salts.data(), header + index_salts_at, index.salts.size());
  return index;
}

} // namespace

std::uint64_t frames_told(const std::filesystem::path& shm, const wal_scan& found) {
  const auto index = read_index(shm);
  return index && index->salts == found.salts ? index->frames : 0;
}

std::uint64_t frames_copied(const std::filesystem::path& shm, const wal_scan& found) {
  const auto index = read_index(shm);
  return index && index->salts == found.salts ? index->copied_frames : 0;
}

bool tells_of_uncopied_frames(const std::filesystem::path& shm) {
  const auto index = read_index(shm);
  return index && index->frames > index->copied_frames;
}

} // namespace penstock
