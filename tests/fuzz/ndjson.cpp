// Bodies of one JSON event a line. What is taken is JSON by a second judge, what is refused says
// why, and no line is lost or counted twice.
#include "net/http/event_body.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/unit/net/padded.hpp"

#include <boost/json.hpp>

#include <string>
#include <vector>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

constexpr std::size_t max_lines_bytes = 64 << 10;

// As for_each_line() should cut, said in another way: byte by byte.
std::vector<std::string> lines_of(std::string_view body) {
  std::vector<std::string> lines{""};
  for (const char c : body) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  }
  std::vector<std::string> filled;
  for (auto& line : lines) {
    // A CR belongs to the line's end, which the last line may lack.
    if (!line.empty() && line.back() == '\r') line.pop_back();
    bool is_blank = true;
    for (const char c : line)
      is_blank = is_blank && (c == ' ' || c == '\t');
    if (!is_blank) filled.push_back(std::move(line));
  }
  return filled;
}

bool is_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = 255;
  boost::json::error_code failed;
  boost::json::parse({text.data(), text.size()}, failed, {}, options);
  // It holds more to be wrong than the grammar does, and goes less deep.
  return !failed || failed == boost::json::error::exponent_overflow ||
         failed == boost::json::error::too_deep;
}

} // namespace

PENSTOCK_FUZZ_TARGET(ndjson)(std::string_view input) {
  static json_checker checker{max_lines_bytes};
  const padded body{input, '}'}; // what stands in the padding must not matter
  const auto lines = lines_of(input);
  std::size_t taken = 0, refused = 0;
  for_each_line(body, [&](std::string_view line) {
    const auto index = taken + refused;
    expect(index < lines.size() && lines[index] == line, "lines end where they end");
    if (checker.valid(line)) {
      ++taken;
      expect(is_json(line), "what is taken is JSON");
    } else {
      ++refused;
      expect(*checker.why() != '\0', "a refusal has a reason");
    }
    return true;
  });
  expect(taken + refused == lines.size(), "each line that is not blank is taken or refused");
}
