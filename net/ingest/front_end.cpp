// The front end's life: listening, accepting, turns, draining.
#include "net/ingest/front_end.hpp"

#include "actors/base/lifecycle_messages.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <functional>
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

} // namespace

front_end::front_end(front_end_parts parts, caf::event_based_actor* self)
    : parts_(std::move(parts)), self_(self), rules_(parts_.rules), access_(parts_.access),
      plans_(std::make_shared<served_plans>(parts_.plans)), json_(parts_.http.max_body_bytes),
      cloud_events_(parts_.http.max_body_bytes),
      memory_(parts_.http.max_in_flight_bytes, parts_.metrics),
      env_{
          parts_.loop,
          *this,
          parts_.http,
          parts_.identify->custom_fields(),
          parts_.metrics,
          std::vector<char>(session_environment::receive_bytes + json_padding_bytes),
          memory_,
      },
      streams_(parts_.names) {
  place_destinations();
  usage_since_ms_ = parts_.wall_ms();
  writer_.set_time(std::time(nullptr));
}

front_end::~front_end() {
  parts_.loop.remove_client(this);
  for (const int fd : {listen_fd_, closed_fd_})
    if (fd >= 0) ::close(fd);
}

caf::behavior front_end::make_behavior() {
  return {
      [this](caf::open_atom) { open_door(); },
      [this](const admit_reply& reply) { on_verdicts(reply); },
      [this](const subscribe_verdicts& wish) { verdicts_told_.add(wish.who, wish.window); },
      [this](const append_done& done) { on_durable(done); },
      [this](const published_news& news) { on_published(news); },
      [this](const claim_reply& reply) { on_claims(reply); },
      [this](const forward_request& request) { on_forward(request); },
      [this](const forward_reply& reply) { on_forward_reply(reply); },
      [this](const key_rows& rows) { on_key_rows(rows); },
      [this](const peer_up& news) { on_peer_up(news); },
      [this](const peer_down& news) { on_peer_down(news); },
      [this](const placement_changed& change) { set_placement(change.to); },
      [this](const refused_streams_ptr& which) { refused_streams_ = which; },
      [this](const limits_reply& reply) { on_limits(reply); },
      [this](const rules_changed& news) {
        rules_ = news.rules;
        streams_.forget();
      },
      [this](const accounts_changed& news) {
        access_ = news.access;
        set_plans(news.plans);
      },
      [this](drain how) -> caf::result<drained> {
        drained_ = self_->make_response_promise();
        if (how.time_ms.count() > 0) parts_.drain_timeout_ms = how.time_ms;
        begin_drain();
        return drained_;
      },
  };
}

// Requests under way keep the plans that they began with.
void front_end::set_plans(const plan_set_ptr& plans) {
  if (plans_->serves(plans)) return; // only keys changed
  plans_before_ = std::exchange(plans_, std::make_shared<served_plans>(plans));
  plans_before_->set_next(plans_);
}

std::int64_t front_end::wall_time_ms() {
  if (time_at_ns_ != parts_.loop.now_ns()) {
    time_ms_ = parts_.wall_ms();
    time_at_ns_ = parts_.loop.now_ns();
  }
  return time_ms_;
}

// -- connections ----------------------------------------------------------------------------------

void front_end::open_door() {
  if (closed_fd_ < 0) return;
  listen_fd_ = std::exchange(closed_fd_, -1);
  bound_socket_buffers(listen_fd_, parts_.http.max_in_flight_bytes); // inherited
  parts_.loop.add(listen_fd_, EPOLLIN, this);
}

void front_end::on_io(std::uint32_t) {
  accept_all();
}

void front_end::accept_all() {
  constexpr int max_accepts_per_turn = 64;
  for (int i = 0; i < max_accepts_per_turn && listen_fd_ >= 0; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    auto fd = ::accept4(listen_fd_, reinterpret_cast<sockaddr*>(&address), &size,
                        SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) pause_accepting();
      return;
    }
    parts_.metrics.connections_total.add();
    take_or_close(fd, ip_from(address));
  }
}

void front_end::adopt(int fd, const ip_address& peer) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  session* s = nullptr;
  if (free_sessions_.empty()) {
    s = sessions_.emplace_back(std::make_unique<session>(env_)).get();
  } else {
    s = free_sessions_.back();
    free_sessions_.pop_back();
  }
  parts_.node.connections.fetch_add(1, std::memory_order_relaxed);
  parts_.metrics.connections.add(1);
  s->open(fd, peer, parts_.identify->trusts(peer), parts_.identify->client_of(peer));
}

