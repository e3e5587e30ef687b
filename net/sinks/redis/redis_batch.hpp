// A batch as one Redis transaction, and what its answers mean. Pure.
#pragma once

#include "actors/delivery/sink.hpp"
#include "net/sinks/outgoing_form.hpp"
#include "net/sinks/redis/redis_protocol.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace penstock {

/// Where a batch goes.
struct redis_target {
  std::string key{};         ///< of the stream
  std::string cursor{};      ///< key of the lane's cursor; empty: the batch moves none
  std::uint64_t max_len = 0; ///< 0: nothing is trimmed

  bool has_cursor() const { return !cursor.empty(); }
};

/// The key under which a lane notes the last sequence number that it wrote to the stream `key`:
/// `{KEY}:penstock:STREAM:TAG:LANE`, without the braces where KEY has a hash tag of its own. So it
/// lies in the slot of the stream in a Redis cluster.
std::string redis_cursor_key(std::string_view key, const sink_batch& batch);

/// How many replies append_redis_watch() makes.
inline constexpr std::size_t redis_watch_replies = 3;
/// WATCH and GET of the cursor, TYPE of the stream. What is sent later in a transaction is then
/// taken only if the cursor is still what GET said.
void append_redis_watch(std::string& out, const redis_target& to);
/// The cursor; 0 if there is none yet. Errors: unavailable, with what Redis said or found;
/// not_found when the key holds something else than a stream.
result<std::uint64_t> read_redis_watch(std::span<const redis_reply> replies);

/// Appends the transaction with the events from `first` on; gives how many replies it makes.
std::size_t append_redis_transaction(std::string& out, outgoing_form& form, const sink_batch& batch,
                                     std::size_t first, const redis_target& to);

struct redis_outcome {
  bool moved = false;     ///< the cursor, by someone else, so nothing was taken
  bool committed = false; ///< the transaction was carried out
  std::size_t taken = 0;  ///< events from the front
  std::string why{};      ///< not all were: what Redis said of the first that was not
};
/// `events`: how many were sent in it.
redis_outcome read_redis_transaction(std::span<const redis_reply> replies, std::size_t events);

/// What Redis said, and what to do about it.
std::string redis_complaint(std::string_view error);

} // namespace penstock
