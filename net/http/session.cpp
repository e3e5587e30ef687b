#include "net/http/session.hpp"

#include "storage/base/assert.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace penstock {

namespace http = boost::beast::http;

namespace {

// After an error answer we read on for a while, so that closing does not reset the connection
// before the client has read the answer (RFC 9112, section 9.6).
constexpr std::int64_t linger_ms = 2000;
// Buffers that grew beyond this are given back when they are empty.
constexpr std::size_t kept_buffer_bytes = 4 << 10;
// What a request costs, however small, in bytes parsed.
constexpr std::size_t request_work_bytes = 512;
// A body's bytes are only copied while they arrive; they cost when the request is whole.
constexpr std::size_t read_bytes_per_work_byte = 8;
constexpr std::string_view header_end = "\r\n\r\n";
constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";
// A buffer grows to twice its size; a larger one than this gives back what it does not use.
constexpr std::size_t max_loose_bytes = 64 << 10;

void tighten(std::string& buffer) {
  if (buffer.capacity() > max_loose_bytes && buffer.capacity() / 5 * 4 > buffer.size())
    buffer.shrink_to_fit();
}

// No more is read than there is room for: it must be kept.
std::size_t receive_size(const lane_memory& memory, std::size_t held) {
  auto size = session_environment::receive_bytes;
  while (size > session_environment::scarce_receive_bytes &&
         !memory.has_room(memory.total(), held, size))
    size /= 2;
  return size;
}

} // namespace

void session::give_back(std::string& buffer) {
  buffer.clear();
  if (buffer.capacity() > kept_buffer_bytes) std::string{}.swap(buffer);
}

session::~session() {
  if (fd_ >= 0) ::close(fd_);
}

void session::open(int fd, const ip_address& peer, bool peer_trusted, std::uint64_t peer_client) {
  PENSTOCK_ASSERT(fd_ < 0 && exchanges_.empty() && held_bytes() == 0);
  fd_ = fd;
  peer_ = peer;
  peer_trusted_ = peer_trusted;
  peer_client_ = peer_client;
  readable_ = peer_closed_ = input_ended_ = no_more_requests_ = false;
  close_when_sent_ = failed_ = output_noted_ = draining_ = served_before_ = false;
  goes_on_ = finishes_later_ = has_pass_ = false;
  lingered_bytes_ = 0;
  blocked_since_ns_ = 0;
  env_.memory.opened();
  set_phase(phase::idle);
  env_.loop.add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
}

void session::close() {
  if (fd_ < 0) return;
  ::close(fd_); // also takes it out of epoll
  fd_ = -1;
  ++generation_;
  parser_.reset();
  give_back(in_);
  give_back(out_);
  sent_ = scanned_ = unsent_answers_ = 0;
  exchanges_.clear();
  done_exchanges_ = 0;
  first_exchange_ = 0;
  expected_answer_bytes_ = waiting_answer_bytes_ = held_request_bytes_ = 0;
  note_input();
  note_answers();
  env_.memory.closed();
  env_.handler.on_closed(*this);
}

void session::set_phase(phase p) {
  phase_ = p;
  deadline_moved_ = false;
  const auto& s = env_.settings;
  phase_since_ns_ = env_.loop.now_ns();
  auto in = [&](std::int64_t ms) { return phase_since_ns_ + ms * ns_per_ms; };
  switch (p) {
  case phase::idle:
    // A new connection gets as long for its first byte as a request for its header.
    deadline_ns_ = in(served_before_ ? s.idle_timeout_ms.count() : s.header_timeout_ms.count());
    break;
  case phase::header:
    deadline_ns_ = in(s.header_timeout_ms.count());
    break;
  case phase::body:
    deadline_ns_ = in(s.body_timeout_ms.count());
    break;
  case phase::lingering:
    deadline_ns_ = in(linger_ms);
    break;
  }
}

// -- exchanges ------------------------------------------------------------------------------------

std::uint32_t session::open_exchange(bool keep_alive) {
  exchanges_.emplace_back().keep_alive = keep_alive;
  if (!keep_alive) no_more_requests_ = true;
  return first_exchange_ + static_cast<std::uint32_t>(exchanges_.size() - 1);
}

