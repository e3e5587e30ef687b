// One TLS connection between two nodes.
#pragma once

#include "net/links/tls_context.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace penstock {

/// How far an operation on a socket that does not block has come.
enum class tls_step : std::uint8_t { done, wants_read, wants_write, failed };

/// Why a connection failed.
struct tls_fault {
  std::string what; ///< a sentence about the peer, "it …"
  /// One side does not accept the other, which takes a change of certificates or settings to mend.
  bool refusal = false;
};

/// TLS over a connected socket that does not block and that its user closes later. One thread at a
/// time. The process must ignore SIGPIPE.
class tls_session {
 public:
  /// `accepted`: the peer connected to us.
  tls_session(const tls_context& context, int socket, bool accepted);

  /// The handshake, and a greeting from the side that accepted: in TLS 1.3 the side that connects
  /// is done before the other has looked at its certificate, and would not learn of a refusal.
  /// To be called again when the socket can do what it wants, until done or failed.
  tls_step open();

  /// Reads or writes a part: 1 to `size` bytes when done. `size` > 0.
  tls_step read(void* into, std::size_t size, std::size_t& count);
  tls_step write(const void* from, std::size_t size, std::size_t& count);

  /// Whether a read might give something though the socket has nothing.
  bool has_pending() const { return SSL_has_pending(ssl_.get()) == 1; }
  /// Whether the peer has sent anything at all.
  bool heard() const;
  /// After a failure.
  const tls_fault& fault() const { return fault_; }

 private:
  tls_step outcome(int returned);
  tls_step greet();
  tls_step await_greeting();

  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  bool accepted_;
  bool shaken_ = false;
  std::string greeting_; // what came of it
  tls_fault fault_;
};

} // namespace penstock
