// The requests of one loop turn that share a limiter, on their way from socket to disk.
#pragma once

#include "actors/messages.hpp"
#include "net/event_body.hpp"
#include "net/problem.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

class session;

/// A request that waits for its verdict, and then perhaps for the disk.
struct waiting_request {
  session* from = nullptr;
  std::uint32_t generation = 0;  ///< of the session, which may be used again meanwhile
  std::uint32_t exchange = 0;
  std::uint32_t block = 0;       ///< index into turn_batch::blocks
  std::uint32_t first = 0;       ///< its first event in that block
  std::uint32_t count = 0;       ///< its events: valid ones before the verdict, granted ones after
  std::uint32_t details = no_details;  ///< index into turn_batch::details
  bool keep_alive = true;
  bool http_1_0 = false;
  bool answered = false;
  bool received = false;  ///< ack = "received": answered as soon as it is admitted
  verdict state{};
  std::int64_t start_ns = 0;

  static constexpr std::uint32_t no_details = ~0u;
};

/// What only some requests have: a batch's lines, or an error that was found before the limiter
/// was asked (it is asked all the same, for no event, so that the answer tells the client its limits).
struct request_details {
  bool is_batch = false;
  bool wants_ids = false;  ///< Prefer: return=representation
  std::uint32_t lines = 0;
  std::uint32_t offered = 0;  ///< valid lines, before the verdict
  std::vector<line_error> bad_lines;
  std::optional<problem> failure;
};

/// Bodies are copied once, from the socket's buffer into the block of their stream, and stay there
/// until they are on the disk. Requests, items and verdicts are in the same order.
struct turn_batch {
  std::uint64_t token = 0;
  std::uint16_t destination = 0;
  std::int64_t sent_ns = 0;        ///< when the limiter was asked, for the verdict timeout
  std::size_t memory_bytes = 0;    ///< counted against max_in_flight
  std::vector<admit_item> items;
  std::vector<std::uint32_t> sizes;  ///< see admit_request
  std::vector<waiting_request> requests;
  std::vector<request_details> details;
  std::vector<block_ptr> blocks;
};

} // namespace penstock
