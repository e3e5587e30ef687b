// A connection between two nodes, and the port at which they arrive, on an event loop.
#pragma once

#include "net/links/link_guard.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/links/tls_session.hpp"

#include <caf/io/doorman.hpp>
#include <caf/io/scribe.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// Carries CAF's BASP for the broker that it belongs to, in the clear or by TLS. What is there is
/// read at once, headers and payloads of several messages; what actors of a turn send leaves in one
/// piece, at once unless the kernel takes no more.
class link_connection final : public caf::io::scribe, public io_handler {
 public:
  /// Takes over the socket, which is connected. `session`: null for plain TCP.
  link_connection(link_multiplexer& links, int socket, std::unique_ptr<tls_session> session);
  ~link_connection() override;

  /// The multiplexer calls it after attend().
  void end_turn();

  // caf::io::scribe. Brokers of peers want exact numbers of bytes, and no news of what was sent.
  void configure_read(caf::io::receive_policy::config config) override;
  void ack_writes(bool) override {}
  std::vector<char>& wr_buf() override { return written_; }
  std::vector<char>& rd_buf() override { return received_; }
  void flush() override;
  void graceful_shutdown() override;
  std::string addr() const override;
  std::uint16_t port() const override;
  void add_to_loop() override;
  void remove_from_loop() override;

  // io_handler
  void on_io(std::uint32_t epoll_events) override;

 private:
  void receive();
  void take(const char* data, std::size_t size);
  bool send();
  void attend();
  tls_step read(char* into, std::size_t size, std::size_t& count);
  tls_step write(const char* from, std::size_t size, std::size_t& count);

  link_multiplexer& links_;
  int socket_;
  std::unique_ptr<tls_session> session_;
  bool in_loop_ = false;
  bool was_configured_ = false;
  bool attended_ = false;     // end_turn() will be called
  bool reads_on_ = false;     // there is more than was read, and the socket may not tell
  bool awaits_space_ = false; // the kernel takes no more
  std::size_t wanted_ = 1;    // bytes that the broker gets at once
  link_guard guard_;
  std::vector<char> received_;     // of these
  std::vector<char> written_;      // by the broker
  std::vector<char> sending_;      // what it had written before
  std::size_t sent_ = 0;           // of sending_
  std::size_t counted_unsent_ = 0; // of both, as told to the multiplexer
};

/// The cluster port. Begins to listen when its broker takes it.
class link_door : public caf::io::doorman, public io_handler {
 public:
  /// Takes over the socket, which listens.
  link_door(link_multiplexer& links, int socket);
  ~link_door() override;

  // caf::io::doorman
  bool new_connection() override { return false; } // for loops of CAF's
  void launch() override { add_to_loop(); }
  void graceful_shutdown() override;
  std::string addr() const override;
  std::uint16_t port() const override;
  void add_to_loop() override;
  void remove_from_loop() override;

  // io_handler
  void on_io(std::uint32_t) override { accept_all(); }

 protected:
  /// A connection came; on the loop's thread. The socket does not block.
  virtual void accepted(int socket) { let_in(socket, nullptr); }
  /// Shows it to the broker. On the loop's thread.
  void let_in(int socket, std::unique_ptr<tls_session> session);
  link_multiplexer& links() { return links_; }

 private:
  void accept_all();

  link_multiplexer& links_;
  int socket_;
  bool in_loop_ = false;
};

} // namespace penstock
