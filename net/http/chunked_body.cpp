#include "net/http/chunked_body.hpp"

#include "net/base/ascii.hpp"

#include <boost/beast/http/error.hpp>

#include <algorithm>

namespace penstock {

namespace {

namespace http = boost::beast::http;

// As many as 64 bits have; more are leading zeros.
constexpr unsigned usual_digits = 16;
constexpr std::string_view content_length_name = "content-length";
constexpr std::string_view transfer_encoding_name = "transfer-encoding";

} // namespace

std::size_t chunked_body::put(std::string_view bytes, std::string& body, error_code& ec) {
  ec = {};
  std::size_t used = 0;
  while (used < bytes.size() && at_ != place::done) {
    if (at_ != place::data) {
      ec = step(bytes[used]);
      if (ec) return used;
      ++used;
      continue;
    }
    const auto part = bytes.substr(
        used, static_cast<std::size_t>(std::min<std::uint64_t>(size_, bytes.size() - used)));
    body.append(part);
    used += part.size();
    size_ -= part.size();
    if (size_ == 0) at_ = place::data_return;
  }
  return used;
}

chunked_body::error_code chunked_body::expect(char c, char wanted, place next,
                                              error_code otherwise) {
  if (c != wanted) return otherwise;
  at_ = next;
  return {};
}

chunked_body::error_code chunked_body::step(char c) {
  switch (at_) {
  case place::size_begin:
  case place::size:
  case place::extension:
    return step_line(c);
  case place::line_feed:
    return end_line(c);
  case place::data_return:
    return expect(c, '\r', place::data_feed, http::error::bad_chunk);
  case place::data_feed:
    return expect(c, '\n', place::size_begin, http::error::bad_chunk);
  case place::last_feed:
    return expect(c, '\n', place::done, http::error::bad_line_ending);
  default:
    return step_trailer(c);
  }
}

// Digits only: neither a sign nor a prefix.
chunked_body::error_code chunked_body::step_line(char c) {
  if (at_ != place::extension) {
    const int digit = hex_digit(c);
    if (digit >= 0) {
      if (size_ >> 60 != 0) return http::error::bad_chunk;
      size_ = size_ << 4 | static_cast<unsigned>(digit);
      if (++digits_ > usual_digits && !fits()) return http::error::header_limit;
      at_ = place::size;
      return {};
    }
    if (at_ == place::size_begin) return http::error::bad_chunk;
    at_ = place::extension;
    extension_ = {};
  }
  if (c == '\n') return http::error::bad_line_ending;
  if (c == '\r' && extension_.may_end()) {
    at_ = place::line_feed;
    return {};
  }
  if (!extension_.put(c)) return http::error::bad_chunk_extension;
  if (!fits()) return http::error::header_limit;
  return {};
}

chunked_body::error_code chunked_body::end_line(char c) {
  if (c != '\n') return http::error::bad_line_ending;
  if (size_ > limits_.body_bytes - body_bytes_) return http::error::body_limit;
  body_bytes_ += size_;
  digits_ = 0;
  at_ = size_ > 0 ? place::data : place::trailer_begin;
  if (size_ == 0) extra_bytes_ = 0; // the trailers' share begins
  return {};
}

chunked_body::error_code chunked_body::step_trailer(char c) {
  if (!fits()) return http::error::header_limit;
  switch (at_) {
  case place::trailer_begin:
    if (c == '\r') return expect(c, '\r', place::last_feed, {});
    if (c == ' ' || c == '\t') return http::error::bad_obs_fold;
    if (c == '\n') return http::error::bad_line_ending;
    if (!is_token_char(c)) return http::error::bad_field;
    name_.assign(1, lower_ascii(c));
    at_ = place::trailer_name;
    return {};
  case place::trailer_name:
    if (c == ':') return end_name();
    if (!is_token_char(c)) return http::error::bad_field;
    if (name_.size() <= transfer_encoding_name.size()) name_ += lower_ascii(c);
    return {};
  case place::trailer_value:
    if (c == '\r') return expect(c, '\r', place::trailer_feed, {});
    if (c == '\n') return http::error::bad_line_ending;
    return is_field_char(c) ? error_code{} : http::error::bad_value;
  default:
    return expect(c, '\n', place::trailer_begin, http::error::bad_line_ending);
  }
}

// What would frame the body can't come behind it (RFC 9110, section 6.5.1).
chunked_body::error_code chunked_body::end_name() {
  if (++fields_ > limits_.fields) return http::error::header_limit;
  if (name_ == content_length_name) return http::error::bad_content_length;
  if (name_ == transfer_encoding_name) return http::error::bad_transfer_encoding;
  at_ = place::trailer_value;
  return {};
}

} // namespace penstock
