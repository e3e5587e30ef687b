#include "net/links/link_connection.hpp"

#include "net/links/cluster_transport.hpp"

#include <caf/io/abstract_broker.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <spdlog/spdlog.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace penstock {
namespace {

namespace network = caf::io::network;

// A door lets in so many a turn.
constexpr int max_let_in = 64;
// A buffer that a large message made larger than this is given back.
constexpr std::size_t max_idle_buffer_bytes = 256 << 10;

tls_step step_after(ssize_t count) {
  if (count > 0) return tls_step::done;
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    return tls_step::wants_read;
  return tls_step::failed;
}

void empty(std::vector<char>& buffer) {
  buffer.clear();
  if (buffer.capacity() > max_idle_buffer_bytes) std::vector<char>{}.swap(buffer);
}

} // namespace

// -- connections ----------------------------------------------------------------------------------

link_connection::link_connection(link_multiplexer& links, int socket,
                                 std::unique_ptr<tls_session> session)
    : scribe(network::conn_hdl_from_socket(socket)), links_(links), socket_(socket),
      session_(std::move(session)), guard_(link_multiplexer::max_unsent_bytes) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

link_connection::~link_connection() {
  ::close(socket_);
}

void link_connection::configure_read(caf::io::receive_policy::config config) {
  wanted_ = std::max<std::size_t>(config.second, 1);
  if (std::exchange(was_configured_, true)) return;
  count_as_heard(*this);
  add_to_loop();
}

void link_connection::add_to_loop() {
  if (std::exchange(in_loop_, true)) return;
  links_.count_connection(true);
  links_.loop().add(socket_, EPOLLIN, this);
  if (session_) {
    // The handshake may have left something in the session, of which the socket does not tell.
    reads_on_ = session_->has_pending();
    if (reads_on_) attend();
  }
}

void link_connection::remove_from_loop() {
  if (!std::exchange(in_loop_, false)) return;
  links_.count_unsent(std::exchange(counted_unsent_, 0), 0);
  links_.count_connection(false);
  links_.loop().remove(socket_);
  links_.let_go(caf::intrusive_ptr<caf::ref_counted>{this});
}

// Called by the broker, which must not hear of a failure meanwhile.
void link_connection::graceful_shutdown() {
  (void)send();
  if (in_loop_) ::shutdown(socket_, SHUT_WR);
  detach(&links_.loop(), false);
}

