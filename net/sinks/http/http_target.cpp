#include "net/sinks/http/http_target.hpp"

#include "net/base/ascii.hpp"
#include "net/sinks/outgoing_form.hpp"

#include <algorithm>

namespace penstock {

namespace {

std::string percent_encoded(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  constexpr std::string_view marks = "-._~";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       marks.find(c) != marks.npos;
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

/// Whether servers, or libraries on the way, take the part for one that leads elsewhere.
bool is_dot_segment(std::string_view part) {
  std::string dots;
  while (!part.empty()) {
    const bool encoded =
        part.size() >= 3 && part[0] == '%' && part[1] == '2' && lower_ascii(part[2]) == 'e';
    if (!encoded && part[0] != '.') return false;
    dots += '.';
    part.remove_prefix(encoded ? 3 : 1);
  }
  return dots == "." || dots == "..";
}

std::size_t path_begin(std::string_view url) {
  const auto scheme = url.find("://");
  const auto host = scheme == url.npos ? 0 : scheme + 3;
  return std::min(url.find_first_of("/?#", host), url.size());
}

} // namespace

std::string http_pattern_fault(std::string_view pattern) {
  if (outgoing_form::names_stream(pattern.substr(0, path_begin(pattern))))
    return "{stream} may stand in the path and the query, not in the server's address: a stream's "
           "name, which a client may choose, would say where events and headers go";
  return {};
}

result<std::string> fill_http_url(std::string_view pattern, std::string_view stream) {
  const auto name = percent_encoded(stream);
  const auto begin = path_begin(pattern);
  const auto end = std::min(pattern.find_first_of("?#", begin), pattern.size());
  auto path = pattern.substr(begin, end - begin);
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto part = path.substr(0, path.find('/'));
    if (outgoing_form::names_stream(part) &&
        is_dot_segment(outgoing_form::fill_template(part, name)))
      return error{errc::invalid, "the name of stream '" + std::string{stream} +
                                      "' makes a URL of another path; nothing is sent there"};
    path.remove_prefix(part.size());
  }
  return outgoing_form::fill_template(pattern, name);
}

} // namespace penstock
