#include "net/sinks/json_members.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace penstock {

namespace {

constexpr std::string_view json_blanks = " \t\r\n";

std::size_t skip_json_blanks(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(json_blanks, at), text.size());
}

/// Behind the string that begins at `at`.
std::size_t json_string_end(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\') ++at;
  return std::min(at + 1, text.size());
}

/// Behind the value that begins at `at`, blanks included: at the comma or brace that follows it.
std::size_t json_value_end(std::string_view text, std::size_t at) {
  for (std::size_t depth = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      at = json_string_end(text, at);
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) return at;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++at;
  }
  return at;
}

std::string json_name(std::string_view quoted) {
  if (quoted.find('\\') == quoted.npos) return std::string{quoted.substr(1, quoted.size() - 2)};
  boost::json::error_code failed;
  const auto name = boost::json::parse(quoted, failed);
  if (failed || !name.is_string()) return {};
  return std::string{name.get_string().data(), name.get_string().size()};
}

} // namespace

std::vector<json_member> split_json_members(std::string_view text) {
  std::vector<json_member> out;
  auto at = text.find('{');
  if (at == text.npos) return out;
  for (++at; at < text.size(); ++at) { // behind the brace or a comma
    const auto begin = skip_json_blanks(text, at);
    if (begin == text.size() || text[begin] != '"') break;
    const auto name_end = json_string_end(text, begin);
    if (name_end < begin + 2) break;
    const auto colon = skip_json_blanks(text, name_end);
    if (colon == text.size() || text[colon] != ':') break;
    const auto value = skip_json_blanks(text, colon + 1);
    at = json_value_end(text, value);
    auto last = at;
    while (last > value && json_blanks.find(text[last - 1]) != json_blanks.npos)
      --last;
    out.push_back({json_name(text.substr(begin, name_end - begin)),
                   text.substr(begin, last - begin), text.substr(value, last - value)});
    if (at == text.size() || text[at] != ',') break;
  }
  return out;
}

} // namespace penstock
