// Loaded with LD_PRELOAD: delays every pwrite by PENSTOCK_TEST_WRITE_DELAY_MS. What a killed
// process has written survives it, so a 202 sent before the write is lost only if the kill falls
// between the two: this makes that time long enough to be hit.
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <sys/types.h>

extern "C" ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  using function = ssize_t(int, const void*, size_t, off64_t);
  static auto* const next = reinterpret_cast<function*>(::dlsym(RTLD_NEXT, "pwrite64"));
  static const char* const text = std::getenv("PENSTOCK_TEST_WRITE_DELAY_MS");
  static const long ms = text == nullptr ? 0 : std::atol(text);
  timespec delay{ms / 1000, ms % 1000 * 1'000'000};
  while (ms > 0 && ::nanosleep(&delay, &delay) != 0) {
  }
  return next(fd, data, size, offset);
}
