// What a client sends to have a repeat recognised, and the hashes it is known by inside.
#pragma once

#include "storage/events/idempotency.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

inline constexpr std::size_t max_idempotency_key_chars = 255;

/// The value of an Idempotency-Key field: a quoted string (RFC 9651, section 3.3.3), unquoted, or
/// bare. Nothing if it is neither, is empty, too long, or has other than printable ASCII.
std::optional<std::string> parse_idempotency_key(std::string_view field);

/// Hashes keys and contents with the cluster's secret, so that all nodes know a key by the same
/// bits, and nobody outside can aim at them: XXH3 with a secret of 192 bytes.
class idempotency_hasher {
 public:
  static constexpr std::size_t secret_bytes = 192;
  /// Every node of a cluster has the same `secret`; it is stretched with SHA-256 in counter mode.
  explicit idempotency_hasher(std::string_view secret);

  /// Of an Idempotency-Key.
  idempotency_key of_header(std::uint64_t client, std::string_view key) const;
  /// Of a CloudEvent.
  idempotency_key of_event(std::uint64_t client, std::string_view source,
                           std::string_view id) const;
  /// Of one that a Penstock passed on, by its id there: clients of that may use the same source and
  /// id.
  idempotency_key of_relayed(std::uint64_t client, std::string_view relayed_id) const;
  /// Of what was sent; parts are kept apart.
  std::uint64_t of_content(std::initializer_list<std::string_view> parts) const;

 private:
  std::array<char, secret_bytes> secret_;
};

} // namespace penstock
