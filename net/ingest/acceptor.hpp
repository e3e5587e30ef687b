// The listening socket of a front end, and its connections: who is let in, whose turn it is, who is
// let go.
#pragma once

#include "net/base/network.hpp"
#include "net/clients/identity.hpp"
#include "net/http/address_counts.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/session.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/loop/event_loop.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace penstock {

/// Session objects are used again and again; there are as many as ever were open at one time, at
/// most http.max_connections. Not synchronised.
class acceptor final : public io_handler {
 public:
  /// `handler`: takes the sessions' requests. `per_address`: of the node; null: not counted. All
  /// outlive it.
  acceptor(lane_context& lane, const http_settings& http, request_handler& handler,
           const identifier& identify, std::shared_ptr<address_counts> per_address);
  ~acceptor();

  /// Takes over a listening, non-blocking socket, which is looked at from start_listening() on.
  void take_listener(int fd) { unopened_fd_ = fd; }
  void start_listening();
  /// The listening socket has connections.
  void on_io(std::uint32_t events) override;

  // -- what sessions tell -------------------------------------------------------------------------

  /// It has bytes to send at the end of the turn.
  void on_output(session& from) { to_flush_.push_back(&from); }
  /// It has had its share of this turn.
  void on_more(session& from);
  void on_closed(session& from);

  // -- turns --------------------------------------------------------------------------------------

  /// All ready sockets were read: those that had more than their share before go on.
  void let_go_on();
  /// Sends what there is to send, which may bring further requests.
  void flush();
  /// Sessions that closed in this turn may be used again.
  void end_turn();
  /// Deadlines, slow clients, and a listening socket that had to pause.
  void on_tick();
  /// Stops listening; connections close when they are idle.
  void drain();

 private:
  /// A connection that waits for a later turn; another generation: it is gone.
  struct waiting_session {
    session* who;
    std::uint32_t generation;
  };

  void accept_all();
  void take_or_close(int fd, const ip_address& peer);
  void adopt(int fd, const ip_address& peer);
  void pause();
  void resume();
  void let_go_of_slow_clients();

  lane_context& lane_;
  const identifier& identify_;
  std::shared_ptr<address_counts> per_address_;
  session_environment env_;
  int listen_fd_ = -1;
  int unopened_fd_ = -1; // the same before start_listening()
  bool accepting_ = true;
  std::vector<std::unique_ptr<session>> sessions_; // all that ever were open; reused
  std::vector<session*> free_sessions_;
  std::vector<session*> closed_; // of this turn: free at its end
  std::vector<session*> to_flush_;
  std::deque<waiting_session> to_go_on_; // in the order in which they had their share
};

} // namespace penstock