std::string& session::begin_answer(std::uint32_t number) {
  auto at = number - first_exchange_;
  PENSTOCK_ASSERT(at >= done_exchanges_ && at < exchanges_.size());
  // The oldest answer needs no buffer of its own.
  return at == done_exchanges_ ? out_ : exchanges_[at].answer;
}

void session::hold(std::uint32_t number, std::size_t request_bytes, std::size_t answer_bytes) {
  PENSTOCK_ASSERT(number - first_exchange_ < exchanges_.size());
  auto& e = exchanges_[number - first_exchange_];
  e.request_bytes += request_bytes;
  e.answer_bytes += answer_bytes;
  held_request_bytes_ += request_bytes;
  expected_answer_bytes_ += answer_bytes;
  if (answer_bytes > 0) note_answers();
}

void session::end_answer(std::uint32_t number) {
  auto at = number - first_exchange_;
  PENSTOCK_ASSERT(at >= done_exchanges_ && at < exchanges_.size() && !exchanges_[at].done);
  auto& ended = exchanges_[at];
  ended.done = true;
  PENSTOCK_ASSERT(held_request_bytes_ >= ended.request_bytes);
  PENSTOCK_ASSERT(expected_answer_bytes_ >= ended.answer_bytes);
  held_request_bytes_ -= std::exchange(ended.request_bytes, 0);
  expected_answer_bytes_ -= std::exchange(ended.answer_bytes, 0);
  tighten(at == done_exchanges_ ? out_ : ended.answer);
  waiting_answer_bytes_ += buffered_bytes(ended.answer);
  if (at != done_exchanges_) return note_answers();
  while (done_exchanges_ < exchanges_.size() && exchanges_[done_exchanges_].done) {
    auto& e = exchanges_[done_exchanges_++];
    ++unsent_answers_;
    if (!e.answer.empty()) {
      waiting_answer_bytes_ -= buffered_bytes(e.answer);
      out_ += std::exchange(e.answer, {});
    }
    if (!e.keep_alive) close_when_sent_ = true;
  }
  note_answers();
  if (done_exchanges_ == exchanges_.size()) {
    first_exchange_ += static_cast<std::uint32_t>(exchanges_.size());
    exchanges_.clear();
    done_exchanges_ = 0;
  } else if (done_exchanges_ >= env_.settings.max_pipeline) {
    exchanges_.erase(exchanges_.begin(), exchanges_.begin() + static_cast<long>(done_exchanges_));
    first_exchange_ += static_cast<std::uint32_t>(done_exchanges_);
    done_exchanges_ = 0;
  }
  served_before_ = true;
  if (!output_noted_) {
    output_noted_ = true;
    env_.handler.on_output(*this);
  }
}

// -- input ----------------------------------------------------------------------------------------

void session::on_io(std::uint32_t events) {
  if (fd_ < 0) return;
  if (events & EPOLLERR) return close();
  if (events & (EPOLLRDHUP | EPOLLHUP)) peer_closed_ = true;
  if (events & EPOLLOUT && sent_ < out_.size()) flush();
  if (fd_ >= 0 && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) {
    readable_ = true;
    if (!goes_on_) read();
  }
}

bool session::pipeline_has_room() const {
  const auto unanswered = pending() + unsent_answers_;
  if (unanswered == 0) return true;
  return unanswered < env_.settings.max_pipeline && !env_.memory.is_scarce() &&
         counted_answer_bytes_ < session_environment::max_unsent_bytes;
}

// One connection must not hold up the others with what it has sent in advance, nor many together
// those who send little.
bool session::has_share_of_turn(std::size_t wanted_bytes) {
  if (goes_on_) return false;
  if (work_turn_ != env_.turn) {
    work_turn_ = env_.turn;
    work_bytes_ = 0;
  }
  if (work_bytes_ < session_environment::max_turn_work_bytes && !must_wait(wanted_bytes))
    return true;
  wait_for_turn();
  return false;
}

bool session::must_wait(std::size_t wanted_bytes) const {
  return wanted_bytes > session_environment::little_bytes && env_.turn_is_used_up() && !has_pass_;
}

