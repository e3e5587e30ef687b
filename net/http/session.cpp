#include "net/http/session.hpp"

#include "net/http/front_end_metrics.hpp"
#include "storage/base/assert.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace penstock {

namespace http = boost::beast::http;

namespace {

constexpr std::int64_t session_ns_per_ms = 1'000'000;
constexpr std::size_t max_linger_bytes = 4 << 20;
// What a request costs, however small, in bytes parsed.
constexpr std::size_t request_work_bytes = 512;
// A body's bytes are only copied while they arrive; they cost when the request is whole.
constexpr std::size_t read_bytes_per_work_byte = 8;
constexpr std::string_view continue_answer = "HTTP/1.1 100 Continue\r\n\r\n";
// When memory is scarce a client is slow that took or sent less than this a second…
constexpr std::int64_t min_scarce_rate_bytes_s = 16 << 10;
// …for so long.
constexpr std::int64_t scarce_patience_ns = 1'000'000'000;

// No more is read than there is room for: it must be kept.
std::size_t receive_size(const lane_memory& memory, std::size_t held) {
  auto size = session_environment::receive_bytes;
  while (size > session_environment::scarce_receive_bytes &&
         !memory.has_room(memory.total(), held, size))
    size /= 2;
  return size;
}

boost::asio::const_buffer buffer_of(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}

// What the client is told.
struct refusal {
  unsigned status = 0;
  std::string detail;
};

refusal refusal_of(boost::beast::error_code ec, bool has_header) {
  if (ec == http::error::header_limit && has_header)
    return {431, "The chunks' extensions or the trailers are larger than this node takes."};
  if (ec == http::error::header_limit)
    return {431, "The request's header has more bytes or fields than this node takes."};
  if (ec == http::error::body_limit) return {413, "The body is larger than this node takes."};
  return {400, ec.message()};
}

// What is wrong with the start of a header, if it can't become a valid one.
boost::beast::error_code fault_of_start(const session_environment& env, std::string_view bytes) {
  request_parser probe(env.custom_fields, env.settings.max_header_bytes,
                       env.settings.max_body_bytes);
  boost::beast::error_code ec;
  probe.put(buffer_of(bytes), ec);
  return ec == http::error::need_more ? boost::beast::error_code{} : ec;
}

} // namespace

session::session(session_environment& env)
    : env_(env), input_(env.memory), answers_(env.memory, env.settings.max_pipeline), steps_(env),
      turn_(env) {}

session::~session() {
  if (fd_ >= 0) ::close(fd_);
}

void session::open(int fd, const ip_address& peer, bool peer_trusted, std::uint64_t peer_client) {
  PENSTOCK_ASSERT(fd_ < 0 && answers_.unanswered() == 0 && held_bytes() == 0);
  fd_ = fd;
  remote_ = {peer, peer_client, peer_trusted};
  readable_ = peer_closed_ = output_noted_ = draining_ = false;
  turn_.reset();
  lingered_bytes_ = 0;
  env_.memory.opened();
  steps_.open();
  env_.loop.add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
}

void session::close() {
  if (fd_ < 0) return;
  ::close(fd_); // also takes it out of epoll
  fd_ = -1;
  ++generation_;
  input_.clear();
  answers_.clear();
  turn_.reset();
  env_.memory.closed();
  env_.handler.on_closed(*this);
}

/// Nothing is under way in either direction.
bool session::is_quiet() const {
  return steps_.now() == step::idle && input_.is_empty() && answers_.pending() == 0 &&
         answers_.all_sent();
}

// -- exchanges ------------------------------------------------------------------------------------

std::uint32_t session::open_exchange(bool keep_alive) {
  if (!keep_alive && !steps_.is_last_taken()) steps_.enter(step::ended, answers_.all_sent());
  return answers_.open();
}

void session::end_answer(std::uint32_t number) {
  if (!answers_.end(number)) return;
  steps_.note_answered();
  if (output_noted_) return;
  output_noted_ = true;
  env_.handler.on_output(*this);
}

// -- input ----------------------------------------------------------------------------------------

