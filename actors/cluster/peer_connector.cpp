#include "actors/cluster/peer_connector.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/peer_handles.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace penstock {

result<peer_address> parse_peer_address(const std::string& text) {
  const auto malformed = [&text] {
    return error{errc::config, fmt::format("\"{}\" is not host:port", text)};
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return malformed();
  peer_address address{text.substr(0, colon), 0};
  const char* const end = text.data() + text.size();
  const auto [parsed, failure] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (failure != std::errc{} || parsed != end) return malformed();
  if (address.host.front() == '[' && address.host.back() == ']')
    address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host.empty()) return malformed();
  return address;
}

// What a gate gave as the reason; it comes from another machine, so it is checked.
static std::string sentence_of(const caf::error& refusal) {
  if (refusal.context().match_elements<std::string>())
    return refusal.context().get_as<std::string>(0);
  return "it gives no reason";
}

static std::string reason_of(const caf::actor_system& system, const caf::error& why) {
  if (why == caf::sec::connection_timeout || why == caf::sec::disconnect_during_handshake)
    return "it takes connections and does not answer as a node does; it may hang, or only one of "
           "the two nodes has cluster.tls_cert";
  return system.render(why);
}

// Each link goes round these stages, from `waiting` back to `idle` when its peer is a member no
// more:
//
//               reached, and its turn           a gate               welcome
//     waiting ──► probing ─────────► connecting ────────► greeting ────────► up
//        ▲           │                    │                  │               │
//        └── retry ──┴────── error ───────┴──── or gate down ┤               │
//        └── retry when refused ─────── refusal ─────────────┘               │
//        └── retry ──────────────────────────────────────────── gate down ───┘
//
// Connections of a pair that cross close each other, and both would try again at the same moment;
// so waits are of random length, and a node that is greeted while it waits connects right then.
//
// A turn lasts as long as the stage `connecting`: the middleman connects for one caller at a time,
// and concurrent calls have hung it. A host that drops packets silently would take up a turn of a
// second, or of minutes with CAF's own transport; so it is found out first, within a second,
// whether the peer takes connections. That happens for all links at once, so that silent hosts,
// however many, hold up nobody.

// -- probing --------------------------------------------------------------------------------------

// It blocks, so each has a thread of its own, which ends with its answer.
static caf::behavior prober(caf::event_based_actor* self, const reach_peer& reach) {
  end_process_on_exception(self);
  return {
      [self, reach](caf::connect_atom, const std::string& host,
                    std::uint16_t port) -> caf::result<void> {
        self->quit();
        if (const auto reached = reach(host, port, reach_timeout); !reached)
          return caf::make_error(caf::sec::cannot_connect_to_node, reached.error().message);
        return caf::unit;
      },
  };
}

void peer_connector_state::end_wait(std::size_t at, std::uint64_t attempt) {
  if (links_[at].attempt == attempt) probe(at);
}

void peer_connector_state::probe(std::size_t at) {
  link& peer = links_[at];
  if (!peer.wanted) {
    peer.at = stage::idle;
    return;
  }
  peer.at = stage::probing;
  self_
      ->request(self_->spawn<caf::detached>(prober, reach_), caf::infinite, caf::connect_atom_v,
                peer.parts.host, peer.parts.port)
      .then([this, at] { want_turn(at); }, [this, at](const caf::error& why) { failed(at, why); });
}

// -- life -----------------------------------------------------------------------------------------

void peer_connector_state::start(const cluster_settings& settings,
                                 const std::vector<std::string>& members,
                                 std::vector<peer_listener_handle> told, reach_peer reach,
                                 std::shared_ptr<link_metrics> metrics,
                                 caf::io::middleman_actor transport) {
  reach_ = std::move(reach);
  introduction_.cluster = settings.name;
  introduction_.address = settings.listen;
  secret_check_ = settings.secret_check;
  began_ = self_->clock().now();
  introduction_.version = settings.max_wire_version;
  reconnect_interval_ = settings.reconnect_interval_ms;
  told_ = std::move(told);
  metrics_ = std::move(metrics);
  transport_ = std::move(transport);
  link_to(members);
}

