#include "net/admin/admin_http.hpp"

#include "net/admin/gatekeeper.hpp"

#include <boost/asio/buffer.hpp>

#include <charconv>

namespace penstock {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

} // namespace

result<asio::ip::tcp::endpoint> admin_endpoint(const std::string& listen) {
  const error bad{errc::config, "admin.listen: '" + listen + "' is not an address and a port"};
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) return bad;
  auto host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  boost::system::error_code failed;
  const auto address = asio::ip::make_address(host, failed);
  std::uint16_t port = 0;
  const auto* end = listen.data() + listen.size();
  const auto read = std::from_chars(listen.data() + colon + 1, end, port);
  if (failed || read.ec != std::errc{} || read.ptr != end) return bad;
  return asio::ip::tcp::endpoint{address, port};
}

head_of_request::head_of_request(const http::request_parser<http::empty_body>& parser)
    : header{parser.get().base()}, keep_alive{parser.get().keep_alive()} {
  if (!parser.is_header_done()) return;
  length = parser.content_length();
  has_body = parser.chunked() || length.value_or(0) > 0;
  waits_to_send = has_body && beast::iequals(header[http::field::expect], "100-continue");
}

std::size_t take_head(http::request_parser<http::empty_body>& parser, std::string_view bytes,
                      boost::system::error_code& failed) {
  if (bytes.empty()) return 0;
  const auto used = parser.put(asio::buffer(bytes.data(), bytes.size()), failed);
  if (failed == http::error::need_more) failed = {};
  if (!failed && has_folded_line(bytes.substr(0, used))) failed = http::error::bad_obs_fold;
  return used;
}

std::optional<problem> unreadable(const boost::system::error_code& failed) {
  if (failed == http::error::header_limit || failed == http::error::buffer_overflow)
    return problem{.status = 431, .detail = "the header is too large for the admin plane"};
  if (failed == http::error::body_limit)
    return problem{.status = 413, .detail = "the body is too large for the admin plane"};
  if (failed.category() == make_error_code(http::error::bad_method).category() &&
      failed != http::error::end_of_stream && failed != http::error::partial_message)
    return problem{.status = 400, .detail = "this is not HTTP/1.1: " + failed.message()};
  return std::nullopt;
}

http::response_header<> header_of(const admin_answer& answer) {
  http::response_header<> out;
  out.result(answer.status);
  out.set(http::field::content_type, answer.content_type);
  out.set(http::field::cache_control, "no-store");
  out.set("X-Content-Type-Options", "nosniff");
  // Of no use to pages elsewhere, however they ask; same-origin, as a form must tell its origin.
  out.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
  out.set("Cross-Origin-Resource-Policy", "same-origin");
  out.set("Referrer-Policy", "same-origin");
  if (!answer.allow.empty()) out.set(http::field::allow, answer.allow);
  if (answer.status == 401) out.set(http::field::www_authenticate, "Bearer");
  if (answer.status == 503) out.set(http::field::retry_after, "1");
  for (const auto& [name, value] : answer.headers)
    out.set(name, value);
  return out;
}

} // namespace penstock
