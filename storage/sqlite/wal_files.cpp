#include "storage/sqlite/wal_files.hpp"

namespace penstock {

namespace fs = std::filesystem;

fs::path wal_path(const fs::path& db) {
  return db.string() + "-wal";
}

fs::path shm_path(const fs::path& db) {
  return db.string() + "-shm";
}

} // namespace penstock
