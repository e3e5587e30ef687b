// Reads HTTP/1.1 responses: just enough of them to know the status and where each one ends.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace penstock::bench {

/// What the bytes at the start of a buffer are.
struct response_view {
  enum class state { incomplete, complete, malformed } is = state::incomplete;
  int status = 0;
  bool keep_alive = true;
  std::size_t size = 0; ///< of head and body, once complete
};

/// Looks at the response that begins `buffer`. It must have a Content-Length unless its status has
/// no body (1xx, 204, 304): other framing counts as malformed.
response_view parse_response(std::string_view buffer);

} // namespace penstock::bench
