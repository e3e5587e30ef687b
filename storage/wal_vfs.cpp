#include "storage/wal_vfs.hpp"

namespace penstock {

std::string wal_vfs(const std::string& base, bool) {
  return base;
}

} // namespace penstock
