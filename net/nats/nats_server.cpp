#include "net/nats/nats_server.hpp"

#include <algorithm>

namespace penstock {

namespace {

constexpr std::size_t max_subject_bytes = 1024; // a server's line holds 4096, with more beside it
constexpr std::string_view nats_url_rule =
    "nats://HOST:PORT or tls://HOST:PORT, several with commas";

bool is_nats_blank(char c) {
  return static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
}

result<nats_server> parse_nats_server(std::string_view url) {
  const error wrong{errc::config, "is not " + std::string{nats_url_rule}};
  nats_server out{.url = std::string{url}, .shown = {}, .tls = url.starts_with("tls://")};
  const std::string_view scheme = out.tls ? "tls://" : "nats://";
  if (!url.starts_with(scheme) || std::any_of(url.begin(), url.end(), is_nats_blank)) return wrong;
  auto place = url.substr(scheme.size());
  if (const auto at = place.rfind('@'); at != place.npos) place.remove_prefix(at + 1);
  if (place.empty() || place.front() == ':' || place.find_first_of("/?#") != place.npos)
    return wrong;
  out.shown = std::string{scheme} + std::string{place};
  return out;
}

} // namespace

result<std::vector<nats_server>> parse_nats_servers(std::string_view urls) {
  std::vector<nats_server> out;
  for (;;) {
    const auto comma = urls.find(',');
    auto one = urls.substr(0, comma);
    while (!one.empty() && one.front() == ' ')
      one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ')
      one.remove_suffix(1);
    auto server = parse_nats_server(one);
    if (!server) return server.error();
    if (out.size() == max_nats_servers)
      return error{errc::config, "names more than " + std::to_string(max_nats_servers) +
                                     " servers; some of the cluster's are enough"};
    out.push_back(std::move(*server));
    if (comma == urls.npos) return out;
    urls.remove_prefix(comma + 1);
  }
}

std::string_view nats_subject_fault(std::string_view subject) {
  if (subject.empty()) return "is empty";
  if (subject.size() > max_subject_bytes) return "is longer than 1024 bytes";
  if (std::any_of(subject.begin(), subject.end(), is_nats_blank)) return "has a blank";
  if (subject.front() == '$' || subject.starts_with("_INBOX.")) return "is one of the server's own";
  for (auto rest = subject;;) {
    const auto dot = rest.find('.');
    const auto token = rest.substr(0, dot);
    if (token.empty()) return "has nothing before, between or after dots";
    if (token == "*" || token == ">") return "has a wildcard";
    if (dot == rest.npos) return "";
    rest.remove_prefix(dot + 1);
  }
}

std::string_view nats_stream_fault(std::string_view name) {
  if (std::any_of(name.begin(), name.end(), is_nats_blank)) return "has a blank";
  if (name.find_first_of(".*>/\\") != name.npos) return R"(has one of . * > / \)";
  return name.size() > 255 ? "is longer than 255 bytes" : "";
}

} // namespace penstock
