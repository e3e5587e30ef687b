// Where CAF's brokers, which carry the links between nodes, run: on an event loop of ours.
#pragma once

#include "actors/system_config.hpp"
#include "net/loop/event_loop.hpp"

#include <caf/io/network/multiplexer.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace penstock {

class link_connection;

/// In place of CAF's default multiplexer. The thread that CAF starts for it runs an event loop, and
/// a node's first lane lives there, too: what limiters of two nodes ask each other wakes the
/// thread that reads the socket and no other. Connections and doors come from
/// cluster_transport, not from CAF's calls for them, which all fail here.
class link_multiplexer final : public caf::io::network::multiplexer, private loop_client {
 public:
  /// What a connection reads at once.
  static constexpr std::size_t receive_bytes = 64 << 10;
  /// Of peers that take nothing so much is kept together. A link is lost that has more waiting than
  /// is left for others: one alone at half of this, two at a third each. What nodes have under way
  /// with each other is bounded in messages, far below this.
  static constexpr std::size_t max_unsent_bytes = 512 << 20;

  /// Connections of peers, and of who wants to be one, at a time; more are closed at once.
  static constexpr std::size_t max_connections = 1024;
  /// The longest message that is taken in; who announces a longer one is cut off.
  static constexpr std::size_t max_message_bytes = 520 << 20;

  explicit link_multiplexer(caf::actor_system* system);
  ~link_multiplexer() override;

  /// Of a system whose configuration is a linked_system_config with links.
  static link_multiplexer& of(caf::actor_system& system);

  event_loop& loop() { return loop_; }

  // -- on the loop's thread, for its connections --------------------------------------------------
  std::array<char, receive_bytes>& receive_buffer() { return receive_buffer_; }
  /// A connection says that its unsent bytes are now so many. False: they are too many.
  bool count_unsent(std::size_t before, std::size_t now);
  std::size_t message_bytes_limit() const { return message_bytes_limit_; }
  /// Before anybody is linked.
  void limit_message_bytes(std::size_t most) { message_bytes_limit_ = most; }
  /// For tests; likewise.
  void limit_connections(std::size_t most) { connections_limit_ = most; }
  bool has_room() const { return connections_ < connections_limit_; }
  void count_connection(bool opened) { opened ? ++connections_ : --connections_; }
  /// Of all connections together; any thread.
  std::size_t unsent_bytes() const { return unsent_bytes_.load(std::memory_order_relaxed); }
  /// Before anybody is linked.
  void limit_unsent_bytes(std::size_t most) { unsent_bytes_limit_ = most; }
  /// Calls end_turn() of it when all actors have run: what they all wrote leaves at once.
  void attend(link_connection& connection);
  /// Keeps it until nothing of the turns so far may refer to it or to its descriptor.
  void let_go(caf::intrusive_ptr<caf::ref_counted> closed) { closed_.push_back(std::move(closed)); }

  // -- caf::io::network::multiplexer --------------------------------------------------------------
  void exec_later(caf::resumable* job) override;
  supervisor_ptr make_supervisor() override;
  bool try_run_once() override;
  void run_once() override;
  void run() override { loop_.run(); }
  caf::io::scribe_ptr new_scribe(caf::io::network::native_socket) override { return nullptr; }
  caf::expected<caf::io::scribe_ptr> new_tcp_scribe(const std::string&, std::uint16_t) override;
  caf::io::doorman_ptr new_doorman(caf::io::network::native_socket) override { return nullptr; }
  caf::expected<caf::io::doorman_ptr> new_tcp_doorman(std::uint16_t, const char*, bool) override;
  caf::io::datagram_servant_ptr new_datagram_servant(caf::io::network::native_socket) override;
  caf::io::datagram_servant_ptr
  new_datagram_servant_for_endpoint(caf::io::network::native_socket,
                                    const caf::io::network::ip_endpoint&) override;
  caf::expected<caf::io::datagram_servant_ptr> new_remote_udp_endpoint(const std::string&,
                                                                       std::uint16_t) override;
  caf::expected<caf::io::datagram_servant_ptr> new_local_udp_endpoint(std::uint16_t, const char*,
                                                                      bool) override;

 private:
  // loop_client
  void after_io() override {}
  void end_turn() override;
  void on_tick() override {}

  event_loop loop_;
  std::array<char, receive_bytes> receive_buffer_;
  std::size_t unsent_bytes_limit_ = max_unsent_bytes;
  std::size_t message_bytes_limit_ = max_message_bytes;
  std::size_t connections_limit_ = max_connections;
  std::size_t connections_ = 0;              // in the loop
  std::atomic<std::size_t> unsent_bytes_{0}; // written by the loop's thread
  std::vector<caf::intrusive_ptr<link_connection>> attended_;
  std::vector<caf::intrusive_ptr<caf::ref_counted>> closed_, closed_before_;
};

/// The configuration of a node; with `with_links` it can have peers, by cluster_transport.
class linked_system_config final : public system_config {
 public:
  explicit linked_system_config(std::size_t threads, bool with_links = true);
};

} // namespace penstock
