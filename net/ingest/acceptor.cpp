#include "net/ingest/acceptor.hpp"

#include "net/base/problem.hpp"
#include "net/http/event_body.hpp"
#include "storage/base/assert.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

namespace {

// What the kernel keeps for a connection is the node's memory, too: in small nodes less of it.
void bound_socket_buffers(int fd, std::uint64_t max_in_flight_bytes) {
  constexpr std::uint64_t least = 64 << 10, most = 1 << 20;
  const auto bytes = static_cast<int>(std::clamp(max_in_flight_bytes / 256, least, most));
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

std::string shed_answer(std::string_view detail) {
  const auto body = to_json(problem{503, std::string{detail}});
  return "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
         "Content-Type: application/problem+json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

} // namespace

acceptor::acceptor(lane_context& lane, const http_settings& http, request_handler& handler,
                   const identifier& identify, std::shared_ptr<address_counts> per_address)
    : lane_(lane), identify_(identify), per_address_(std::move(per_address)),
      env_{
          lane.loop,    handler,
          http,         identify.custom_fields(),
          lane.metrics, std::vector<char>(session_environment::receive_bytes + json_padding_bytes),
          lane.memory,
      } {}

acceptor::~acceptor() {
  for (const int fd : {listen_fd_, unopened_fd_})
    if (fd >= 0) ::close(fd);
}

// -- letting in ----------------------------------------------------------------------------------

void acceptor::start_listening() {
  if (unopened_fd_ < 0) return;
  listen_fd_ = std::exchange(unopened_fd_, -1);
  bound_socket_buffers(listen_fd_, env_.settings.max_in_flight_bytes); // inherited
  lane_.loop.add(listen_fd_, EPOLLIN, this);
}

void acceptor::on_io(std::uint32_t) {
  accept_all();
}

void acceptor::accept_all() {
  constexpr int max_accepts_per_turn = 64;
  for (int i = 0; i < max_accepts_per_turn && listen_fd_ >= 0; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    auto fd = ::accept4(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) pause();
      return;
    }
    lane_.metrics.connections_total.add();
    take_or_close(fd, ip_from(address));
  }
}

// A connection that is too many is told so, and closed. Idle ones count, so that one address can't
// hold all that there are.
void acceptor::take_or_close(int fd, const ip_address& peer) {
  static const auto too_many = shed_answer("http.max_connections reached");
  static const auto too_many_of_address = shed_answer("http.max_connections_per_address reached");
  auto why = shed_reason::connections;
  const bool room = lane_.node.connections.load(std::memory_order_relaxed) <
                    static_cast<std::int64_t>(env_.settings.max_connections);
  if (room) {
    // Behind a trusted proxy are many clients.
    const auto& counts = per_address_;
    const auto& who = identify_;
    if (!counts || who.trusts(peer) || counts->take(who.client_of(peer))) return adopt(fd, peer);
    why = shed_reason::address_connections;
  }
  lane_.metrics.count(why);
  lane_.metrics.count_status(503);
  const auto& answer = room ? too_many_of_address : too_many;
  [[maybe_unused]] auto n = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
  ::close(fd);
}

void acceptor::adopt(int fd, const ip_address& peer) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  session* s = nullptr;
  if (free_sessions_.empty()) {
    s = sessions_.emplace_back(std::make_unique<session>(env_)).get();
  } else {
    s = free_sessions_.back();
    free_sessions_.pop_back();
  }
  lane_.node.connections.fetch_add(1, std::memory_order_relaxed);
  lane_.metrics.connections.add(1);
  s->open(fd, peer, identify_.trusts(peer), identify_.client_of(peer));
}

void acceptor::on_closed(session& from) {
  PENSTOCK_ASSERT(lane_.metrics.connections.value() > 0);
  lane_.node.connections.fetch_sub(1, std::memory_order_relaxed);
  lane_.metrics.connections.add(-1);
  if (per_address_ && !from.peer_trusted()) per_address_->give_back(from.peer_client());
  closed_.push_back(&from);
}

// Out of descriptors: the connections wait in the backlog, and the next tick tries again. Left in
// epoll, the listening socket would keep the thread busy with telling so.
void acceptor::pause() {
  if (accepting_) lane_.loop.remove(listen_fd_);
  accepting_ = false;
}

void acceptor::resume() {
  if (accepting_ || listen_fd_ < 0) return;
  accepting_ = true;
  lane_.loop.add(listen_fd_, EPOLLIN, this);
}

// -- turns ----------------------------------------------------------------------------------------

void acceptor::on_more(session& from) {
  to_go_on_.push_back({&from, from.generation()});
  lane_.loop.wake_at(lane_.loop.now_ns());
}

// Whoever had more than its share comes behind those that were ready in this turn, one at least.
// Those that are gone cost nobody a turn.
void acceptor::let_go_on() {
  for (auto left = to_go_on_.size(); left > 0; --left) {
    const auto [who, generation] = to_go_on_.front();
    to_go_on_.pop_front();
    if (who->generation() == generation && who->go_on() && env_.turn_is_used_up()) break;
  }
  if (!to_go_on_.empty()) lane_.loop.wake_at(lane_.loop.now_ns());
}

// Flushing may parse what was held back, and so answer and flush again.
void acceptor::flush() {
  for (std::size_t i = 0; i < to_flush_.size(); ++i)
    to_flush_[i]->flush();
  to_flush_.clear();
}

void acceptor::end_turn() {
  free_sessions_.insert(free_sessions_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  env_.end_turn();
}

void acceptor::on_tick() {
  resume();
  for (auto& s : sessions_)
    s->check_deadline(lane_.loop.now_ns());
  if (lane_.memory.total() > env_.settings.max_in_flight_bytes / 2) let_go_of_slow_clients();
}

// What they hold would keep large requests out. Those that hold the most go first.
void acceptor::let_go_of_slow_clients() {
  std::vector<std::pair<std::size_t, session*>> slow;
  for (auto& s : sessions_)
    if (const auto bytes = s->bytes_kept_by_slowness(lane_.loop.now_ns()); bytes > 0)
      slow.emplace_back(bytes, s.get());
  std::ranges::sort(slow, std::greater{});
  const auto enough = env_.settings.max_in_flight_bytes / 2;
  for (auto& [bytes, s] : slow)
    if (lane_.memory.total() > enough) s->give_up_on_client();
}

void acceptor::drain() {
  if (listen_fd_ >= 0) {
    accept_all(); // whoever is in the backlog already is served
    if (accepting_) lane_.loop.remove(listen_fd_);
    ::close(listen_fd_);
    listen_fd_ = -1;
  }
  for (auto& s : sessions_)
    s->drain();
}

} // namespace penstock
