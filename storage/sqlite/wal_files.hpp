// The files beside a database in WAL mode, and how a log is laid out:
// https://sqlite.org/fileformat2.html#walformat
#pragma once

#include <cstdint>
#include <filesystem>

namespace penstock {

/// The write-ahead log and the shared memory of a database.
std::filesystem::path wal_path(const std::filesystem::path& db);
std::filesystem::path shm_path(const std::filesystem::path& db);

/// Bytes of a page, in a database and in its log.
inline constexpr std::uint64_t page_bytes = 4096;
inline constexpr std::uint64_t wal_header_bytes = 32;
inline constexpr std::uint64_t wal_frame_header_bytes = 24;
inline constexpr std::uint64_t wal_frame_bytes = page_bytes + wal_frame_header_bytes;

} // namespace penstock
