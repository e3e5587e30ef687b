// What a repeated request is recognised by, as it is kept with the events.
#pragma once

#include <cstdint>
#include <functional>

namespace penstock {

/// A keyed hash of a client and of the key that it chose; nothing can be told from it.
struct idempotency_key {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const idempotency_key&) const = default;
};

/// A key and the events of a block that were accepted under it.
struct block_key {
  idempotency_key key;
  std::uint64_t content = 0; ///< hash of what was sent, so that another request is told from it
  std::uint32_t first = 0;   ///< index of its first event
  std::uint32_t count = 0;
};

/// The same once it is in the journal.
struct idempotency_record {
  idempotency_key key;
  std::uint64_t content = 0;
  std::uint64_t seq = 0; ///< of its first event
  std::uint32_t count = 0;
  std::int64_t time_ms = 0; ///< when it was accepted, since the Unix epoch
};

using record_visitor = std::function<void(const idempotency_record&)>;

/// About how many bytes of a segment a record takes.
inline constexpr std::uint64_t idempotency_row_bytes = 64;

} // namespace penstock
