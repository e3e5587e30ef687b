#include "net/admin/gatekeeper.hpp"

#include "net/base/ascii.hpp"

#include <algorithm>

namespace penstock {

namespace {

namespace http = boost::beast::http;

std::string lowered(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
    text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), lower_ascii);
  return out;
}

std::string value_of(const admin_gatekeeper::header& request, http::field name) {
  const auto value = request[name];
  return lowered({value.data(), value.size()});
}

/// True if the check holds for each value of a header that may be absent.
template <class Name, class Check>
bool all_are(const admin_gatekeeper::header& request, Name name, Check check) {
  const auto [first, last] = request.equal_range(name);
  return std::all_of(first, last, [&](const auto& field) {
    return check(lowered({field.value().data(), field.value().size()}));
  });
}

std::uint16_t port_of(const authority& from, bool tls) {
  const std::uint16_t standard = tls ? 443 : 80;
  return from.port.value_or(standard);
}

/// `text`: lower case.
bool is_origin_of(const std::string& text, const authority& host, bool tls) {
  const std::string_view scheme = tls ? "https://" : "http://";
  if (!text.starts_with(scheme)) return false;
  const auto origin = parse_authority(std::string_view{text}.substr(scheme.size()));
  return origin && origin->same_host(host) && port_of(*origin, tls) == port_of(host, tls);
}

/// The host of a target like "http://host/path", which counts instead of Host (RFC 9112, 3.2.2).
std::optional<std::string_view> host_in(std::string_view target) {
  const auto scheme = target.find("://");
  if (target.starts_with('/') || scheme == target.npos) return std::nullopt;
  target.remove_prefix(scheme + 3);
  return target.substr(0, target.find_first_of("/?"));
}

problem foreign_page() {
  return {.status = 403,
          .detail = "requests that another page makes are not answered; write the address of this "
                    "one into the browser"};
}

} // namespace

std::optional<authority> parse_admin_host(std::string_view text) {
  if (std::count(text.begin(), text.end(), ':') > 1 && !text.starts_with('['))
    return parse_authority("[" + std::string{text} + "]");
  if (text.ends_with(':')) return std::nullopt;
  return parse_authority(text);
}

admin_gatekeeper::admin_gatekeeper(const std::vector<std::string>& hosts) {
  for (const auto& text : hosts)
    if (auto host = parse_admin_host(text)) hosts_.push_back(std::move(*host));
}

bool admin_gatekeeper::is_ours(const authority& host, const ip_address& local) const {
  if (host.is_loopback() || host.address == local) return true;
  return std::any_of(hosts_.begin(), hosts_.end(), [&](const authority& known) {
    if (!known.same_host(host)) return false;
    if (!known.port) return true;
    // Without a port a client means that of its scheme, which only the proxy before us knows.
    return host.port ? *host.port == *known.port : *known.port == 80 || *known.port == 443;
  });
}

std::optional<problem> admin_gatekeeper::refuses(const header& request,
                                                 const ip_address& local) const {
  const auto hosts = request.count(http::field::host);
  if (hosts > 1 || (hosts == 0 && request.version() != 10))
    return problem{.status = 400, .detail = "a request has one Host header"};
  std::optional<authority> host;
  if (hosts == 1) {
    const auto text = request[http::field::host];
    host = parse_authority({text.data(), text.size()});
    if (!host) return problem{.status = 400, .detail = "the Host header names no host"};
  }
  const auto target = request.target();
  bool ours = !host || is_ours(*host, local);
  if (const auto named = host_in({target.data(), target.size()})) {
    host = parse_authority(*named);
    if (!host) return problem{.status = 400, .detail = "the target names no host"};
    ours = ours && is_ours(*host, local);
  }
  if (!ours)
    return problem{.status = 421,
                   .detail = "the Host header names neither a loopback address nor one of "
                             "admin.hosts; if this name is the node's, add it there"};
  const bool tls = came_by_tls(request);
  const auto own_origin = [&](const std::string& text) {
    return host && is_origin_of(text, *host, tls);
  };
  const auto own_site = [](const std::string& text) {
    return text == "same-origin" || text == "none";
  };
  const bool preflight = request.count(http::field::access_control_request_method) > 0;
  if (preflight || !all_are(request, http::field::origin, own_origin) ||
      !all_are(request, "Sec-Fetch-Site", own_site))
    return foreign_page();
  // Which of two would count is not for us to guess.
  for (const auto name : {http::field::authorization, http::field::content_type})
    if (request.count(name) > 1)
      return problem{.status = 400,
                     .detail = std::string{http::to_string(name)} + " is there more than once"};
  return std::nullopt;
}

bool has_folded_line(std::string_view header) {
  for (auto at = header.find('\n'); at + 1 < header.size(); at = header.find('\n', at + 1))
    if (header[at + 1] == ' ' || header[at + 1] == '\t') return true;
  return false;
}

std::optional<problem> refuses_framing(const admin_gatekeeper::header& request) {
  const auto length = value_of(request, http::field::content_length);
  if (request.count(http::field::content_length) > 1 ||
      length.find_first_not_of("0123456789") != length.npos)
    return problem{.status = 400, .detail = "Content-Length stands once, and is one number"};
  const auto codings = request.count(http::field::transfer_encoding);
  if (codings == 0) return std::nullopt;
  if (request.version() == 10)
    return problem{.status = 400, .detail = "HTTP/1.0 has no Transfer-Encoding"};
  if (codings > 1 || value_of(request, http::field::transfer_encoding) != "chunked")
    return problem{.status = 501, .detail = "the only Transfer-Encoding that is known is chunked"};
  return std::nullopt;
}

std::optional<problem> refuses_type(const admin_gatekeeper::header& request, bool has_body,
                                    bool form) {
  const bool changes = request.method() != http::verb::get && request.method() != http::verb::head;
  const auto whole = value_of(request, http::field::content_type);
  if (!has_body && (whole.empty() || !changes)) return std::nullopt;
  const auto type = lowered(std::string_view{whole}.substr(0, whole.find(';')));
  const std::string wanted = form ? "application/x-www-form-urlencoded" : "application/json";
  if (type == wanted) return std::nullopt;
  return problem{.status = 415, .detail = "send the body with 'Content-Type: " + wanted + "'"};
}

bool came_by_tls(const admin_gatekeeper::header& request) {
  const auto text = request["X-Forwarded-Proto"];
  const auto all = lowered({text.data(), text.size()});
  return lowered(std::string_view{all}.substr(0, all.find(','))) == "https";
}

} // namespace penstock
