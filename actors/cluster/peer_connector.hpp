// The actor that keeps a link to each peer.
#pragma once

#include "actors/base/metrics.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <caf/io/middleman_actor.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace penstock {

/// A link as people are shown it.
struct peer_state {
  std::string address;
  bool up = false;
  std::string last_failure{}; ///< of the last attempt; "" when it came up
};

/// What the links count; see metrics.hpp for who may write and read.
struct alignas(64) link_metrics {
  gauge links_up;
  counter reconnects;      ///< times that a link came up again
  counter failed_attempts; ///< to connect or to be welcomed
  counter refusals;        ///< of those, as it has another cluster, version or authority
  /// This node is new, and who answers it says that it does not fit. Who has been here for longer
  /// is not put out of service by one that comes and does not fit.
  std::atomic<bool> is_refused{false};

  /// Called by the links' actor when one of them changes; read by any thread.
  void publish(std::vector<peer_state> peers) {
    const std::lock_guard hold{mutex_};
    peers_ = std::move(peers);
  }
  std::vector<peer_state> peers() const {
    const std::lock_guard hold{mutex_};
    return peers_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<peer_state> peers_;
};

/// So long after its start a node that does not fit is taken for the one that is wrong.
inline constexpr std::chrono::seconds newcomer_time{10};

/// How long a peer's gate may take to answer.
inline constexpr std::chrono::milliseconds greeting_timeout{2000};

/// Finds out whether a peer takes connections, blocking for no longer than the time given. Errors:
/// unavailable.
using reach_peer = std::function<result<void>(const std::string& host, std::uint16_t port,
                                              std::chrono::milliseconds timeout)>;

/// The category of a transport's errors that say that it and the peer do not accept each other; the
/// context is a sentence for the log.
inline constexpr caf::atom_value transport_category = caf::atom("transport");

/// How long a peer's host may take to accept a connection.
inline constexpr std::chrono::milliseconds reach_timeout{1000};

/// Of two nodes that learn of each other at the same time the one whose address sorts first
/// connects at once and the other this much later, or when it has been greeted. Two connections
/// that cross close each other: CAF keeps one of a pair, and each end takes the other's for the one
/// to keep.
inline constexpr std::chrono::milliseconds head_start{250};

/// A refused node asks again after this long: somebody has to change a configuration first.
inline constexpr std::chrono::seconds refused_interval{15};

/// "host:port" or "[v6]:port" in parts.
struct peer_address {
  std::string host;
  std::uint16_t port = 0;
};

/// Errors: errc::config.
result<peer_address> parse_peer_address(const std::string& text);

/// With its own reminder: the number of a link, and of its attempt.
using peer_links_self =
    peer_connector_handle::extend<caf::reacts_to<caf::connect_atom, std::uint64_t, std::uint64_t>>;

class peer_connector_state {
 public:
  static constexpr const char* name = "peer_links"; // CAF shows it
  using self_ptr = peer_links_self::stateful_pointer<peer_connector_state>;

  explicit peer_connector_state(self_ptr self) : self_(self) {}

  // -- life ---------------------------------------------------------------------------------------

  void start(const cluster_settings& settings, const std::vector<std::string>& members,
             std::vector<peer_listener_handle> told, reach_peer reach,
             std::shared_ptr<link_metrics> metrics, caf::io::middleman_actor transport);
  void drain();

  /// Addresses by number; empty: not a member (any more).
  void link_to(const std::vector<std::string>& members);

  // -- connecting ---------------------------------------------------------------------------------

  /// Connects, unless the wait has been cut short since.
  void end_wait(std::size_t link, std::uint64_t attempt);

  // -- events -------------------------------------------------------------------------------------

  /// The peer at this address is linked to this node; so nothing of ours crosses what it does.
  void greeted_by(const std::string& address);
  void lost(const caf::actor_addr& gate);

 private:
  enum class stage : std::uint8_t { idle, waiting, probing, connecting, greeting, up };

  struct link {
    std::string address;
    peer_address parts;
    std::uint16_t member = 0;
    stage at = stage::idle;
    std::uint64_t attempt = 0; // counts waits and attempts; news of an earlier one is none
    handshake_acceptor_handle gate;
    bool wanted = true; // a member; else it is let go of when it goes
    bool was_up = false;
    bool is_refused = false;       // it answers, and does not fit
    bool refused_new_node = false; // when this node had just started
    std::string failure_logged; // an outage is worth a line for each reason, not for each attempt
  };

  void begin(std::size_t link);
  void probe(std::size_t link);
  void want_turn(std::size_t link); // one connect at a time in a process
  void next_turn();
  void connect(std::size_t link);
  void end_turn();
  void connected(std::size_t link, const caf::strong_actor_ptr& gate);
  void welcomed(std::size_t link, const welcome& answer);
  void failed(std::size_t link, const caf::error& why);
  void refused(std::size_t link, const std::string& why);
  void wait(std::size_t link, std::chrono::milliseconds time);
  void retry(std::size_t link);
  void publish();
  template <class Message>
  void tell(const Message& message);

  self_ptr self_;
  hello introduction_;
  std::string secret_check_;
  caf::actor_clock::time_point began_{};
  std::chrono::milliseconds reconnect_interval_{};
  std::minstd_rand random_{std::random_device{}()};
  std::vector<link> links_;
  std::deque<std::size_t> turns_; // links that were reached; at most one entry each
  bool turn_taken_ = false;
  reach_peer reach_;
  caf::io::middleman_actor transport_;
  std::vector<peer_listener_handle> told_;
  std::shared_ptr<link_metrics> metrics_;
};

/// Keeps a link to every member but this node (`settings.listen`), tells each of `told` peer_up and
/// peer_down, and tries again about every `settings.reconnect_interval_ms`, or when told by the
/// gate, with (connect_atom, address), that the peer has greeted this node. `members`: the cluster
/// addresses of all nodes by number, as in placement; valid addresses. placement_changed brings
/// others; a link to one that is no member any more stays until its peer goes. `drain` ends it.
/// Needs the middleman. `transport` as for publish_handshake_acceptor. `reach` is called
/// on threads of its own, for several links at once.
peer_links_self::behavior_type
peer_connector(peer_links_self::stateful_pointer<peer_connector_state> self,
               cluster_settings settings, std::vector<std::string> members,
               std::vector<peer_listener_handle> told, reach_peer reach,
               std::shared_ptr<link_metrics> metrics, caf::io::middleman_actor transport);

} // namespace penstock
