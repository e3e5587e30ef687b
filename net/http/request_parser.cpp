#include "net/http/request_parser.hpp"

#include "net/http/event_body.hpp"

#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace penstock {

namespace http = boost::beast::http;

namespace {

// A body that arrives in pieces is not given its whole announced size before it has come.
constexpr std::size_t first_reserve_bytes = 16 << 10;

std::optional<request_field> known_field(http::field name) {
  switch (name) {
  case http::field::host:
    return request_field::host;
  case http::field::content_type:
    return request_field::content_type;
  case http::field::content_encoding:
    return request_field::content_encoding;
  case http::field::authorization:
    return request_field::authorization;
  case http::field::cookie:
    return request_field::cookie;
  case http::field::referer:
    return request_field::referer;
  case http::field::forwarded:
    return request_field::forwarded;
  case http::field::expect:
    return request_field::expect;
  case http::field::prefer:
    return request_field::prefer;
  default:
    return std::nullopt;
  }
}

bool is_cloud_event_field(boost::beast::string_view text) {
  return text.size() > 2 && text[2] == '-' && boost::beast::iequals(text.substr(0, 3), "ce-");
}

bool is_field(boost::beast::string_view text, std::string_view lower) {
  return text.size() == lower.size() && boost::beast::iequals(text, {lower.data(), lower.size()});
}

// Names that Beast has no constant for.
std::optional<request_field> extra_field(boost::beast::string_view text) {
  if (is_field(text, "x-api-key")) return request_field::x_api_key;
  if (is_field(text, "x-forwarded-for")) return request_field::x_forwarded_for;
  if (is_field(text, "traceparent")) return request_field::traceparent;
  if (is_field(text, "tracestate")) return request_field::tracestate;
  if (is_field(text, "idempotency-key")) return request_field::idempotency_key;
  return std::nullopt;
}

// A value that goes on in the next line (RFC 9112, section 5.2, lets us refuse it). Beast gives
// such a one, joined, in a buffer that is gone when the header has been parsed; any other value
// stands right behind its name.
bool is_folded(boost::beast::string_view name, boost::beast::string_view value) {
  auto* begin = name.data() + name.size() + 1;
  while (*begin == ' ' || *begin == '\t')
    ++begin;
  return value.data() != begin;
}

} // namespace

void request_head::rebase(const char* from, std::size_t size, const char* to) {
  auto move = [&](std::string_view& value) {
    if (value.data() >= from && value.data() <= from + size)
      value = {to + (value.data() - from), value.size()};
  };
  move(target);
  for (auto& value : fields)
    move(value);
  for (auto& field : cloud_event_fields) {
    move(field.name);
    move(field.value);
  }
}

request_parser::request_parser(const std::vector<std::string>& custom_fields,
                               std::uint64_t max_header_bytes, std::uint64_t max_body_bytes)
    : custom_fields_(&custom_fields), max_header_bytes_(max_header_bytes),
      max_body_bytes_(max_body_bytes) {
  header_limit(static_cast<std::uint32_t>(max_header_bytes));
  eager(true);
  skip(true);
}

std::size_t request_parser::put(boost::asio::const_buffer bytes, error_code& ec) {
  const std::string_view text{static_cast<const char*>(bytes.data()), bytes.size()};
  if (header_done_) return put_body(text, ec);
  const auto used = basic_parser::put(bytes, ec);
  if (ec || !header_done_) return used;
  begin_body(ec);
  return ec ? used : used + put_body(text.substr(used), ec);
}

void request_parser::keep_header(const char* begin, std::size_t size) {
  header_copy_.assign(begin, size);
  head_.rebase(begin, size, header_copy_.data());
}

void request_parser::on_request_impl(http::verb method, beast_view, beast_view target, int version,
                                     error_code&) {
  head_.method = method == http::verb::post   ? request_method::post
                 : method == http::verb::get  ? request_method::get
                 : method == http::verb::head ? request_method::head
                                              : request_method::other;
  head_.target = {target.data(), target.size()};
  http_1_1_ = version == 11;
}