void peer_connector_state::link_to(const std::vector<std::string>& members) {
  std::vector<bool> came_back(links_.size());
  for (std::size_t at = 0; at < links_.size(); ++at) {
    link& each = links_[at];
    came_back[at] = !std::exchange(each.wanted, each.member < members.size() &&
                                                    members[each.member] == each.address);
  }
  for (std::size_t member = 0; member < members.size(); ++member) {
    if (members[member].empty() || members[member] == introduction_.address) continue;
    const auto known = std::ranges::find(links_, members[member], &link::address);
    if (known != links_.end()) {
      const auto at = static_cast<std::size_t>(known - links_.begin());
      if (known->at == stage::idle || (known->at == stage::waiting && came_back[at])) begin(at);
      continue;
    }
    const result<peer_address> parts = parse_peer_address(members[member]);
    if (!parts) {
      spdlog::error("cannot link to a peer: {}", parts.error().message);
      continue;
    }
    link peer;
    peer.address = members[member];
    peer.parts = *parts;
    peer.member = static_cast<std::uint16_t>(member);
    links_.push_back(std::move(peer));
    begin(links_.size() - 1);
  }
  publish();
}

// Both ends learn of each other at about the same time, also of one that comes back.
void peer_connector_state::begin(std::size_t at) {
  ++links_[at].attempt;
  if (introduction_.address < links_[at].address)
    probe(at);
  else
    wait(at, head_start);
}

void peer_connector_state::publish() {
  std::vector<peer_state> peers;
  for (const link& each : links_)
    if (each.wanted) peers.push_back({each.address, each.at == stage::up, each.failure_logged});
  metrics_->publish(std::move(peers));
  metrics_->is_refused.store(metrics_->links_up.value() == 0 &&
                             std::ranges::any_of(links_, [](const link& each) {
                               return each.wanted && each.is_refused && each.refused_new_node;
                             }));
}

void peer_connector_state::drain() {
  self_->quit();
}

template <class Message>
void peer_connector_state::tell(const Message& message) {
  for (const auto& each : told_)
    self_->send(each, message);
}

// -- turns ----------------------------------------------------------------------------------------

void peer_connector_state::want_turn(std::size_t at) {
  turns_.push_back(at);
  next_turn();
}

void peer_connector_state::next_turn() {
  if (turn_taken_ || turns_.empty()) return;
  const std::size_t at = turns_.front();
  turns_.pop_front();
  if (!links_[at].wanted) {
    links_[at].at = stage::idle;
    return next_turn();
  }
  turn_taken_ = true;
  connect(at);
}

void peer_connector_state::connect(std::size_t at) {
  links_[at].at = stage::connecting;
  const peer_address& peer = links_[at].parts;
  // No time limit here: the operating system's and the middleman's apply, and giving up earlier
  // would let the next connect begin beside this one.
  self_->request(transport_, caf::infinite, caf::connect_atom_v, peer.host, peer.port)
      .then(
          [this, at](const caf::node_id&, const caf::strong_actor_ptr& gate,
                     const std::set<std::string>&) {
            connected(at, gate);
            end_turn();
          },
          [this, at](const caf::error& why) {
            if (why.category() == transport_category)
              refused(at, sentence_of(why));
            else
              failed(at, why);
            end_turn();
          });
}

void peer_connector_state::end_turn() {
  turn_taken_ = false;
  next_turn();
}

void peer_connector_state::wait(std::size_t at, std::chrono::milliseconds time) {
  links_[at].at = stage::waiting;
  links_[at].gate = nullptr;
  self_->delayed_send(self_, time, caf::connect_atom_v, static_cast<std::uint64_t>(at),
                      ++links_[at].attempt);
}

// Between half the interval and one and a half.
void peer_connector_state::retry(std::size_t at) {
  std::uniform_int_distribution<std::int64_t> any{0, reconnect_interval_.count()};
  wait(at, reconnect_interval_ / 2 + std::chrono::milliseconds{any(random_)});
}

// -- events ---------------------------------------------------------------------------------------

void peer_connector_state::connected(std::size_t at, const caf::strong_actor_ptr& gate) {
  link& peer = links_[at];
  peer.gate = handshake_acceptor_of(gate);
  if (!peer.gate) return failed(at, caf::make_error(caf::sec::no_actor_published_at_port));
  peer.at = stage::greeting;
  const std::uint64_t attempt = ++peer.attempt;
  self_->monitor(peer.gate);
  self_->request(peer.gate, greeting_timeout, introduction_)
      .then(
          [this, at, attempt](const welcome& answer) {
            if (links_[at].attempt == attempt) welcomed(at, answer);
          },
          [this, at, attempt](const caf::error& why) {
            if (links_[at].attempt != attempt) return;
            self_->demonitor(links_[at].gate.address());
            if (why.category() == handshake_category)
              refused(at, sentence_of(why));
            else
              failed(at, why);
          });
}

