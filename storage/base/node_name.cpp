#include "storage/base/node_name.hpp"

#include "storage/base/files.hpp"

namespace penstock {

namespace {
constexpr const char* node_name_file = "node-name";
} // namespace

void keep_node_name(const std::filesystem::path& dir, const std::string& name) {
  if (kept_node_name(dir) != name) (void)write_file(dir / node_name_file, name + "\n");
}

std::string kept_node_name(const std::filesystem::path& dir) {
  const auto stored = read_file(dir / node_name_file);
  return stored ? stored->substr(0, stored->find('\n')) : std::string{};
}

} // namespace penstock