void request_parser::note(request_field field, beast_view value) {
  auto bit = 1u << static_cast<unsigned>(field);
  if (head_.present & bit) head_.repeated |= bit;
  head_.present |= bit;
  auto& kept = head_.fields[static_cast<std::size_t>(field)];
  bool plain = field == request_field::x_forwarded_for;
  if (head_.repeated & bit && (plain || field == request_field::forwarded)) {
    // Lines of one name are one list (RFC 9110, section 5.3); some proxies add a line of their own.
    // Those of Forwarded stay apart, since they may hold quotes that are not closed.
    auto& joined = plain ? joined_x_forwarded_for_ : joined_forwarded_;
    joined = std::string{kept}.append(plain ? ", " : "\n").append(value.data(), value.size());
    kept = joined;
    return;
  }
  // Of other repeated fields the last counts.
  kept = {value.data(), value.size()};
}

// What says where the request ends. Proxies differ in what they make of anything but one length, or
// "chunked", said once.
void request_parser::check_framing(http::field name, beast_view value, error_code& ec) {
  if (name == http::field::content_length) {
    // Beast has read it as a number already, or as a list of equal ones.
    const bool list = value.find_first_not_of("0123456789") != beast_view::npos;
    if (list) ec = http::error::bad_content_length;
    if (std::exchange(has_length_, true)) ec = http::error::multiple_content_length;
  } else if (name == http::field::transfer_encoding) {
    // Beast reads a body it knows no end of as none, so what follows would pass for a request.
    if (!http_1_1_ || !is_field(value, "chunked") || std::exchange(is_chunked_, true))
      ec = http::error::bad_transfer_encoding;
  }
}

void request_parser::on_field_impl(http::field name, beast_view name_text, beast_view value,
                                   error_code& ec) {
  if (++field_count_ > max_header_fields) {
    ec = http::error::header_limit;
    return;
  }
  if (is_folded(name_text, value)) {
    ec = http::error::bad_obs_fold;
    return;
  }
  check_framing(name, value, ec);
  if (ec) return;
  if (auto field = known_field(name)) {
    note(*field, value);
  } else if (auto extra = extra_field(name_text)) {
    note(*extra, value);
  } else if (is_cloud_event_field(name_text)) {
    head_.cloud_event_fields.push_back(
        {{name_text.data(), name_text.size()}, {value.data(), value.size()}});
  }
  for (std::size_t i = 0; i < custom_fields_->size(); ++i) {
    if (is_field(name_text, (*custom_fields_)[i]))
      note(static_cast<request_field>(static_cast<std::size_t>(request_field::custom_0) + i),
           value);
  }
}

void request_parser::on_header_impl(error_code& ec) {
  header_done_ = true;
  // RFC 9112, section 3.2: a 1.1 request has exactly one Host.
  bool host_missing = http_1_1_ && !head_.has(request_field::host);
  if (host_missing || (head_.repeated & 1u << static_cast<unsigned>(request_field::host)))
    ec = http::error::bad_field;
}

void request_parser::begin_body(error_code& ec) {
  if (is_chunked_) {
    chunks_.emplace(
        chunked_limits{max_body_bytes_, max_header_bytes_, max_header_fields - field_count_});
    return;
  }
  body_left_ = content_length().value_or(0);
  done_ = body_left_ == 0;
  if (body_left_ > max_body_bytes_) ec = http::error::body_limit;
}

std::size_t request_parser::put_body(std::string_view bytes, error_code& ec) {
  ec = {};
  if (done_ || bytes.empty()) return 0;
  if (!chunks_ && body_.empty() && bytes.size() >= body_left_) {
    body_in_place_ = bytes.substr(0, static_cast<std::size_t>(body_left_));
    done_ = true;
    return body_in_place_.size();
  }
  if (body_.empty())
    body_.reserve(std::min<std::size_t>(body_left_, first_reserve_bytes) + json_padding_bytes);
  std::size_t used = bytes.size();
  if (chunks_) {
    used = chunks_->put(bytes, body_, ec);
    done_ = chunks_->is_done();
  } else {
    used = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, used));
    body_.append(bytes.substr(0, used));
    body_left_ -= used;
    done_ = body_left_ == 0;
  }
  if (body_.capacity() < body_.size() + json_padding_bytes)
    body_.reserve(2 * body_.size() + json_padding_bytes);
  return used;
}

} // namespace penstock
