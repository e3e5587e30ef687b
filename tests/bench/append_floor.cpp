// The durable floor: a raw append and an fdatasync for each group of events, nothing else. What no
// journal can beat on this disk with the same grouping.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr std::uint64_t max_file_bytes = 1ull << 30;
constexpr std::uint64_t recycled_bytes = 64ull << 20;

struct options {
  std::string file;
  std::uint32_t event_bytes = 300;
  std::vector<std::uint32_t> groups{1, 8, 64, 256, 1600}; ///< events an fdatasync
  double duration_s = 1;
  bool recycle = false;
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Bytes this process caused to be written to the disk, as the kernel counts them.
std::uint64_t written_bytes() {
  std::ifstream in("/proc/self/io");
  for (std::string key; in >> key;) {
    std::uint64_t value = 0;
    in >> value;
    if (key == "write_bytes:") return value;
  }
  return 0;
}

// Fills a file of one segment's size, so that what is measured overwrites allocated blocks.
bool preallocate(int fd) {
  // In pages: a file written in large pieces has large folios, and overwriting a part of one counts
  // as writing all of it.
  const std::string block(4096, 'y');
  for (std::uint64_t done = 0; done < recycled_bytes; done += block.size())
    if (::pwrite(fd, block.data(), block.size(), off_t(done)) != ssize_t(block.size()))
      return false;
  return ::fsync(fd) == 0;
}

bool append_groups(int fd, const options& o, std::uint32_t group) {
  using clock = std::chrono::steady_clock;
  const std::string block(std::size_t{o.event_bytes} * group, 'x');
  const std::uint64_t limit = o.recycle ? recycled_bytes : max_file_bytes;
  std::uint64_t offset = 0;
  std::vector<double> sync_us;
  std::uint64_t written_before = written_bytes();
  double cpu_before = cpu_seconds();
  auto start = clock::now();
  auto end = start + std::chrono::duration_cast<clock::duration>(
                         std::chrono::duration<double>(o.duration_s));
  while (clock::now() < end) {
    if (offset + block.size() > limit) offset = 0;
    auto begun = clock::now();
    if (::pwrite(fd, block.data(), block.size(), off_t(offset)) != ssize_t(block.size()) ||
        ::fdatasync(fd) != 0)
      return false;
    offset += block.size();
    sync_us.push_back(std::chrono::duration<double>(clock::now() - begun).count() * 1e6);
  }
  double seconds = std::chrono::duration<double>(clock::now() - start).count();
  double cpu_s = cpu_seconds() - cpu_before;
  double events = double(sync_us.size()) * group;
  auto percentile = [&](double fraction) {
    auto at = sync_us.begin() + std::ptrdiff_t(fraction * double(sync_us.size() - 1));
    std::nth_element(sync_us.begin(), at, sync_us.end());
    return *at;
  };
  std::printf(R"({"events_per_sync":%u,"event_bytes":%u,"events":%.0f,"events_per_s":%.0f,)"
              R"("sync_p50_us":%.0f,"sync_p99_us":%.0f,"cpu_us_per_event":%.4f,)"
              R"("written_bytes_per_event":%.1f})"
              "\n",
              group, o.event_bytes, events, events / seconds, percentile(0.5), percentile(0.99),
              cpu_s / events * 1e6, double(written_bytes() - written_before) / events);
  return true;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  CLI::App app("Appends groups of events to a file with an fdatasync each; prints NDJSON.");
  app.add_option("--file", o.file, "Made anew, and removed in the end")->required();
  app.add_option("--event-bytes", o.event_bytes)->check(CLI::Range(1u, 1u << 20));
  app.add_option("--groups", o.groups, "Events an fdatasync, several sizes")
      ->delimiter(',')
      ->check(CLI::Range(1u, 100'000u));
  app.add_option("--duration-s", o.duration_s, "For each size")->check(CLI::Range(0.01, 600.0));
  app.add_flag("--recycle", o.recycle, "Overwrite 64 MiB that are already there, do not grow");
  CLI11_PARSE(app, argc, argv);
  int fd = ::open(o.file.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  bool ok = fd >= 0 && (!o.recycle || preallocate(fd));
  for (std::uint32_t group : o.groups)
    ok = ok && append_groups(fd, o, group);
  if (!ok) std::perror(o.file.c_str());
  if (fd >= 0) {
    ::close(fd);
    ::unlink(o.file.c_str());
  }
  return ok ? 0 : 74;
}
