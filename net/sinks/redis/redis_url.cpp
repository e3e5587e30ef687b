#include "net/sinks/redis/redis_url.hpp"

#include <curl/curl.h>

#include <charconv>
#include <memory>

namespace penstock {

namespace {

struct redis_curl_free {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
using redis_curl_url = std::unique_ptr<CURLU, redis_curl_free>;

/// "" for a part that is not there.
std::string redis_url_part(const redis_curl_url& url, CURLUPart part) {
  char* text = nullptr;
  const bool decode = part == CURLUPART_USER || part == CURLUPART_PASSWORD;
  if (curl_url_get(url.get(), part, &text, decode ? CURLU_URLDECODE : 0) != CURLUE_OK) return {};
  return std::unique_ptr<char, redis_curl_free>{text}.get();
}

error redis_url_error(const std::string& why) {
  return {errc::config, why + "; write redis://[user:password@]host[:port][/database], or "
                              "rediss:// for TLS"};
}

template <class Number>
bool parse_redis_number(const std::string& text, Number& out) {
  const auto* end = text.data() + text.size();
  const auto [at, failed] = std::from_chars(text.data(), end, out);
  return failed == std::errc{} && at == end;
}

} // namespace

std::string redis_address::name() const {
  const bool is_ipv6 = host.find(':') != host.npos;
  return (is_ipv6 ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

result<redis_address> parse_redis_url(const std::string& text) {
  redis_curl_url url{curl_url()};
  if (const auto failed =
          curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME);
      failed != CURLUE_OK)
    return redis_url_error(curl_url_strerror(failed));
  redis_address out;
  const auto scheme = redis_url_part(url, CURLUPART_SCHEME);
  if (scheme != "redis" && scheme != "rediss")
    return redis_url_error("its scheme is neither redis nor rediss");
  out.tls = scheme == "rediss";
  out.host = redis_url_part(url, CURLUPART_HOST);
  if (out.host.empty()) return redis_url_error("it names no host");
  if (out.host.starts_with('[')) out.host = out.host.substr(1, out.host.size() - 2);
  if (const auto port = redis_url_part(url, CURLUPART_PORT);
      !port.empty() && (!parse_redis_number(port, out.port) || out.port == 0))
    return redis_url_error("its port is not one of 1 to 65535");
  out.username = redis_url_part(url, CURLUPART_USER);
  out.password = redis_url_part(url, CURLUPART_PASSWORD);
  if (const auto path = redis_url_part(url, CURLUPART_PATH);
      path.size() > 1 && !parse_redis_number(path.substr(1), out.database))
    return redis_url_error("the database after its last / is not a number");
  if (!redis_url_part(url, CURLUPART_QUERY).empty() ||
      !redis_url_part(url, CURLUPART_FRAGMENT).empty())
    return redis_url_error("it has a ? or # part");
  return out;
}

} // namespace penstock
