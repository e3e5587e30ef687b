// The handshakes of nodes that connect to the cluster port, on a thread of their own: only a peer
// that has proved itself is shown to the rest of the node.
#pragma once

#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "net/links/tls_session.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace penstock {

/// Handshakes under way at once; one more ends the oldest. A peer needs milliseconds for its own,
/// so connections that say nothing do not keep it out.
inline constexpr std::size_t max_handshakes = 128;
/// How long a peer may take for its handshake.
inline constexpr std::chrono::milliseconds handshake_timeout{3000};

class tls_handshakes {
 public:
  /// Takes over the socket. Called on the thread of the handshakes.
  using welcome = std::function<void(int socket, std::unique_ptr<tls_session> session)>;

  tls_handshakes(std::shared_ptr<const tls_contexts> contexts,
                 std::shared_ptr<handshake_metrics> metrics);
  ~tls_handshakes();
  tls_handshakes(const tls_handshakes&) = delete;
  tls_handshakes& operator=(const tls_handshakes&) = delete;

  /// Takes over an accepted socket, and gives it to `then` when the peer has proved itself; else
  /// closes it, and tells the log. Any thread.
  void begin(int socket, welcome then);

  /// Ends the thread; sockets that are not handed over by then are closed. Any thread but its own.
  void stop();

 private:
  using clock = std::chrono::steady_clock;

  struct peer {
    int socket = -1;
    std::string from;
    welcome then;
    std::unique_ptr<tls_session> session; // null: refused, and about to close
    clock::time_point since, deadline;
    short events = 0;
    bool over = false;
  };

  void run();
  void take_new();
  void advance(peer& one);
  void refuse(peer& one, const tls_fault& fault);
  void end_overdue(peer& one);
  void close(peer& one);
  void tell(const peer& one, const std::string& why);
  int wait_ms() const;

  std::shared_ptr<const tls_contexts> contexts_;
  std::shared_ptr<handshake_metrics> metrics_;
  std::vector<peer> peers_; // the oldest first; of the thread alone
  clock::time_point telling_since_;
  std::set<std::string> told_; // since then: who and why
  std::uint64_t not_told_ = 0;

  std::mutex mutex_;
  std::vector<peer> new_;         // at most max_handshakes, the oldest first
  std::uint64_t passed_over_ = 0; // more came before the thread looked, which counts them
  bool stopping_ = false;
  int wake_ = -1; // an eventfd
  std::thread thread_;
};

} // namespace penstock
