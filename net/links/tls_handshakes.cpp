#include "net/links/tls_handshakes.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <spdlog/spdlog.h>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace penstock {
namespace {

using namespace std::chrono_literals;

// A refused peer gets this long to read why: closing at once, with bytes of it unread, would take
// the alert back.
constexpr std::chrono::milliseconds linger_time{1000};
// Peers look whether the port is open before they connect (net/loop/tcp_probe.hpp); that is no
// attempt.
constexpr std::chrono::milliseconds probe_time{300};
// Anyone can fill the log otherwise.
constexpr std::chrono::seconds refusal_log_interval{60};
constexpr std::size_t max_refusal_lines = 32; // in that time

std::string remote_address_of(int socket) {
  boost::asio::ip::tcp::endpoint from;
  socklen_t size = static_cast<socklen_t>(from.capacity());
  if (::getpeername(socket, from.data(), &size) != 0) return "an address unknown";
  from.resize(size);
  return from.address().to_string();
}

} // namespace

tls_handshakes::tls_handshakes(std::shared_ptr<const tls_contexts> contexts,
                               std::shared_ptr<handshake_metrics> metrics)
    : contexts_(std::move(contexts)), metrics_(std::move(metrics)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), thread_([this] { run(); }) {}

tls_handshakes::~tls_handshakes() {
  stop();
  ::close(wake_);
}

void tls_handshakes::begin(int socket, welcome then) {
  const std::unique_lock hold{mutex_};
  if (stopping_) {
    ::close(socket);
    return;
  }
  if (new_.size() >= max_handshakes) {
    ::close(new_.front().socket);
    new_.erase(new_.begin());
    ++passed_over_;
  }
  const auto now = clock::now();
  new_.push_back({socket, remote_address_of(socket), std::move(then), nullptr, now,
                  now + handshake_timeout, POLLIN, false});
  ::eventfd_write(wake_, 1);
}

void tls_handshakes::stop() {
  {
    const std::lock_guard hold{mutex_};
    stopping_ = true;
    ::eventfd_write(wake_, 1);
  }
  if (thread_.joinable()) thread_.join();
  for (auto* all : {&peers_, &new_}) {
    for (peer& one : *all)
      ::close(one.socket);
    all->clear();
  }
}

// -- the thread -----------------------------------------------------------------------------------

void tls_handshakes::run() {
  std::vector<pollfd> watched;
  for (;;) {
    watched.assign(1, {wake_, POLLIN, 0});
    for (const peer& one : peers_)
      watched.push_back({one.socket, one.events, 0});
    if (::poll(watched.data(), watched.size(), wait_ms()) < 0 && errno != EINTR) return;
    const auto now = clock::now();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      if (watched[i + 1].revents != 0) advance(peers_[i]);
      if (!peers_[i].over && now >= peers_[i].deadline) end_overdue(peers_[i]);
    }
    std::erase_if(peers_, [](const peer& one) { return one.over; });
    {
      const std::lock_guard hold{mutex_};
      if (stopping_) return;
    }
    take_new();
  }
}

int tls_handshakes::wait_ms() const {
  auto next = clock::time_point::max();
  for (const peer& one : peers_)
    next = std::min(next, one.deadline);
  if (next == clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

void tls_handshakes::take_new() {
  eventfd_t count = 0;
  ::eventfd_read(wake_, &count);
  std::vector<peer> fresh;
  {
    const std::lock_guard hold{mutex_};
    fresh.swap(new_);
    metrics_->tls.add(passed_over_);
    not_told_ += std::exchange(passed_over_, 0);
  }
  const auto context = contexts_->now();
  for (peer& one : fresh) {
    if (peers_.size() >= max_handshakes) {
      refuse(peers_.front(), {"too many connect at once, and it was slower than they", false});
      if (!peers_.front().over) close(peers_.front());
      peers_.erase(peers_.begin());
    }
    one.session = std::make_unique<tls_session>(context, one.socket, true);
    peers_.push_back(std::move(one));
  }
}

void tls_handshakes::advance(peer& one) {
  if (!one.session) {
    char ignored[4096];
    if (::recv(one.socket, ignored, sizeof ignored, MSG_DONTWAIT) <= 0) close(one);
    return;
  }
  switch (one.session->open()) {
  case tls_step::done:
    one.over = true;
    return one.then(one.socket, std::move(one.session));
  case tls_step::wants_read:
    one.events = POLLIN;
    return;
  case tls_step::wants_write:
    one.events = POLLOUT;
    return;
  case tls_step::failed:
    break;
  }
  const bool probed = !one.session->heard() && clock::now() - one.since < probe_time;
  if (probed) return close(one);
  refuse(one, one.session->fault());
}

void tls_handshakes::end_overdue(peer& one) {
  if (one.session)
    refuse(one,
           {fmt::format("its handshake took more than {} ms", handshake_timeout.count()), false});
  if (!one.over) close(one);
}

void tls_handshakes::refuse(peer& one, const tls_fault& fault) {
  if (!one.session) return;
  metrics_->tls.add();
  tell(one, one.session->heard()
                ? fault.what
                : "it sent no handshake; a node of the cluster would, if it had cluster.tls_cert");
  one.session.reset();
  one.events = POLLIN;
  one.deadline = clock::now() + linger_time;
  if (::shutdown(one.socket, SHUT_WR) != 0) close(one);
}

void tls_handshakes::close(peer& one) {
  ::close(one.socket);
  one.over = true;
}

void tls_handshakes::tell(const peer& one, const std::string& why) {
  const auto now = clock::now();
  if (now - telling_since_ >= refusal_log_interval) {
    if (not_told_ > 0) spdlog::warn("refused {} more connections to the cluster port", not_told_);
    telling_since_ = now;
    told_.clear();
    not_told_ = 0;
  }
  auto what = fmt::format("{}: {}", one.from, why);
  if (told_.size() >= max_refusal_lines || !told_.insert(what).second) {
    ++not_told_;
    return;
  }
  spdlog::warn("refused a connection to the cluster port from {}", what);
}

} // namespace penstock
