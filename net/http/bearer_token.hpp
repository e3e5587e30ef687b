// The admin plane's token.
#pragma once

#include <array>
#include <string_view>

namespace penstock {

/// Compares what a request presents with the configured token in a time that tells nothing of it:
/// digests of both are compared. Immutable.
class bearer_token {
 public:
  /// An empty token admits everyone (only on loopback; the configuration sees to that).
  explicit bearer_token(std::string_view token);

  /// `authorization`: the header's value, e.g. "Bearer abc".
  bool admits(std::string_view authorization) const;
  /// Whether `token` itself is the configured one, or none is.
  bool is(std::string_view token) const;
  /// False when everyone is admitted.
  bool is_set() const { return !open_; }

 private:
  using digest = std::array<unsigned char, 32>;
  static digest sha256(std::string_view text);

  bool open_;
  digest expected_;
};

} // namespace penstock
