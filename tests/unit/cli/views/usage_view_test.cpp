// Usage reports in the terminal.
#include "cli/views/usage_view.hpp"

#include <catch2/catch.hpp>

#include <sstream>

using namespace penstock;

namespace {

std::size_t columns_of(const std::string& line) {
  std::size_t count = 0;
  for (const char c : line)
    count += (static_cast<unsigned char>(c) & 0xc0) != 0x80; // not a continuation of UTF-8
  return count;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in{text};
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    lines.push_back(line);
  return lines;
}

const char* const top_report =
    R"({"by":"ip","per":"hour","from":"2026-11-21T20:00:00.000Z","to":"2026-11-21T22:00:00.000Z",)"
    R"("total":{"requests":130,"events":120,"bytes":3500000,"refused":10},"ids":12,"top":[)"
    R"({"id":"10.0.0.1","requests":100,"events":95,"bytes":3000000,"refused":5},)"
    R"({"id":"10.0.0.2","requests":25,"events":25,"bytes":500000,"refused":0},)"
    R"({"id":"10.0.0.3","requests":0,"events":0,"bytes":0,"refused":5}]})";

const char* const series_report =
    R"({"by":"stream","per":"hour","from":"2026-11-21T20:00:00.000Z",)"
    R"("to":"2026-11-21T23:00:00.000Z","total":{"requests":3,"events":3,"bytes":30,"refused":0},)"
    R"("id":"default","buckets":[)"
    R"({"time":"2026-11-21T20:00:00.000Z","requests":1,"events":1,"bytes":10,"refused":0},)"
    R"({"time":"2026-11-21T22:00:00.000Z","requests":2,"events":2,"bytes":20,"refused":0}]})";

} // namespace

TEST_CASE("bars: in proportion, never longer than there is room, never nothing for something",
          "[usage]") {
  CHECK(usage_bar(0, 10, 10, false).empty());
  CHECK(usage_bar(10, 10, 10, false) == "##########");
  CHECK(usage_bar(5, 10, 10, false) == "#####");
  CHECK(usage_bar(1, 1'000'000, 10, false) == "#");
  CHECK(usage_bar(10, 10, 2, true) == "██");
  CHECK(usage_bar(9, 16, 2, true) == "█▏");
  CHECK(usage_bar(1, 1'000'000, 4, true) == "▏");
  CHECK(usage_bar(~0ull, ~0ull, 3, true) == "███");
}

TEST_CASE("off a terminal: exact numbers, no bars", "[usage]") {
  const auto view = parse_usage(top_report);
  REQUIRE(view.has_value());
  CHECK(usage_table(*view, "requests", {}) ==
        "top 3 of 12: ip, by the hour from 2026-11-21T20:00:00.000Z to 2026-11-21T22:00:00.000Z\n"
        "ip        requests  events    bytes  refused\n"
        "10.0.0.1       100      95  3000000        5\n"
        "10.0.0.2        25      25   500000        0\n"
        "10.0.0.3         0       0        0        5\n"
        "total          130     120  3500000       10\n");
}

TEST_CASE("on a terminal: sizes in units, bars, and never wider than it", "[usage]") {
  const auto view = parse_usage(top_report);
  REQUIRE(view.has_value());
  const auto lines = lines_of(usage_table(*view, "requests", {80, true}));
  CHECK(lines.at(2) ==
        "10.0.0.1       100      95    2.9MiB        5  " + usage_bar(1, 1, 33, true));
  CHECK(lines.at(4).find("█") == std::string::npos);
  for (std::size_t width : {46u, 60u, 80u, 81u, 120u, 300u})
    for (bool blocks : {false, true}) {
      const auto drawn = lines_of(usage_table(*view, "bytes", {width, blocks}));
      for (std::size_t i = 1; i < drawn.size(); ++i) {
        INFO(width << ": " << drawn[i]);
        CHECK(columns_of(drawn[i]) <= width);
      }
    }
  const auto by_refused = lines_of(usage_table(*view, "refused", {80, false}));
  CHECK(by_refused.at(3).find('#') == std::string::npos);
  CHECK(by_refused.at(4).find('#') != std::string::npos);
}

TEST_CASE("over time: empty buckets are shown", "[usage]") {
  const auto view = parse_usage(series_report);
  REQUIRE(view.has_value());
  const auto lines = lines_of(usage_table(*view, "requests", {60, false}));
  REQUIRE(lines.size() == 6);
  CHECK(lines[0].starts_with("stream default, by the hour from"));
  CHECK(lines[2].starts_with("2026-11-21 20:00         1 "));
  CHECK(lines[3].starts_with("2026-11-21 21:00         0 "));
  CHECK(lines[3].find('#') == std::string::npos);
  CHECK(lines[4].starts_with("2026-11-21 22:00         2 "));
}

TEST_CASE("what an id holds can't steer the terminal, nor push the numbers off it", "[usage]") {
  usage_view view;
  view.by = "referer";
  view.rows.push_back({"http://\x1b[2J\r\nx", {1, 1, 1, 1}});
  view.rows.push_back({std::string(500, 'a'), {1, 1, 1, 1}});
  const auto text = usage_table(view, "requests", {80, true});
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("http://?[2J??x") != std::string::npos);
  for (const auto& line : lines_of(text))
    CHECK(columns_of(line) <= 80);
}

TEST_CASE("nothing, and what is no report", "[usage]") {
  usage_view nothing;
  CHECK(usage_table(nothing, "requests", {80, true}).find("nothing was counted") !=
        std::string::npos);
  for (const auto* bad : {"", "[]", "{}", "<html>", R"({"by":"ip"})", R"({"by":5})"}) {
    const auto view = parse_usage(bad);
    REQUIRE_FALSE(view.has_value());
    CHECK(view.error().code == errc::unavailable);
  }
}