void session::on_io(std::uint32_t events) {
  if (fd_ < 0) return;
  if (events & EPOLLERR) return close();
  if (events & (EPOLLRDHUP | EPOLLHUP)) peer_closed_ = true;
  if (events & EPOLLOUT && !answers_.all_sent()) flush();
  if (fd_ >= 0 && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) {
    readable_ = true;
    if (!turn_.is_waiting()) read();
  }
}

/// Whether another request may be begun, by what is unanswered.
bool session::may_parse() const {
  if (fd_ < 0 || steps_.is_last_taken()) return false;
  const auto unanswered = answers_.unanswered();
  if (unanswered == 0) return true;
  return unanswered < env_.settings.max_pipeline && !env_.memory.is_scarce() &&
         answers_.answer_bytes() < session_environment::max_unsent_bytes;
}

bool session::has_share_of_turn(std::size_t wanted_bytes) {
  if (turn_.is_waiting()) return false;
  if (turn_.has_room(wanted_bytes)) return true;
  wait_for_turn();
  return false;
}

void session::wait_for_turn() {
  turn_.wait();
  env_.handler.on_more(*this);
}

bool session::may_read() {
  return readable_ && answers_.all_sent() && may_parse() && has_share_of_turn(0);
}

void session::read() {
  if (steps_.now() == step::lingering) return discard();
  while (may_read()) {
    // Of who has to wait with it no more is read than tells that it is much.
    const auto most = turn_.must_wait(session_environment::receive_bytes)
                          ? session_environment::little_bytes + 1
                          : session_environment::receive_bytes;
    const auto wanted = std::min(most, receive_size(env_.memory, held_bytes()));
    const auto n = ::recv(fd_, env_.scratch.data(), wanted, 0);
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
    const std::string_view bytes{env_.scratch.data(), static_cast<std::size_t>(n)};
    env_.metrics.bytes_in.add(bytes.size());
    // A short read has emptied the socket; asking again would only be told so.
    if (bytes.size() < wanted && !peer_closed_) readable_ = false;
    if (input_.is_empty())
      take(bytes, false);
    else
      take(input_.append(bytes), true);
  }
}

// Parses what is there and keeps what is left over. `is_left_over`: the bytes are input_'s own.
void session::take(std::string_view bytes, bool is_left_over) {
  parsing_ = true;
  const auto used = parse(bytes);
  parsing_ = false;
  if (fd_ < 0) return;
  PENSTOCK_ASSERT(used <= bytes.size());
  if (is_left_over)
    input_.drop_front(used);
  else
    input_.keep(bytes.substr(used));
  if (input_.is_empty()) input_.drop_left_over();
  input_.note();
  // The start of a header is kept only where there is room for it.
  if (steps_.now() == step::header && overloaded()) input_.drop_left_over();
  input_.note();
}

std::size_t session::parse(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && may_parse() && has_share_of_turn(bytes.size() - used)) {
    const bool is_body = input_.has_request();
    const auto rest = bytes.substr(used);
    const auto taken = is_body ? continue_body(rest) : begin_request(rest);
    used += taken;
    turn_.note_work(is_body ? taken / read_bytes_per_work_byte : taken);
    if (taken == 0) break;
  }
  return used;
}

// Gives the number of bytes taken; 0 when more must come first.
std::size_t session::begin_request(std::string_view bytes) {
  if (bytes[0] == '\r' || bytes[0] == '\n') {
    // Blank lines before a request are to be ignored (RFC 9112, section 2.2).
    input_.look_anew();
    return 1;
  }
  if (steps_.now() != step::header) steps_.enter(step::header, answers_.all_sent());
  const auto header_size = input_.header_size(bytes);
  if (!header_size) return refuses_header(bytes) ? bytes.size() : 0;
  const auto& s = env_.settings;
  auto& request = input_.begin_request(env_.custom_fields, s.max_header_bytes, s.max_body_bytes);
  boost::beast::error_code ec;
  const auto used = request.put(buffer_of(bytes), ec);
  // Beast waits for more of a first line that ends too early; the header is all there.
  if (ec == http::error::need_more && !request.has_header()) ec = http::error::bad_version;
  if (ec && ec != http::error::need_more) {
    reject(ec);
    return bytes.size();
  }
  if (request.is_done()) {
    finish_request();
    return used;
  }
  request.keep_header(bytes.data(), *header_size);
  input_.note();
  steps_.enter(step::body, answers_.all_sent());
  if (env_.handler.on_header(*this, request)) {
    take_no_more();
    return bytes.size();
  }
  send_continue();
  return used;
}

