// How the admin plane's requests and answers look in HTTP.
#pragma once

#include "net/admin/admin_routes.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http.hpp>
#include <boost/optional.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// Errors: config, for a text that is not an address and a port.
result<boost::asio::ip::tcp::endpoint> admin_endpoint(const std::string& listen);

/// What a request's header says; the parser that read it may go on with the body meanwhile.
struct head_of_request {
  /// Of a header that is not whole the rest stays as it is here.
  explicit head_of_request(
      const boost::beast::http::request_parser<boost::beast::http::empty_body>& parser);

  boost::beast::http::request_header<> header;
  boost::optional<std::uint64_t> length{}; ///< of the body; none when it is chunked
  bool has_body = false;
  bool waits_to_send = false; ///< for a 100
  bool keep_alive = false;

  bool is_head() const { return header.method() == boost::beast::http::verb::head; }
};

/// Hands the parser what has come of a header and gives how much it took. A folded line is an
/// error, as Beast reads it as one, and another program before us may not.
std::size_t take_head(boost::beast::http::request_parser<boost::beast::http::empty_body>& parser,
                      std::string_view bytes, boost::system::error_code& failed);

/// The answer to a request that can't be read, or nothing when the client just went away.
std::optional<problem> unreadable(const boost::system::error_code& why);

/// The header of the answer, for a body of any kind.
boost::beast::http::response_header<> header_of(const admin_answer& answer);

} // namespace penstock
