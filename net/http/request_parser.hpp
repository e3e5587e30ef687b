// Parses a request with Beast's parser, keeping only what the ingest plane reads.
#pragma once

#include "net/http/chunked_body.hpp"
#include "net/http/request.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Beast's basic_parser reads the header, with its grammar and limits; this derived class stores no
/// fields, only views of those that matter, so that a request costs no allocation. The body is read
/// here: Beast takes any byte in a chunk's extension, and waits for what can't come right any more.
/// Feed it the whole header at once (the session waits for the blank line), then the body in pieces
/// of any size.
class request_parser final : private boost::beast::http::basic_parser<true> {
 public:
  using error_code = boost::beast::error_code;
  using beast_view = boost::beast::string_view;

  /// `custom_fields`: lower-case names for custom_0…; outlives the parser.
  request_parser(const std::vector<std::string>& custom_fields, std::uint64_t max_header_bytes,
                 std::uint64_t max_body_bytes);

  /// Gives the number of bytes taken: all of them, unless the request ends in between, or the
  /// header is not all there (need_more), or `ec` says what is wrong.
  std::size_t put(boost::asio::const_buffer bytes, error_code& ec);
  bool has_header() const { return header_done_; }
  bool is_done() const { return done_; }
  /// Whether the connection may stay open, by the header.
  using basic_parser::keep_alive;

  const request_head& head() const { return head_; }
  bool version_is_1_0() const { return !http_1_1_; }
  /// The body so far; when it came in one piece, a view into what was put().
  std::string_view body() const { return body_in_place_.data() ? body_in_place_ : body_; }
  /// Bytes of body that this parser holds a copy of.
  std::size_t buffered_bytes() const { return body_.size(); }

  /// And of the header.
  std::size_t header_bytes() const { return header_copy_.size(); }

  /// Keeps a copy of the header bytes [begin, begin + size), which head() refers to, because the
  /// body is not all there yet and the caller's buffer goes away.
  void keep_header(const char* begin, std::size_t size);

 private:
  void on_request_impl(boost::beast::http::verb method, beast_view method_text, beast_view target,
                       int version, error_code& ec) override;
  void on_response_impl(int, beast_view, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field name, beast_view name_text, beast_view value,
                     error_code& ec) override;
  void on_header_impl(error_code& ec) override;
  // Beast is told to skip the body.
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast_view, error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  void note(request_field field, beast_view value);
  void check_framing(boost::beast::http::field name, beast_view value, error_code& ec);
  void begin_body(error_code& ec);
  std::size_t put_body(std::string_view bytes, error_code& ec);

  const std::vector<std::string>* custom_fields_;
  std::uint64_t max_header_bytes_;
  std::uint64_t max_body_bytes_;
  std::uint64_t body_left_ = 0; // of a body whose length was told
  std::optional<chunked_body> chunks_;
  std::size_t field_count_ = 0;
  bool http_1_1_ = false;
  bool has_length_ = false;
  bool is_chunked_ = false;
  bool header_done_ = false;
  bool done_ = false;
  request_head head_;
  std::string header_copy_;
  std::string joined_forwarded_, joined_x_forwarded_for_; // where they came in several lines
  std::string body_;
  std::string_view body_in_place_;
};

} // namespace penstock
