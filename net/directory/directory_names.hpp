// What buckets and keys of the directory are called in NATS, which allows fewer characters than
// addresses and names have.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// The longest text that becomes a key; encoded it is three times as long at most.
inline constexpr std::size_t max_directory_key_bytes = 256;

/// "penstock_CLUSTER_WHAT". The name of a cluster may have dots, a bucket's may not: such a one
/// gets dashes for dots, and a hash, so that no other cluster has it.
std::string directory_bucket(std::string_view cluster, std::string_view what);

/// "127.0.0.1:4200" becomes "127.0.0.1=3A4200": bytes that no key may have, '=', and dots that
/// would stand at an end or side by side, are hexadecimal after '='. Empty when the text is empty
/// or too long.
std::string encode_directory_key(std::string_view text);
/// Nothing when the key is not what encode_directory_key() gives for any text.
std::optional<std::string> decode_directory_key(std::string_view key);

} // namespace penstock
