#include "tests/bench/load_response.hpp"

#include <charconv>
#include <optional>
#include <strings.h>

namespace penstock::bench {

namespace {

constexpr std::size_t max_head_bytes = 64u << 10;
constexpr std::size_t max_body_bytes = 64u << 20;

// The value of a "name: value" line, if it is of that name.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':' ||
      ::strncasecmp(line.data(), name.data(), name.size()) != 0)
    return {};
  line.remove_prefix(name.size() + 1);
  while (!line.empty() && line.front() == ' ')
    line.remove_prefix(1);
  return line;
}

bool parse_number(std::string_view text, std::size_t& out) {
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  return failure == std::errc{} && end == text.data() + text.size();
}

} // namespace

response_view parse_response(std::string_view buffer) {
  response_view view;
  std::size_t head_size = buffer.find("\r\n\r\n");
  if (head_size == std::string_view::npos) {
    if (buffer.size() > max_head_bytes) view.is = response_view::state::malformed;
    return view;
  }
  view.is = response_view::state::malformed;
  std::string_view head = buffer.substr(0, head_size + 2);
  std::size_t status = 0;
  if (head.size() < 14 || head.substr(0, 7) != "HTTP/1." || head[8] != ' ' ||
      !parse_number(head.substr(9, 3), status))
    return view;
  view.status = int(status);
  view.keep_alive = head[7] == '1';
  std::optional<std::size_t> body_size;
  if (status < 200 || status == 204 || status == 304) body_size = 0;
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    std::size_t end = head.find("\r\n", at);
    std::string_view line = head.substr(at, end - at);
    at = end + 2;
    if (auto length = value_of(line, "content-length"); length && !body_size) {
      if (std::size_t size = 0; parse_number(*length, size)) body_size = size;
    } else if (auto connection = value_of(line, "connection")) {
      view.keep_alive = ::strncasecmp(connection->data(), "close", 5) != 0;
    }
  }
  if (!body_size || *body_size > max_body_bytes) return view;
  view.size = head_size + 4 + *body_size;
  view.is =
      buffer.size() < view.size ? response_view::state::incomplete : response_view::state::complete;
  return view;
}

} // namespace penstock::bench
