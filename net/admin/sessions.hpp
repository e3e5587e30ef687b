// Browsers that were shown the admin token.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace penstock {

/// Sessions at once; with another one the oldest ends.
inline constexpr std::size_t max_admin_sessions = 64;
inline constexpr std::chrono::hours admin_session_life{12};
/// Wrong tokens that forms may bring at once, and how long it takes until one more may come.
inline constexpr std::uint32_t max_wrong_logins = 10;
inline constexpr std::chrono::seconds wrong_login_interval{1};

/// A session is a random number that its browser keeps; here only its digest is kept. They end
/// with the node, and so with its token. Pure but for the random numbers; `now_ms` is of a clock
/// that only goes forward. Not synchronised.
class admin_sessions {
 public:
  /// What the browser is to keep: 64 hexadecimal digits. Empty if the machine has no randomness.
  std::string begin(std::int64_t now_ms);
  /// In a time that tells nothing of the sessions there are.
  bool knows(std::string_view session, std::int64_t now_ms) const;
  void end(std::string_view session);
  std::size_t count() const { return by_end_.size(); }

  /// False when too many wrong tokens came lately.
  bool may_log_in(std::int64_t now_ms) const;
  void note_wrong_login(std::int64_t now_ms);

 private:
  using digest = std::array<unsigned char, 32>;
  static digest digest_of(std::string_view session);

  std::multimap<std::int64_t, digest> by_end_; // by when they end
  std::int64_t paid_until_ms_ = 0;             // wrong logins so far are forgotten then
};

/// The cookie's name has the port, as a browser has one jar for all ports of a host.
std::string session_cookie_name(std::uint16_t port);
/// What a Cookie header says for `name`; empty if nothing.
std::string_view cookie_in(std::string_view header, std::string_view name);
/// Set-Cookie that keeps `session`, or with an empty one drops it.
std::string session_cookie(std::uint16_t port, std::string_view session, bool tls);

} // namespace penstock
