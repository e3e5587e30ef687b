#include "cli/base/readable.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

TEST_CASE("sizes and ages as people say them") {
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(1023, "") == "1023B");
  CHECK(size_text(1536, "") == "1.5KiB");
  CHECK(size_text(UINT64_MAX) == "16384.0 PiB");
  CHECK(age_text(0.4) == "0 s");
  CHECK(age_text(119) == "119 s");
  CHECK(age_text(3 * 86400) == "3.0 d");
}
