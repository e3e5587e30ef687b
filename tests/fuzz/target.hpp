// What all fuzz targets share. A target is a function of bytes that checks what must be true of
// them; see docs/fuzzing.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace penstock::fuzz {

/// What does not hold is a finding: says so and aborts.
inline void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "\nNot true: %s.\n", what);
  std::abort();
}

/// Takes an input apart from its end, so that its beginning is what the tested code reads.
class tail {
 public:
  explicit tail(std::string_view input) : left_(input) {}
  /// The last byte, which is taken off; 0 when none is left.
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto last = static_cast<std::uint8_t>(left_.back());
    left_.remove_suffix(1);
    return last;
  }
  std::string_view left() const { return left_; }

 private:
  std::string_view left_;
};

using target_function = void (*)(std::string_view input);

/// For the regressions, one program that has all targets.
struct known_target {
  known_target(const char* its_name, target_function its_run);
  const char* name;
  target_function run;
};

} // namespace penstock::fuzz

/// Defines the target NAME: PENSTOCK_FUZZ_TARGET(name)(std::string_view input) { … }
#ifdef PENSTOCK_LIBFUZZER
#define PENSTOCK_FUZZ_TARGET(name)                                                                 \
  static void name##_target(std::string_view input);                                               \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {              \
    name##_target({reinterpret_cast<const char*>(data), size});                                    \
    return 0;                                                                                      \
  }                                                                                                \
  static void name##_target
#else
#define PENSTOCK_FUZZ_TARGET(name)                                                                 \
  static void name##_target(std::string_view input);                                               \
  static const penstock::fuzz::known_target name##_known{#name, name##_target};                    \
  static void name##_target
#endif
