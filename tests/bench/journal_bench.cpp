// What a commit costs: CPU, wall time and bytes, with and without each of the journal's tricks,
// against writing the same bytes to a file and syncing it.
//
// Usage: journal_bench [directory] [commits]
#include "storage/journal/segment.hpp"
#include "storage/sqlite/wal_vfs.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace penstock;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t body_bytes = 300;

struct workload {
  const char* name;
  std::size_t rows;
  std::size_t events_per_row;
  std::size_t events() const { return rows * events_per_row; }
};

constexpr workload workloads[] = {
    {"1 event", 1, 1},       {"1 row of 16", 1, 16},      {"1 row of 64", 1, 64},
    {"64 rows of 1", 64, 1}, {"16 rows of 100", 16, 100},
};

struct usage {
  double cpu_us, wall_us, written;
};

usage now() {
  rusage cpu{};
  getrusage(RUSAGE_THREAD, &cpu);
  const auto micros = [](const timeval& t) { return 1e6 * double(t.tv_sec) + double(t.tv_usec); };
  const std::chrono::duration<double, std::micro> wall =
      std::chrono::steady_clock::now().time_since_epoch();
  double written = 0;
  std::ifstream io{"/proc/self/io"};
  for (std::string key; io >> key >> written;)
    if (key == "wchar:") break;
  return {micros(cpu.ru_utime) + micros(cpu.ru_stime), wall.count(), written};
}

void check(const result<void>& done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", done.error().message.c_str());
  std::exit(1);
}

void measure(const char* how, const workload& work, std::size_t commits,
             const std::function<void()>& commit) {
  const std::size_t warm_up = commits / 10 + 1;
  for (std::size_t i = 0; i < warm_up; ++i)
    commit();
  const auto before = now();
  for (std::size_t i = 0; i < commits; ++i)
    commit();
  const auto after = now();
  const double n = double(commits), events = n * double(work.events());
  std::printf("%-16s %-26s %10.1f %10.1f %10.3f %10.0f %12.0f\n", work.name, how,
              (after.cpu_us - before.cpu_us) / n, (after.wall_us - before.wall_us) / n,
              (after.cpu_us - before.cpu_us) / events, (after.written - before.written) / events,
              events / (after.wall_us - before.wall_us) * 1e6);
  std::fflush(stdout);
}

void raw_file(const workload& work, const fs::path& dir, std::size_t commits) {
  const auto path = dir / "raw";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::string bytes(work.events() * body_bytes, 'x');
  off_t at = 0;
  measure("raw write + fdatasync", work, commits, [&] {
    if (::pwrite(fd, bytes.data(), bytes.size(), at) < 0 || ::fdatasync(fd) != 0) std::exit(1);
    at += static_cast<off_t>(bytes.size());
  });
  ::close(fd);
  fs::remove(path);
}

/// A file with a wiped header and allocated blocks, as a retired segment leaves one.
void make_spare(const fs::path& path, std::size_t bytes) {
  std::ofstream{path, std::ios::binary} << std::string(bytes, '\1');
  std::fstream header{path, std::ios::binary | std::ios::in | std::ios::out};
  header << std::string(wal_header_bytes, '\0');
  header.close();
  ::sync();
}

enum class log_blocks { grow, preallocated, recycled };

void segment(const char* how, const workload& work, const fs::path& dir, std::size_t commits,
             const std::string& vfs, log_blocks blocks) {
  const auto db = segment_path(dir, 1);
  remove_segment(db);
  const auto spare = dir / "spare";
  const auto commit_bytes = (work.events() * body_bytes * 3 / 2) + work.rows * 8192 + 16384;
  const auto log_bytes = commits * 6 / 5 * commit_bytes;
  const bool recycled = blocks == log_blocks::recycled;
  if (recycled) make_spare(spare, log_bytes);
  check(create_segment(db, 1, "aaaaaaaa", {}, recycled ? spare : fs::path{},
                       blocks == log_blocks::preallocated ? log_bytes : 0));
  segment_info info;
  info.number = 1;
  info.path = db;
  auto opened = segment_writer::open(info, vfs);
  if (!opened) check(opened.error());
  auto& writer = **opened;

  event_block block;
  block.first_seq = 1;
  block.time_ms = 1'790'000'000'000;
  block.stream = "default";
  for (std::size_t i = 0; i < work.events_per_row; ++i)
    block.push(std::string(body_bytes, 'x'), "application/json", 42);
  block_encoder encoder;
  measure(how, work, commits, [&] {
    for (std::size_t row = 0; row < work.rows; ++row) {
      encoder.encode(block);
      check(writer.append(block, encoder));
      block.first_seq += work.events_per_row;
    }
    check(writer.commit());
  });
  opened->reset();
  remove_segment(db);
}

} // namespace

int main(int argc, char** argv) {
  const fs::path dir = fs::path{argc > 1 ? argv[1] : "."} / "journal-bench";
  const std::size_t most_commits = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 2000;
  fs::create_directories(dir);
  const auto shim = wal_vfs({});
  std::printf("%-16s %-26s %10s %10s %10s %10s %12s\n", "commit of", "how", "cpu us", "wall us",
              "cpu us/ev", "bytes/ev", "events/s");
  for (const auto& work : workloads) {
    // About 60 MB at most, a segment's worth.
    const auto commits =
        std::min(most_commits, (60u << 20) / (work.events() * body_bytes * 3 / 2 + 8192));
    raw_file(work, dir, commits);
    segment("sqlite's vfs", work, dir, commits, {}, log_blocks::grow);
    segment("ours", work, dir, commits, shim, log_blocks::grow);
    segment("ours, preallocated wal", work, dir, commits, shim, log_blocks::preallocated);
    segment("sqlite's vfs, recycled wal", work, dir, commits, {}, log_blocks::recycled);
    segment("ours, recycled wal", work, dir, commits, shim, log_blocks::recycled);
  }
  fs::remove_all(dir);
}