void front_end::on_closed(session& from) {
  parts_.node.connections.fetch_sub(1, std::memory_order_relaxed);
  parts_.metrics.connections.add(-1);
  if (parts_.per_address && !from.peer_trusted()) parts_.per_address->give_back(from.peer_client());
  closed_.push_back(&from);
}

// -- turns ----------------------------------------------------------------------------------------

void front_end::on_more(session& from) {
  to_go_on_.push_back({&from, from.generation()});
  parts_.loop.wake_at(parts_.loop.now_ns());
}

// Whoever had more than its share comes behind those that were ready in this turn, one at least.
// Those that are gone cost nobody a turn.
void front_end::after_io() {
  for (auto left = to_go_on_.size(); left > 0; --left) {
    const auto [who, generation] = to_go_on_.front();
    to_go_on_.pop_front();
    if (who->generation() == generation && who->go_on() && env_.turn_is_used_up()) break;
  }
  if (!to_go_on_.empty()) parts_.loop.wake_at(parts_.loop.now_ns());
  ask_limiters();
}

void front_end::end_turn() {
  if (!waits_.empty()) end_late_waits();
  // Flushing may parse what was held back, and so answer and flush again.
  for (std::size_t i = 0; i < to_flush_.size(); ++i)
    to_flush_[i]->flush();
  to_flush_.clear();
  ask_limiters();
  free_sessions_.insert(free_sessions_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  if (!held_.empty() && parts_.loop.now_ns() >= held_until_ns_) send_held();
  if (!held_.empty()) parts_.loop.wake_at(held_until_ns_); // an earlier wish of another's replaced it
  if (!to_ask_.empty()) ask_whom_they_wait_for();
  env_.end_turn();
  if (draining_) finish_drain_if_idle();
}

// Out of descriptors: the connections wait in the backlog, and the next tick tries again. Left in
// epoll, the listening socket would keep the thread busy with telling so.
void front_end::pause_accepting() {
  if (accepting_) parts_.loop.remove(listen_fd_);
  accepting_ = false;
}

void front_end::resume_accepting() {
  if (accepting_ || listen_fd_ < 0) return;
  accepting_ = true;
  parts_.loop.add(listen_fd_, EPOLLIN, this);
}

void front_end::on_tick() {
  resume_accepting();
  writer_.set_time(std::time(nullptr));
  for (auto& s : sessions_)
    s->check_deadline(parts_.loop.now_ns());
  if (memory_.total() > parts_.http.max_in_flight_bytes / 2) let_go_of_slow_clients();
  if (!asking_.empty())
    drop_late_questions(parts_.loop.now_ns() -
                        std::chrono::nanoseconds{parts_.verdict_timeout_ms}.count());
  if (!unsent_forwards_.empty()) drop_late_forwards();
  if (!claimed_.empty()) check_claim_timeouts();
  hand_over_usage_if_due();
}

// What they hold would keep large requests out. Those that hold the most go first.
void front_end::let_go_of_slow_clients() {
  std::vector<std::pair<std::size_t, session*>> slow;
  for (auto& s : sessions_)
    if (const auto bytes = s->bytes_kept_by_slowness(parts_.loop.now_ns()); bytes > 0)
      slow.emplace_back(bytes, s.get());
  std::ranges::sort(slow, std::greater{});
  const auto enough = parts_.http.max_in_flight_bytes / 2;
  for (auto& [bytes, s] : slow)
    if (memory_.total() > enough) s->give_up_on_client();
}

// -- draining -------------------------------------------------------------------------------------

void front_end::begin_drain() {
  draining_ = true;
  if (listen_fd_ >= 0) {
    accept_all(); // whoever is in the backlog already is served
    if (accepting_) parts_.loop.remove(listen_fd_);
    ::close(listen_fd_);
    listen_fd_ = -1;
  }
  for (auto& s : sessions_)
    s->drain();
  hurry_waits();
  finish_drain_if_idle();
}

void front_end::finish_drain_if_idle() {
  if (parts_.metrics.connections.value() > 0 || !drained_.pending()) return;
  send_held();
  hand_over_usage();
  drained_.deliver(drained{});
}

caf::actor spawn_front_end(caf::actor_system& sys, front_end_parts parts, int listen_fd) {
  auto& loop = parts.loop;
  return spawn_hosted<front_end_state>(
      sys, loop, [parts = std::move(parts), listen_fd](caf::stateful_actor<front_end_state>* self) {
        auto& impl = self->state.impl;
        impl = std::make_unique<front_end>(parts, self);
        parts.loop.add_client(impl.get());
        impl->take_door(listen_fd);
        return impl->make_behavior();
      });
}

} // namespace penstock
