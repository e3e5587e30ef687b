// What one connection holds of requests that are not all there yet.
#pragma once

#include "net/http/lane_memory.hpp"
#include "net/http/request_parser.hpp"
#include "storage/base/assert.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// A request whose header is whole is in a parser, with what it keeps of the header and the body;
/// all else that was read and not parsed is left over. Both are in the lane's ledger, as of the
/// last note(). Not synchronised.
class request_input {
 public:
  explicit request_input(lane_memory& memory) : memory_(memory) {}

  // -- what is left over --------------------------------------------------------------------------

  bool is_empty() const { return left_over_.empty(); }
  /// Adds what was read; gives all, which stays here.
  std::string_view append(std::string_view read);
  /// Takes all out.
  std::string take();
  /// Keeps what follows the first `used` bytes of what append() gave…
  void drop_front(std::size_t used);
  /// …or of another buffer, in its place.
  void keep(std::string_view bytes) { left_over_.assign(bytes); }
  void drop_left_over();

  // -- looking for the end of a header ------------------------------------------------------------

  /// Its size, from the start of the bytes; nothing if more must come. What was looked at before
  /// is not looked at again.
  std::optional<std::size_t> header_size(std::string_view bytes);
  /// A blank line was passed over.
  void look_anew() { looked_at_ = 0; }

  // -- the request --------------------------------------------------------------------------------

  bool has_request() const { return parser_.has_value(); }
  request_parser& begin_request(const std::vector<std::string>& custom_fields,
                                std::uint64_t max_header_bytes, std::uint64_t max_body_bytes);
  request_parser& request() {
    PENSTOCK_ASSERT(parser_.has_value());
    return *parser_;
  }
  void end_request();
  /// The connection is closed.
  void clear();

  // -- bytes --------------------------------------------------------------------------------------

  /// Enters in the ledger what is held.
  void note();
  /// Of that, the body…
  std::size_t body_bytes() const { return counted_body_bytes_; }
  /// …the header, and what is left over.
  std::size_t other_bytes() const { return counted_other_bytes_; }

 private:
  lane_memory& memory_;
  std::optional<request_parser> parser_;
  std::string left_over_;
  std::size_t looked_at_ = 0;
  std::size_t counted_body_bytes_ = 0;
  std::size_t counted_other_bytes_ = 0;
};

} // namespace penstock
