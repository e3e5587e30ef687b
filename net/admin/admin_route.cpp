#include "net/admin/admin_route.hpp"

#include "net/base/ascii.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

admin_answer answer_of(const problem& what) {
  return {.status = what.status,
          .content_type = std::string{problem_content_type},
          .body = to_json(what)};
}

admin_answer answer_of(const error& why) {
  const auto what = problem_from(why);
  if (what.detail != why.message) spdlog::warn("admin plane: {}", why.message);
  return answer_of(what);
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::optional<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    query = end == query.npos ? std::string_view{} : query.substr(end + 1);
    const auto equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return percent_decode(equals == pair.npos ? std::string_view{} : pair.substr(equals + 1));
  }
  return std::nullopt;
}

} // namespace penstock
