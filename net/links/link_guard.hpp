// What may come over a link, looked at before CAF reads it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// The most bytes of a handshake and of what CAF says to CAF: who watches whom, who has ended.
inline constexpr std::size_t max_link_control_bytes = 16 << 10;

/// For one connection. CAF's protocol (BASP, io/basp of CAF 0.17) trusts who speaks it: a handshake
/// without a payload ends the process, a length is memory, a message may be of any type that
/// either program knows, those that never leave a node included. This lets pass what peers of ours
/// say, and nothing else. One thread; pure.
class link_guard {
 public:
  /// `max_message_bytes`: of one message.
  explicit link_guard(std::size_t max_message_bytes) : max_message_bytes_(max_message_bytes) {}

  /// Called with what the connection's broker is to have next: a header, or the payload that the
  /// header before it announced. False: it is nothing that a peer says; the connection must end,
  /// and nothing may be asked any more.
  bool admits(std::string_view piece);

 private:
  enum class part : std::uint8_t { header, handshake, control, message, named_message };

  bool admits_header(std::string_view header);
  bool admits_handshake(std::string_view payload);
  bool take_route(std::string_view& payload) const;
  bool admits_message(std::string_view payload, bool is_named) const;

  std::size_t max_message_bytes_;
  part next_ = part::header;
  std::size_t payload_bytes_ = 0; // of what is next
  bool is_routed_ = false;        // a node passes it on for another one
  std::string greeting_;          // the payload of the handshake; empty: it has not come
};

} // namespace penstock