// Of a header that is not whole: it is too large, or can't become a valid one.
bool session::refuses_header(std::string_view bytes) {
  if (bytes.size() > env_.settings.max_header_bytes) {
    reject(431, "The request's header is larger than this node takes.");
    return true;
  }
  // It is told so now rather than at the header timeout.
  const auto fault = fault_of_start(env_, bytes);
  if (fault) reject(fault);
  return fault.failed();
}

void session::send_continue() {
  const auto& request = input_.request();
  const bool is_wanted = boost::beast::iequals(request.head()[request_field::expect],
                                               boost::beast::string_view{"100-continue"});
  // HTTP/1.0 knows no interim answers (RFC 9110, section 10.1.1).
  if (!is_wanted || request.version_is_1_0() || answers_.pending() > 0) return;
  answers_.add_interim(continue_answer);
  flush();
}

std::size_t session::continue_body(std::string_view bytes) {
  auto& request = input_.request();
  boost::beast::error_code ec;
  const auto used = request.put(buffer_of(bytes), ec);
  input_.note();
  if (ec && ec != http::error::need_more) {
    reject(ec);
    return bytes.size();
  }
  if (request.is_done()) {
    // What came in one piece after its header was not copied either.
    if (request.buffered_bytes() == 0) turn_.note_work(request.body().size());
    if (!turn_.must_wait(request.buffered_bytes())) {
      finish_request();
    } else {
      steps_.enter(step::whole, answers_.all_sent());
      wait_for_turn();
    }
  } else if (overloaded()) {
    return bytes.size();
  }
  return used;
}

// What arrives slowly counts against the same bound as what is under way: without it, many
// connections could hold a large body, or a header, each.
bool session::overloaded() {
  const auto arriving = arriving_bytes();
  PENSTOCK_ASSERT(env_.memory.total() >= arriving && held_bytes() >= arriving);
  if (env_.memory.has_room(env_.memory.total() - arriving, held_bytes() - arriving,
                           input_.has_request() ? input_.body_bytes() : input_.other_bytes()))
    return false;
  take_no_more();
  env_.handler.on_overload(*this, shed_reason::in_flight);
  return true;
}

void session::finish_request() {
  const auto& request = input_.request();
  turn_.note_work(request_work_bytes + request.buffered_bytes());
  turn_.note_request();
  env_.handler.on_request(*this, request);
  input_.end_request();
  if (!steps_.is_last_taken()) steps_.enter(step::idle, answers_.all_sent());
}

// Of the connection; the request that is arriving is refused.
void session::take_no_more() {
  if (steps_.now() != step::refused) steps_.enter(step::refused, answers_.all_sent());
  input_.end_request();
}

void session::reject(boost::beast::error_code ec) {
  const auto [status, detail] =
      refusal_of(ec, input_.has_request() && input_.request().has_header());
  reject(status, detail);
}

void session::reject(unsigned status, std::string_view detail) {
  take_no_more();
  env_.handler.on_bad_request(*this, status, detail);
}

void session::on_end_of_input() {
  const bool is_incomplete = input_.has_request() || !input_.is_empty();
  if (!is_incomplete && answers_.pending() == 0 && answers_.all_sent()) return close();
  // Half-closed: the answers under way are still wanted, and are the last. Nothing is left unread.
  steps_.enter(step::ended, answers_.all_sent());
  if (!is_incomplete) return;
  input_.end_request();
  env_.handler.on_bad_request(*this, 400,
                              "The connection was closed before the request was complete.");
}

// -- output ---------------------------------------------------------------------------------------

void session::flush() {
  output_noted_ = false;
  if (fd_ < 0) return;
  while (!answers_.all_sent()) {
    const auto unsent = answers_.unsent();
    const auto n = ::send(fd_, unsent.data(), unsent.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) return close();
      return steps_.deadline().block(env_.loop.now_ns(),
                                     env_.settings.write_timeout_ms.count() * session_ns_per_ms,
                                     answers_.sent_bytes(), unsent.size());
    }
    answers_.sent(static_cast<std::size_t>(n));
    env_.metrics.bytes_out.add(static_cast<std::uint64_t>(n));
  }
  after_sent();
}