void peer_connector_state::welcomed(std::size_t at, const welcome& answer) {
  link& peer = links_[at];
  const bool understood =
      answer.version >= introduction_.oldest && answer.version <= introduction_.version;
  if (!understood || answer.limiters.empty()) {
    self_->demonitor(peer.gate.address());
    return refused(at, fmt::format("it would speak wire version {}, this node speaks {} to {}",
                                   answer.version, introduction_.oldest, introduction_.version));
  }
  if (!answer.secret_check.empty() && answer.secret_check != secret_check_) {
    self_->demonitor(peer.gate.address());
    return refused(at, "its cluster.secret is another");
  }
  peer.at = stage::up;
  peer.failure_logged.clear();
  metrics_->links_up.add(1);
  peer.is_refused = peer.refused_new_node = false;
  if (peer.was_up) metrics_->reconnects.add();
  peer.was_up = true;
  spdlog::info("linked to the peer at {}, wire version {}", peer.address, answer.version);
  publish();
  tell(peer_up_of(answer, peer.member, peer.address));
}

void peer_connector_state::greeted_by(const std::string& address) {
  const auto known = std::ranges::find(links_, address, &link::address);
  if (known == links_.end() || known->at != stage::waiting || !known->wanted) return;
  if (known->is_refused) return; // it is asked again in its time
  ++known->attempt;
  probe(static_cast<std::size_t>(known - links_.begin()));
}

void peer_connector_state::lost(const caf::actor_addr& gate) {
  for (std::size_t at = 0; at < links_.size(); ++at) {
    link& peer = links_[at];
    if (!peer.gate || peer.gate.address() != gate) continue;
    if (peer.at == stage::greeting) {
      failed(at, caf::make_error(caf::sec::cannot_connect_to_node,
                                 "the connection was closed before the peer welcomed this node"));
      continue;
    }
    metrics_->links_up.add(-1);
    spdlog::warn("lost the peer at {}", peer.address);
    tell(peer_down{peer.member});
    retry(at);
    publish();
  }
}

void peer_connector_state::failed(std::size_t at, const caf::error& why) {
  link& peer = links_[at];
  metrics_->failed_attempts.add();
  const bool answered = std::exchange(peer.is_refused, false);
  auto reason = reason_of(self_->system(), why);
  if (reason != peer.failure_logged)
    spdlog::warn("cannot reach the peer at {}: {}; trying on every {} ms", peer.address, reason,
                 reconnect_interval_.count());
  const bool is_new_reason = answered || reason != peer.failure_logged;
  peer.failure_logged = std::move(reason);
  retry(at);
  if (is_new_reason) publish();
}

void peer_connector_state::refused(std::size_t at, const std::string& why) {
  metrics_->failed_attempts.add();
  metrics_->refusals.add();
  links_[at].is_refused = true;
  links_[at].refused_new_node =
      links_[at].refused_new_node || self_->clock().now() - began_ < newcomer_time;
  spdlog::error("the peer at {} and this node do not fit: {}; asking again in {} s",
                links_[at].address, why, refused_interval.count());
  links_[at].failure_logged = why;
  wait(at, refused_interval);
  publish();
}

peer_links_self::behavior_type
peer_connector(peer_links_self::stateful_pointer<peer_connector_state> self,
               cluster_settings settings, std::vector<std::string> members,
               std::vector<peer_listener_handle> told, reach_peer reach,
               std::shared_ptr<link_metrics> metrics, caf::io::middleman_actor transport) {
  end_process_on_exception(self);
  self->set_down_handler([self](const caf::down_msg& down) { self->state.lost(down.source); });
  self->state.start(settings, members, std::move(told), std::move(reach), std::move(metrics),
                    std::move(transport));
  return {
      [self](caf::connect_atom, std::uint64_t link, std::uint64_t attempt) {
        self->state.end_wait(link, attempt);
      },
      [self](caf::connect_atom, const std::string& address) { self->state.greeted_by(address); },
      [self](const placement_changed& change) { self->state.link_to(change.to->members); },
      [self](drain) { self->state.drain(); },
  };
}

} // namespace penstock
