// Batches as a series of HTTP requests, and what each of them came to.
#pragma once

#include "actors/delivery/sink.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// What a request's answer says of its events.
struct request_outcome {
  std::vector<settled_as> events; ///< one for each event of the request, in their order
  /// The request was refused as a whole for what is in it, which says nothing of which event: all
  /// of `events` are refused, and of several it may be one.
  bool refused_as_whole = false;
  std::string refusal{};
  std::string failure{};
  std::chrono::milliseconds pause_ms{0};
  failure_scope scope = failure_scope::sink; ///< as in delivery

  static request_outcome all(std::size_t events, settled_as how, std::string why = {});
  static request_outcome whole_refusal(std::size_t events, std::string why);
};

/// Events of a batch as they will be sent, back to back.
struct encoded_events {
  struct piece {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t counted_bytes = 0; ///< as the server counts its limits
    std::string refusal{};         ///< not empty: it can never be sent, for this reason
  };
  std::string text;
  std::vector<piece> pieces; ///< one an event

  std::string_view of(std::size_t event) const {
    const auto& place = pieces[event];
    return std::string_view{text}.substr(place.begin, place.end - place.begin);
  }
};

struct request_limits {
  std::size_t max_events = 1;
  std::size_t max_bytes = 1u << 20; ///< of counted_bytes; one event may be more
  /// Nothing of a client is sent after what failed or what the server refused, and what is
  /// delivered all the same counts as failed.
  bool keeps_order = true;
};

/// The most requests that one batch may become; what is left then fails and comes again.
inline constexpr std::size_t max_requests_per_batch = 256;

/// Sends these events of the batch (indexes, in order) and waits for the answer.
using request_sender = std::function<request_outcome(std::span<const std::uint32_t>)>;

/// Sends a batch in as few requests as the limits allow, in order, until one fails. A request that
/// is refused as a whole is halved until those that are guilty are found, so that the others get
/// through.
delivery deliver_in_requests(const sink_batch& batch, const encoded_events& encoded,
                             const request_limits& limits, const request_sender& send);

/// The start of what a server says, on one line of printable characters: for reasons.
std::string quoted_words(std::string_view text, std::size_t max_bytes = 200);

} // namespace penstock
