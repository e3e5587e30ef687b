// Requests and chunked bodies read by the letter of RFC 9112: slow, strict, and written without a
// look at the parser that it judges.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock::fuzz {

enum class reading {
  whole,      ///< all of it is there
  incomplete, ///< what is there is right, and more must come
  wrong       ///< whatever comes
};

/// RFC 9112, section 7.1. `size` becomes what the body took up, trailers and the last blank line
/// included.
reading read_chunked_body(std::string_view text, std::string& body, std::size_t& size);

struct reference_request {
  std::string method;
  std::string target;
  std::string body;
  std::size_t size = 0; ///< in the text
};

/// A request that begins at the first byte of `text`. Blank lines before it are not skipped.
reading read_request(std::string_view text, reference_request& out);

} // namespace penstock::fuzz