void link_connection::on_io(std::uint32_t epoll_events) {
  if (!in_loop_) return;
  const caf::intrusive_ptr<link_connection> alive{this};
  if ((epoll_events & EPOLLOUT) != 0) {
    awaits_space_ = false;
    links_.loop().change(socket_, EPOLLIN, this);
    attend();
  }
  if ((epoll_events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) receive();
}

void link_connection::attend() {
  if (!std::exchange(attended_, true)) links_.attend(*this);
}

void link_connection::flush() {
  if (!written_.empty()) attend();
}

void link_connection::end_turn() {
  attended_ = false;
  if (std::exchange(reads_on_, false)) receive();
  if (!in_loop_) return;
  const bool is_sound = send();
  const auto before = std::exchange(counted_unsent_, written_.size() + sending_.size() - sent_);
  if (!links_.count_unsent(before, counted_unsent_) || !is_sound)
    io_failure(&links_.loop(), network::operation::write);
}

void link_connection::receive() {
  if (!in_loop_) return;
  auto& buffer = links_.receive_buffer();
  std::size_t size = 0;
  tls_step step;
  bool more = false;
  do {
    std::size_t count = 0;
    step = read(buffer.data() + size, buffer.size() - size, count);
    size += count;
    more = step == tls_step::done && session_ && session_->has_pending();
  } while (more && size < buffer.size());
  take(buffer.data(), size);
  if (!in_loop_) return;
  if (step == tls_step::failed) return io_failure(&links_.loop(), network::operation::read);
  if (!more) return;
  reads_on_ = true;
  attend();
}

// The broker says after each piece how large the next one is.
void link_connection::take(const char* data, std::size_t size) {
  while (size > 0 && in_loop_) {
    if (wanted_ > links_.message_bytes_limit()) {
      spdlog::warn("the link with {}:{} is closed: a message of {} bytes is more than this node "
                   "takes; do http.max_body or node.memory differ there?",
                   addr(), port(), wanted_);
      return io_failure(&links_.loop(), network::operation::read);
    }
    const std::size_t part = std::min(size, wanted_ - received_.size());
    received_.insert(received_.end(), data, data + part);
    data += part;
    size -= part;
    if (received_.size() < wanted_) return;
    if (!guard_.admits({received_.data(), received_.size()})) {
      spdlog::warn("the link with {}:{} is closed: what came over it is nothing that a peer says",
                   addr(), port());
      return io_failure(&links_.loop(), network::operation::read);
    }
    (void)consume(&links_.loop(), received_.data(), received_.size());
    empty(received_);
  }
}

// Until nothing is left, or the kernel takes no more. False: the connection has failed.
bool link_connection::send() {
  while (in_loop_ && !awaits_space_) {
    if (sent_ == sending_.size()) {
      empty(sending_);
      sent_ = 0;
      if (written_.empty()) return true;
      sending_.swap(written_);
    }
    std::size_t count = 0;
    const auto step = write(sending_.data() + sent_, sending_.size() - sent_, count);
    if (step == tls_step::failed) return false;
    sent_ += count;
    if (step == tls_step::done) continue;
    awaits_space_ = true;
    links_.loop().change(socket_, EPOLLIN | EPOLLOUT, this);
  }
  return true;
}

tls_step link_connection::read(char* into, std::size_t size, std::size_t& count) {
  if (session_) return session_->read(into, size, count);
  const auto got = ::recv(socket_, into, size, 0);
  if (got > 0) count = static_cast<std::size_t>(got);
  return step_after(got);
}

tls_step link_connection::write(const char* from, std::size_t size, std::size_t& count) {
  if (session_) return session_->write(from, size, count);
  const auto put = ::send(socket_, from, size, MSG_NOSIGNAL);
  if (put > 0) count = static_cast<std::size_t>(put);
  return step_after(put);
}

std::string link_connection::addr() const {
  auto address = network::remote_addr_of_fd(socket_);
  return address ? *address : std::string{};
}

std::uint16_t link_connection::port() const {
  auto port = network::remote_port_of_fd(socket_);
  return port ? *port : std::uint16_t{0};
}

// -- the port -------------------------------------------------------------------------------------

link_door::link_door(link_multiplexer& links, int socket)
    : doorman(network::accept_hdl_from_socket(socket)), links_(links), socket_(socket) {
  (void)network::nonblocking(socket, true);
}

link_door::~link_door() {
  ::close(socket_);
}

// Edges only: without a free descriptor what waits would keep the loop awake. Peers try again, and
// with the next attempt all are let in.
void link_door::add_to_loop() {
  if (!std::exchange(in_loop_, true)) links_.loop().add(socket_, EPOLLIN | EPOLLET, this);
}

void link_door::remove_from_loop() {
  if (!std::exchange(in_loop_, false)) return;
  links_.loop().remove(socket_);
  links_.let_go(caf::intrusive_ptr<caf::ref_counted>{this});
}

void link_door::graceful_shutdown() {
  ::shutdown(socket_, SHUT_RDWR);
  detach(&links_.loop(), false);
}

void link_door::accept_all() {
  const caf::intrusive_ptr<link_door> alive{this};
  for (int i = 0; i < max_let_in; ++i) {
    if (!in_loop_ || detached()) return;
    const int socket = ::accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0)
      accepted(socket);
    else if (errno != EINTR && errno != ECONNABORTED)
      return;
  }
  links_.loop().post([alive] { alive->accept_all(); });
}

void link_door::let_in(int socket, std::unique_ptr<tls_session> session) {
  if (detached() || !links_.has_room()) {
    ::close(socket);
    return;
  }
  auto connection = caf::make_counted<link_connection>(links_, socket, std::move(session));
  const auto handle = connection->hdl();
  parent()->add_scribe(std::move(connection));
  doorman::new_connection(&links_.loop(), handle);
}

std::string link_door::addr() const {
  auto address = network::local_addr_of_fd(socket_);
  return address ? *address : std::string{};
}

std::uint16_t link_door::port() const {
  auto port = network::local_port_of_fd(socket_);
  return port ? *port : std::uint16_t{0};
}

} // namespace penstock
