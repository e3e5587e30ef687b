// Loaded with LD_PRELOAD: makes every fdatasync and fsync take PENSTOCK_BENCH_FSYNC_DELAY_MS
// longer, to stand in for a real disk. A fraction of a millisecond is allowed.
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>

namespace {

using sync_function = int(int);

double delay_ms() {
  const char* text = std::getenv("PENSTOCK_BENCH_FSYNC_DELAY_MS");
  return text == nullptr ? 0 : std::atof(text);
}

int slow(const char* name, int fd) {
  static const double ms = delay_ms();
  timespec delay{time_t(ms / 1000), long(ms * 1e6) % 1'000'000'000};
  while (ms > 0 && ::nanosleep(&delay, &delay) != 0) {
  }
  return reinterpret_cast<sync_function*>(::dlsym(RTLD_NEXT, name))(fd);
}

} // namespace

extern "C" int fdatasync(int fd) {
  return slow("fdatasync", fd);
}

extern "C" int fsync(int fd) {
  return slow("fsync", fd);
}
