#include "net/admin/sessions.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>

namespace penstock {

admin_sessions::digest admin_sessions::digest_of(std::string_view session) {
  digest out;
  SHA256(reinterpret_cast<const unsigned char*>(session.data()), session.size(), out.data());
  return out;
}

std::string admin_sessions::begin(std::int64_t now_ms) {
  std::array<unsigned char, 32> random;
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) return {};
  constexpr std::string_view digits = "0123456789abcdef";
  std::string session;
  for (const auto byte : random) {
    session += digits[byte >> 4];
    session += digits[byte & 15];
  }
  if (by_end_.size() >= max_admin_sessions) by_end_.erase(by_end_.begin());
  const auto life_ms = std::chrono::milliseconds{admin_session_life}.count();
  by_end_.emplace(now_ms + life_ms, digest_of(session));
  return session;
}

bool admin_sessions::knows(std::string_view session, std::int64_t now_ms) const {
  const auto wanted = digest_of(session);
  bool found = false;
  for (const auto& [end_ms, known] : by_end_) {
    const bool same = CRYPTO_memcmp(known.data(), wanted.data(), wanted.size()) == 0;
    found |= same && now_ms < end_ms;
  }
  return found;
}

void admin_sessions::end(std::string_view session) {
  const auto wanted = digest_of(session);
  std::erase_if(by_end_, [&](const auto& entry) { return entry.second == wanted; });
}

// As a leaky bucket: each wrong token moves the time at which all are forgotten.
bool admin_sessions::may_log_in(std::int64_t now_ms) const {
  const auto step_ms = std::chrono::milliseconds{wrong_login_interval}.count();
  return paid_until_ms_ - now_ms <= (max_wrong_logins - 1) * step_ms;
}

void admin_sessions::note_wrong_login(std::int64_t now_ms) {
  const auto step_ms = std::chrono::milliseconds{wrong_login_interval}.count();
  paid_until_ms_ = std::max(paid_until_ms_, now_ms) + step_ms;
}

std::string session_cookie_name(std::uint16_t port) {
  return "penstock_session_" + std::to_string(port);
}

std::string_view cookie_in(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    const auto end = header.find(';');
    auto pair = header.substr(0, end);
    header = end == header.npos ? std::string_view{} : header.substr(end + 1);
    while (pair.starts_with(' '))
      pair.remove_prefix(1);
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

std::string session_cookie(std::uint16_t port, std::string_view session, bool tls) {
  std::string out = session_cookie_name(port) + "=" + std::string{session};
  const auto life_s = std::chrono::seconds{admin_session_life}.count();
  out += "; Path=/; HttpOnly; SameSite=Strict; Max-Age=";
  out += std::to_string(session.empty() ? 0 : life_s);
  if (tls) out += "; Secure";
  return out;
}

} // namespace penstock
