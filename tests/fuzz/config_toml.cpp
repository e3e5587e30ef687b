// A configuration file. Whatever is in it: errors name the file, a line and a key, one a line; what
// is accepted is told by the summary as it was read, and reads the same again.
#include "cli/config/config.hpp"
#include "cli/config/summary.hpp"
#include "tests/fuzz/target.hpp"

#include <boost/json.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

// A file in memory, always the same one.
class memory_file {
 public:
  memory_file()
      : fd_(::memfd_create("node.toml", MFD_CLOEXEC)),
        path_("/proc/self/fd/" + std::to_string(fd_)) {
    expect(fd_ >= 0, "there is memory");
  }
  const std::string& write(std::string_view text) {
    const bool written = ::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, text.data(), text.size(), 0) ==
                                                         static_cast<ssize_t>(text.size());
    expect(written, "there is memory");
    return path_;
  }

 private:
  int fd_;
  std::string path_;
};

// Where texts of the file are shown, what a terminal would obey is not.
bool is_for_people(std::string_view text) {
  for (const std::string_view obeyed : {"\xc2\x9b", "\xc2\x85", "\xe2\x80\xae", "\xe2\x81\xa6"})
    if (text.find(obeyed) != text.npos) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\n';
  });
}

void check_errors(const std::string& text, std::string_view path) {
  expect(!text.empty() && is_for_people(text), "errors are for people to read");
  std::string_view left{text};
  std::size_t lines = 0;
  while (!left.empty()) {
    const auto line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    expect(++lines <= 51, "errors are bounded");
    if (line.starts_with("and ")) continue; // how many more there are
    // Of a value that the file leaves as it is.
    const auto source = line.starts_with("default:") ? std::string_view{"default"} : path;
    expect(line.starts_with(source) && line.substr(source.size()).starts_with(":"),
           "an error names the file");
    const auto said = line.substr(source.size() + 1);
    expect(said.size() > 10 && said.find(": ") != said.npos, "and a place in it");
    const bool has_line = said[0] >= '0' && said[0] <= '9';
    expect(has_line || said.find('.') != said.npos, "a line or a key");
  }
}

void check_summary(const config& c) {
  expect(is_for_people(summary_text(c)), "the summary is for people to read");
  const auto summary = boost::json::parse(summary_json(c));
  expect(summary.at("ok").as_bool(), "the summary says that all is well");
  expect(summary.at("node").at("name").as_string() == c.node_name, "it names the node");
  expect(summary.at("http").at("listen").as_string() == c.http.listen, "and where it listens");
  expect(summary.at("streams").as_object().size() == c.streams.size(), "and every stream");
  expect(summary.at("sinks").as_object().size() == c.sinks.size(), "every sink");
  expect(summary.at("plans").as_object().size() == c.plans.size(), "every plan");
  for (const auto& [name, stream] : c.streams) {
    expect(summary.at("streams").at(name).at("sinks").as_array().size() == stream.sinks.size(),
           "and where each stream goes");
    for (const auto& sink : stream.sinks)
      expect(c.sinks.contains(sink), "a stream goes to sinks that are there");
  }
}

} // namespace

PENSTOCK_FUZZ_TARGET(config_toml)(std::string_view input) {
  static memory_file file;
  config_sources sources;
  sources.file = file.write(input);
  const auto loaded = load_config(sources);
  if (loaded.has_error()) return check_errors(loaded.error().message, *sources.file);
  check_summary(*loaded);
  const auto again = load_config(sources);
  expect(!again.has_error() && summary_json(*again) == summary_json(*loaded),
         "it reads the same again");
}
