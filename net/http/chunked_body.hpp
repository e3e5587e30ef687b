// A chunked body, decoded as its bytes arrive and held strictly to RFC 9112, section 7.1.
#pragma once

#include "net/http/chunk_extension.hpp"

#include <boost/beast/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

struct chunked_limits {
  std::uint64_t body_bytes = 0;  ///< of all chunks' data
  std::uint64_t extra_bytes = 0; ///< of all extensions and leading zeros; and of all trailers
  std::size_t fields = 0;        ///< trailers
};

/// Keeps no bytes but the data: where it stands in the grammar is all its state, so it says the
/// same however the bytes are cut. A wrong byte is refused when it comes. Trailers are checked for
/// form and dropped: a proxy may pass on whatever a client wrote there.
class chunked_body {
 public:
  using error_code = boost::beast::error_code;

  explicit chunked_body(const chunked_limits& limits) : limits_(limits) {}

  /// Appends the data in `bytes` to `body` and gives the number of bytes taken: all of them, unless
  /// the body ends in between or `ec` says what is wrong. Errors are Beast's: header_limit and
  /// body_limit for what is too large, others for what is malformed. Not to be called after one.
  std::size_t put(std::string_view bytes, std::string& body, error_code& ec);
  bool is_done() const { return at_ == place::done; }

 private:
  enum class place : std::uint8_t {
    size_begin,
    size,
    extension,
    line_feed, ///< of a chunk's line
    data,
    data_return,
    data_feed,
    trailer_begin,
    trailer_name,
    trailer_value,
    trailer_feed,
    last_feed,
    done
  };

  error_code step(char c);
  error_code step_line(char c);
  error_code end_line(char c);
  error_code step_trailer(char c);
  error_code end_name();
  error_code expect(char c, char wanted, place next, error_code otherwise);
  bool fits(std::uint64_t more = 1) { return (extra_bytes_ += more) <= limits_.extra_bytes; }

  chunked_limits limits_;
  place at_ = place::size_begin;
  std::uint64_t size_ = 0; ///< of the chunk, then what is still to come of it
  std::uint64_t body_bytes_ = 0;
  std::uint64_t extra_bytes_ = 0;
  std::size_t fields_ = 0;
  unsigned digits_ = 0;
  chunk_extension_scanner extension_;
  std::string name_; ///< of a trailer, as much of it as matters
};

} // namespace penstock
