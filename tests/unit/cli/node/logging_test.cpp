#include "cli/node/logging.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>

using namespace penstock;

namespace {

std::string formatted(const std::string& format, const std::string& payload) {
  const spdlog::log_clock::time_point time{std::chrono::milliseconds{1'700'000'000'007}};
  const spdlog::details::log_msg message{time, {}, "penstock", spdlog::level::warn, payload};
  spdlog::memory_buf_t out;
  make_log_formatter(format, "a")->format(message, out);
  return {out.data(), out.size()};
}

} // namespace

TEST_CASE("text lines carry time, level, node and message") {
  CHECK(formatted("text", "hello") == "2023-11-14T22:13:20.007Z warn  a hello\n");
}

TEST_CASE("JSON lines are one object each") {
  CHECK(formatted("json", "say \"hi\"\\") ==
        "{\"time\":\"2023-11-14T22:13:20.007Z\",\"level\":\"warn\",\"node\":\"a\","
        "\"message\":\"say \\\"hi\\\"\\\\\"}\n");
}

TEST_CASE("nothing in a message makes a second line") {
  CHECK(formatted("text", "a\nb\rc\x1b[0m") ==
        "2023-11-14T22:13:20.007Z warn  a a\\x0ab\\x0dc\\x1b[0m\n");
  CHECK(json_escape("a\nb\x01\x7f") == "a\\u000ab\\u0001\\u007f");
}

TEST_CASE("JSON text is UTF-8 whatever comes in") {
  const std::string replacement = "\xEF\xBF\xBD";
  CHECK(json_escape("grüße €😀") == "grüße €😀");
  CHECK(json_escape("\xff") == replacement);
  CHECK(json_escape("\xc3") == replacement);                                     // cut short
  CHECK(json_escape("\xc0\xaf") == replacement + replacement);                   // overlong
  CHECK(json_escape("\xed\xa0\x80") == replacement + replacement + replacement); // surrogate
  CHECK(json_escape("\xf4\x90\x80\x80x").ends_with("x"));                        // beyond U+10FFFF
  CHECK(json_escape("\xf4\x8f\xbf\xbf") == "\xf4\x8f\xbf\xbf");
}

TEST_CASE("beyond so many lines that nobody reads the oldest are dropped, and nobody waits") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const int before = ::dup(STDERR_FILENO);
  REQUIRE(::dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
  start_logging({"info", "text"}, "a");
  const std::string line(1000, 'x'); // a pipe takes 64 of them
  for (std::size_t i = 0; i < 2 * max_log_queue; ++i)
    spdlog::info("{}", line);
  const auto dropped = dropped_log_messages();
  std::thread reader{[from = ends[0]] {
    std::array<char, 1 << 16> bytes;
    while (::read(from, bytes.data(), bytes.size()) > 0) {
    }
  }};
  stop_logging();
  ::dup2(before, STDERR_FILENO);
  for (const int fd : {before, ends[1]})
    ::close(fd);
  reader.join();
  ::close(ends[0]);
  CHECK(dropped > max_log_queue / 2);
  CHECK(dropped < 2 * max_log_queue);
}

TEST_CASE("the level changes at run time") {
  start_logging({"warn", "text"}, "a");
  CHECK_FALSE(spdlog::should_log(spdlog::level::info));
  set_log_level("debug");
  CHECK(spdlog::should_log(spdlog::level::debug));
  CHECK_FALSE(spdlog::should_log(spdlog::level::trace));
  set_log_level("off");
  CHECK_FALSE(spdlog::should_log(spdlog::level::critical));
  CHECK(dropped_log_messages() == 0);
  stop_logging();
}
