// What a store's shared memory, which a kill leaves behind, tells of its log.
#pragma once

#include "storage/sqlite/wal_scan.hpp"

#include <cstdint>
#include <filesystem>

namespace penstock {

/// The frames of this generation that SQLite told its connections of, which is once they are
/// synced; 0 where the shared memory is gone, half written, or of another generation. So where it
/// is more than what can be read, acknowledged transactions are lost, for certain.
std::uint64_t frames_told(const std::filesystem::path& shm, const wal_scan& found);

/// As frames_told(), those that are in the database, too.
std::uint64_t frames_copied(const std::filesystem::path& shm, const wal_scan& found);

/// Whether there were frames, of any generation, of which not all were copied into the database.
/// Where the log has no header any more, they are lost.
bool tells_of_uncopied_frames(const std::filesystem::path& shm);

} // namespace penstock
