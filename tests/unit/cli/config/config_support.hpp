// Loading configurations in tests.
#pragma once

#include "cli/config/config.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace penstock::test {

/// A directory of the test's own, removed at its end.
class scratch_directory {
 public:
  scratch_directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "penstock-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~scratch_directory() { std::filesystem::remove_all(path_); }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    const auto file = path_ / name;
    std::ofstream{file} << text;
    return file.string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline result<config> load_text(const std::string& toml, config_sources sources = {}) {
  const scratch_directory directory;
  sources.file = directory.write("node.toml", toml);
  return load_config(sources);
}

/// The error's text, the directory cut off its paths; "" when there is none.
inline std::string errors_of(const std::string& toml, config_sources sources = {}) {
  const scratch_directory directory;
  sources.file = directory.write("node.toml", toml);
  const auto loaded = load_config(sources);
  if (!loaded.has_error()) return {};
  auto text = loaded.error().message;
  const auto prefix = directory.path() + "/";
  for (auto at = text.find(prefix); at != text.npos; at = text.find(prefix))
    text.erase(at, prefix.size());
  return text;
}

} // namespace penstock::test