void session::wait_for_turn() {
  goes_on_ = true;
  waits_since_ns_ = env_.loop.now_ns();
  env_.handler.on_more(*this);
}

bool session::may_read() {
  return fd_ >= 0 && readable_ && !no_more_requests_ && sent_ == out_.size() &&
         pipeline_has_room() && has_share_of_turn(0);
}

void session::read() {
  if (phase_ == phase::lingering) return discard();
  while (may_read()) {
    // Of who has to wait with it no more is read than tells that it is much.
    const auto most = env_.turn_is_used_up() && !has_pass_ ? session_environment::little_bytes + 1
                                                           : session_environment::receive_bytes;
    const auto wanted = std::min(most, receive_size(env_.memory, held_bytes()));
    auto n = ::recv(fd_, env_.scratch.data(), wanted, 0);
    if (n < 0) {
      if (errno == EINTR) continue;
      readable_ = false;
      if (errno != EAGAIN && errno != EWOULDBLOCK) close();
      return;
    }
    if (n == 0) {
      readable_ = false;
      return on_end_of_input();
    }
    auto size = static_cast<std::size_t>(n);
    env_.metrics.bytes_in.add(size);
    // A short read has emptied the socket; asking again would only be told so.
    if (size < wanted && !peer_closed_) readable_ = false;
    if (in_.empty()) {
      take(env_.scratch.data(), size, true);
    } else {
      in_.append(env_.scratch.data(), size);
      in_.reserve(in_.size() + 64); // what the JSON parser may look at past the end
      take(in_.data(), in_.size(), false);
    }
  }
}

// Parses what is there and keeps what is left over.
void session::take(const char* data, std::size_t size, bool is_scratch) {
  in_take_ = true;
  auto used = parse(data, size);
  in_take_ = false;
  if (fd_ < 0) return;
  PENSTOCK_ASSERT(used <= size);
  if (is_scratch)
    in_.assign(data + used, size - used);
  else
    in_.erase(0, used);
  if (in_.empty()) give_back(in_);
  note_input();
  // The start of a header is kept only where there is room for it.
  if (phase_ == phase::header && !parser_ && !no_more_requests_ && overloaded()) give_back(in_);
  note_input();
}

std::size_t session::parse(const char* data, std::size_t size) {
  std::size_t used = 0;
  while (used < size && fd_ >= 0 && !no_more_requests_ && pipeline_has_room() &&
         has_share_of_turn(size - used)) {
    const bool is_body = parser_.has_value();
    auto n = is_body ? continue_body(data + used, size - used)
                     : begin_request(data + used, size - used);
    used += n;
    note_work(is_body ? n / read_bytes_per_work_byte : n);
    if (n == 0) break;
  }
  return used;
}

// Gives the number of bytes taken; 0 when more must come first.
std::size_t session::begin_request(const char* data, std::size_t size) {
  if (data[0] == '\r' || data[0] == '\n') {
    // Blank lines before a request are to be ignored (RFC 9112, section 2.2).
    scanned_ = 0;
    return 1;
  }
  if (phase_ != phase::header) set_phase(phase::header);
  auto from = scanned_ < size ? scanned_ : 0;
  auto* end = static_cast<const char*>(
      memmem(data + from, size - from, header_end.data(), header_end.size()));
  if (!end) {
    scanned_ = size > 3 ? size - 3 : 0;
    if (size > env_.settings.max_header_bytes) {
      reject(431, "The request's header is larger than this node takes.");
      return size;
    }
    return looks_wrong_already(data, size) ? size : 0;
  }
  scanned_ = 0;
  auto header_size = static_cast<std::size_t>(end - data) + header_end.size();
  parser_.emplace(env_.custom_fields, env_.settings.max_header_bytes, env_.settings.max_body_bytes);
  boost::beast::error_code ec;
  auto used = parser_->put(boost::asio::const_buffer{data, size}, ec);
  // Beast waits for more of a first line that ends too early; the header is all there.
  if (ec == http::error::need_more && !parser_->has_header()) ec = http::error::bad_version;
  if (ec && ec != http::error::need_more) {
    reject(ec);
    return size;
  }
  if (parser_->is_done()) {
    finish_request();
    return used;
  }
  parser_->keep_header(data, header_size);
  note_input();
  set_phase(phase::body);
  if (env_.handler.on_header(*this, *parser_)) {
    take_no_more();
    return size;
  }
  bool wants_continue = boost::beast::iequals(parser_->head()[request_field::expect],
                                              boost::beast::string_view{"100-continue"});
  // HTTP/1.0 knows no interim answers (RFC 9110, section 10.1.1).
  if (wants_continue && !parser_->version_is_1_0() && pending() == 0) {
    out_ += continue_answer;
    note_answers();
    flush();
  }
  return used;
}

