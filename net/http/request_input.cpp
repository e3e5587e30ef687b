#include "net/http/request_input.hpp"

#include "net/http/buffers.hpp"

#include <cstring>
#include <utility>

namespace penstock {

namespace {

constexpr std::string_view header_end = "\r\n\r\n";
// What the JSON parser may look at past the end.
constexpr std::size_t input_padding_bytes = 64;

// From line to line: for the few lines of a header, preparing a search as memmem() does costs more.
std::size_t find_header_end(std::string_view bytes, std::size_t from) {
  constexpr auto before_last = header_end.size() - 1;
  for (auto at = bytes.find('\n', from); at != bytes.npos; at = bytes.find('\n', at + 1))
    if (at >= before_last &&
        std::memcmp(bytes.data() + at - before_last, header_end.data(), header_end.size()) == 0)
      return at - before_last;
  return bytes.npos;
}

} // namespace

std::string_view request_input::append(std::string_view read) {
  left_over_.append(read);
  left_over_.reserve(left_over_.size() + input_padding_bytes);
  return left_over_;
}

std::string request_input::take() {
  auto out = std::move(left_over_);
  left_over_.clear();
  out.reserve(out.size() + input_padding_bytes);
  return out;
}

void request_input::drop_front(std::size_t used) {
  PENSTOCK_ASSERT(used <= left_over_.size());
  left_over_.erase(0, used);
}

void request_input::drop_left_over() {
  release_buffer(left_over_);
}

std::optional<std::size_t> request_input::header_size(std::string_view bytes) {
  const auto from = looked_at_ <= bytes.size() ? looked_at_ : 0;
  const auto end = find_header_end(bytes, from);
  if (end == bytes.npos) {
    looked_at_ = bytes.size();
    return std::nullopt;
  }
  looked_at_ = 0;
  return end + header_end.size();
}

request_parser& request_input::begin_request(const std::vector<std::string>& custom_fields,
                                             std::uint64_t max_header_bytes,
                                             std::uint64_t max_body_bytes) {
  PENSTOCK_ASSERT(!parser_);
  return parser_.emplace(custom_fields, max_header_bytes, max_body_bytes);
}

void request_input::end_request() {
  parser_.reset();
  note();
}

void request_input::clear() {
  parser_.reset();
  release_buffer(left_over_);
  looked_at_ = 0;
  note();
}

void request_input::note() {
  const auto body = parser_ ? parser_->buffered_bytes() : 0;
  memory_.change(memory_part::bodies, std::exchange(counted_body_bytes_, body), body);
  const auto other = buffered_bytes(left_over_) + (parser_ ? parser_->header_bytes() : 0);
  memory_.change(memory_part::input, std::exchange(counted_other_bytes_, other), other);
}

} // namespace penstock
