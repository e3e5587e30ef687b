// An assertion that fails ends the process, and says what broke.
#include "storage/base/assert.hpp"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

using namespace penstock;

namespace {

struct ended_child {
  int exit_code = -1;
  std::string said; ///< on stderr
};

template <class Work>
ended_child in_a_child(Work work) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    work();
    std::_Exit(0);
  }
  ::close(ends[1]);
  ended_child out;
  char buffer[256];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    out.said.append(buffer, static_cast<std::size_t>(got));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  out.exit_code = WEXITSTATUS(status);
  return out;
}

} // namespace

TEST_CASE("assert: what does not hold ends the process with 70 and a line", "[assert]") {
  const auto ended = in_a_child([] {
    const int seats = 2, guests = 3;
    PENSTOCK_ASSERT(guests <= seats);
  });
  CHECK(ended.exit_code == 70);
  CHECK(ended.said.find("broken invariant: guests <= seats (assert_test.cpp:") == 0);
}

TEST_CASE("assert: a listener says it in its own way, once", "[assert]") {
  const auto ended = in_a_child([] {
    listen_to_assertions([](const char* sentence) {
      std::fprintf(stderr, "log: %s\n", sentence);
      PENSTOCK_ASSERT(false); // a log that fails itself is not asked again
    });
    PENSTOCK_ASSERT(1 > 2);
  });
  CHECK(ended.exit_code == 70);
  CHECK(ended.said.find("log: broken invariant: 1 > 2 (") == 0);
}

TEST_CASE("assert: what holds costs nothing and goes on", "[assert]") {
  int evaluated = 0;
  PENSTOCK_ASSERT(++evaluated == 1);
  CHECK(evaluated == 1);
}