std::size_t session::continue_body(const char* data, std::size_t size) {
  boost::beast::error_code ec;
  auto used = parser_->put(boost::asio::const_buffer{data, size}, ec);
  note_input();
  if (ec && ec != http::error::need_more) {
    reject(ec);
    return size;
  }
  if (parser_->is_done()) {
    // What came in one piece after its header was not copied either.
    if (parser_->buffered_bytes() == 0) note_work(parser_->body().size());
    finishes_later_ = must_wait(parser_->buffered_bytes());
    finishes_later_ ? wait_for_turn() : finish_request();
  } else if (overloaded()) {
    return size;
  }
  return used;
}

// What arrives slowly counts against the same bound as what is under way: without it, many
// connections could hold a large body, or a header, each.
bool session::overloaded() {
  const auto arriving = arriving_bytes();
  if (env_.memory.has_room(env_.memory.total() - arriving, held_bytes() - arriving,
                           parser_ ? counted_body_bytes_ : counted_input_bytes_))
    return false;
  take_no_more();
  env_.handler.on_overload(*this, shed_reason::in_flight);
  return true;
}

void session::finish_request() {
  note_work(request_work_bytes + parser_->buffered_bytes());
  if (work_bytes_ >= session_environment::little_bytes) has_pass_ = false;
  env_.handler.on_request(*this, *parser_);
  parser_.reset();
  note_input();
  set_phase(phase::idle);
}

// A request that can't become a valid one is told so now rather than at the header timeout.
bool session::looks_wrong_already(const char* data, std::size_t size) {
  request_parser probe(env_.custom_fields, env_.settings.max_header_bytes,
                       env_.settings.max_body_bytes);
  boost::beast::error_code ec;
  probe.put(boost::asio::const_buffer{data, size}, ec);
  if (!ec || ec == http::error::need_more) return false;
  reject(ec);
  return true;
}

void session::reject(boost::beast::error_code ec) {
  if (ec == http::error::header_limit && parser_ && parser_->has_header())
    return reject(431, "The chunks' extensions or the trailers are larger than this node takes.");
  if (ec == http::error::header_limit)
    return reject(431, "The request's header has more bytes or fields than this node takes.");
  if (ec == http::error::body_limit) return reject(413, "The body is larger than this node takes.");
  reject(400, ec.message());
}

// Of the connection; the request that is arriving is refused.
void session::take_no_more() {
  failed_ = true;
  no_more_requests_ = true;
  parser_.reset();
  note_input();
}

void session::reject(unsigned status, std::string_view detail) {
  take_no_more();
  env_.handler.on_bad_request(*this, status, detail);
}

void session::on_end_of_input() {
  input_ended_ = true;
  if (no_more_requests_) return;
  if (parser_ || !in_.empty()) {
    reject(400, "The connection was closed before the request was complete.");
    return;
  }
  no_more_requests_ = true;
  if (pending() == 0 && sent_ == out_.size()) return close();
  // Half-closed: the answers under way are still wanted, and are the last.
  if (pending() == 0)
    close_when_sent_ = true;
  else
    exchanges_.back().keep_alive = false;
}

void session::note_input() {
  auto& memory = env_.memory;
  const auto body = parser_ ? parser_->buffered_bytes() : 0;
  memory.change(memory_part::bodies, std::exchange(counted_body_bytes_, body), body);
  const auto other = buffered_bytes(in_) + (parser_ ? parser_->header_bytes() : 0);
  memory.change(memory_part::input, std::exchange(counted_input_bytes_, other), other);
}

} // namespace penstock