void session::after_sent() {
  answers_.end_sending();
  if (steps_.now() == step::lingering) return; // flushed twice in a turn
  if (is_last_sent()) return steps_.now() == step::refused ? linger() : close();
  if (draining_ && is_quiet()) return close();
  if (!steps_.deadline().is_of_client() || steps_.now() == step::idle) steps_.restart_deadline();
  if (parsing_) return; // a 100 Continue: parsing goes on below us
  if (!turn_.is_waiting()) take_what_waits();
}

// What the full pipeline, the full socket or the other connections kept waiting.
void session::take_what_waits() {
  if (steps_.now() == step::whole) finish_request();
  if (fd_ < 0) return;
  if (!input_.is_empty() && !steps_.is_last_taken()) {
    const auto waiting = input_.take();
    take(waiting, false);
  }
  if (fd_ >= 0 && readable_) read();
}

bool session::go_on() {
  if (fd_ < 0 || !turn_.is_waiting()) return false;
  // The client was not late while it waited for us.
  steps_.deadline().prolong(turn_.end_wait());
  if (!answers_.all_sent()) return false; // after_sent() goes on
  if (steps_.now() == step::lingering) return discard(), true;
  turn_.begin_pass();
  take_what_waits();
  turn_.end_pass();
  return true;
}

void session::linger() {
  ::shutdown(fd_, SHUT_WR);
  steps_.enter(step::lingering, answers_.all_sent());
  input_.drop_left_over();
  input_.note();
  readable_ = true;
  discard();
}

void session::discard() {
  while (fd_ >= 0 && lingered_bytes_ < max_linger_bytes) {
    const auto n = ::recv(fd_, env_.scratch.data(), session_environment::receive_bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) break;
    lingered_bytes_ += static_cast<std::size_t>(n);
  }
  close();
}

// -- time -----------------------------------------------------------------------------------------

void session::check_deadline(std::int64_t now_ns) {
  // Who waits for its turn waits for us.
  if (fd_ < 0 || !steps_.deadline().has_passed(now_ns) || turn_.is_waiting()) return;
  if (!answers_.all_sent()) {
    env_.metrics.count(timeout_kind::write);
    return close();
  }
  if (steps_.now() == step::lingering) return close();
  if (answers_.pending() > 0) return steps_.deadline().suspend(); // after_sent() sets a new one
  if (steps_.now() == step::idle) {
    env_.metrics.count(timeout_kind::idle);
    return close();
  }
  env_.metrics.count(steps_.now() == step::body ? timeout_kind::body : timeout_kind::header);
  reject(408, "The request did not arrive in time.");
}

std::size_t session::bytes_kept_by_slowness(std::int64_t now_ns) const {
  if (fd_ < 0) return 0;
  const bool is_unsent = !answers_.all_sent();
  // A request that is behind one of ours that takes long is not its client's fault.
  const bool is_arriving = (steps_.now() == step::header || steps_.now() == step::body) &&
                           answers_.pending() == 0 && !turn_.is_waiting();
  if (is_unsent ? !steps_.deadline().is_blocked() : !is_arriving) return 0;
  const auto since_ns = steps_.deadline().since_ns();
  if (now_ns - since_ns < scarce_patience_ns) return 0;
  const auto moved =
      is_unsent ? steps_.deadline().sent_since(answers_.sent_bytes()) : arriving_bytes();
  const auto waited_ms = (now_ns - since_ns) / session_ns_per_ms;
  const bool is_slow =
      static_cast<std::int64_t>(moved) * 1'000 < waited_ms * min_scarce_rate_bytes_s;
  return is_slow ? held_bytes() : 0;
}

void session::give_up_on_client() {
  if (!answers_.all_sent()) {
    env_.metrics.count(shed_reason::slow_client);
    return close();
  }
  take_no_more();
  input_.drop_left_over();
  input_.note();
  env_.handler.on_overload(*this, shed_reason::slow_client);
}

void session::drain() {
  draining_ = true;
  if (fd_ >= 0 && is_quiet()) close();
}

} // namespace penstock
