#include "net/telemetry/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace penstock {

namespace {

std::uint64_t entries_of(const char* directory) {
  std::error_code failed;
  std::uint64_t count = 0;
  std::filesystem::directory_iterator at{directory, failed};
  for (; !failed && at != std::filesystem::directory_iterator{}; at.increment(failed))
    ++count;
  return count;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

} // namespace

process_figures read_process_figures() {
  process_figures out;
  std::uint64_t total_pages = 0, resident_pages = 0;
  if (std::ifstream statm{"/proc/self/statm"}; statm >> total_pages >> resident_pages)
    out.resident_bytes = resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0)
    out.cpu_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  out.open_descriptors = entries_of("/proc/self/fd");
  out.threads = entries_of("/proc/self/task");
  return out;
}

} // namespace penstock
