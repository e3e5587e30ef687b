#include "cli/logging.hpp"

#include <catch2/catch.hpp>
#include <spdlog/spdlog.h>

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
