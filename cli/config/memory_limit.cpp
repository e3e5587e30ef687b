#include "cli/config/memory_limit.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace penstock {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t unknown_machine_bytes = 1ull << 30;

/// Where a hierarchy of control groups is to be seen, and which group of it is there.
struct cgroup_mount {
  bool is_v2 = false;
  fs::path root;  ///< of the hierarchy: "/" but in a container
  fs::path point; ///< where it is mounted
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in{line};
  std::vector<std::string> out;
  for (std::string word; in >> word;)
    out.push_back(std::move(word));
  return out;
}

bool has_controller(const std::string& list, std::string_view name) {
  std::istringstream in{list};
  for (std::string one; std::getline(in, one, ',');)
    if (one == name) return true;
  return false;
}

fs::path under(const fs::path& root, const fs::path& absolute) {
  return root / absolute.relative_path();
}

// proc(5): "36 35 98:0 /root /point options … - type source super-options".
std::vector<cgroup_mount> cgroup_mounts(const fs::path& root) {
  std::vector<cgroup_mount> out;
  std::ifstream file{under(root, "/proc/self/mountinfo")};
  for (std::string line; std::getline(file, line);) {
    const auto words = words_of(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) continue;
    const bool is_v2 = dash[1] == "cgroup2";
    if (!is_v2 && (dash[1] != "cgroup" || !has_controller(dash[3], "memory"))) continue;
    out.push_back({is_v2, words[3], words[4]});
  }
  return out;
}

// cgroups(7): "0::/path" of version 2, "4:memory,cpu:/path" of version 1.
std::optional<fs::path> own_cgroup(const fs::path& root, bool is_v2) {
  std::ifstream file{under(root, "/proc/self/cgroup")};
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    if (is_v2 ? controllers.empty() : has_controller(controllers, "memory"))
      return fs::path{line.substr(second + 1)};
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(const fs::path& path) {
  std::ifstream file{path};
  std::string text;
  file >> text;
  std::uint64_t out = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, out);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end) return std::nullopt; // "max", too
  return out;
}

// From the group up to the top of what is mounted. In a container the path may be the host's, which
// is not to be seen there: then what is mounted is the group itself.
std::optional<std::uint64_t> smallest_limit(const fs::path& root, const cgroup_mount& mount) {
  const auto own = own_cgroup(root, mount.is_v2);
  if (!own) return std::nullopt;
  auto relative = own->lexically_relative(mount.root);
  if (relative.empty() || *relative.begin() == "..") relative = own->relative_path();
  const char* file = mount.is_v2 ? "memory.max" : "memory.limit_in_bytes";
  std::optional<std::uint64_t> smallest;
  for (auto at = relative == "." ? fs::path{} : relative;; at = at.parent_path()) {
    if (const auto limit = number_in(under(root, mount.point) / at / file))
      smallest = std::min(smallest.value_or(*limit), *limit);
    if (at.empty()) return smallest;
  }
}

std::uint64_t machine_bytes(const fs::path& root) {
  std::ifstream file{under(root, "/proc/meminfo")};
  std::string name;
  for (std::uint64_t kib = 0; file >> name >> kib; file.ignore(64, '\n'))
    if (name == "MemTotal:") return kib << 10;
  return unknown_machine_bytes;
}

} // namespace

memory_limit read_memory_limit(const fs::path& root) {
  memory_limit out{machine_bytes(root), memory_limit::origin::machine};
  for (const auto& mount : cgroup_mounts(root)) {
    const auto limit = smallest_limit(root, mount);
    if (!limit || *limit == 0 || *limit >= out.bytes) continue;
    out = {*limit, memory_limit::origin::cgroup};
  }
  return out;
}

std::string name_of(memory_limit::origin from) {
  switch (from) {
  case memory_limit::origin::setting:
    return "node.memory";
  case memory_limit::origin::cgroup:
    return "the cgroup";
  case memory_limit::origin::machine:
    return "the machine";
  }
  return {};
}

} // namespace penstock
