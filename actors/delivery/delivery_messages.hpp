// Messages between publishers, their lanes, the keeper of dead letters and replays: within a node.
#pragma once

#include "actors/delivery/sink.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "storage/stores/dead_letter.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// To a lane: deliver this. Answered to the sender with lane_delivered.
struct lane_deliver {
  std::uint64_t token = 0;
  sink_batch batch;
};
using lane_deliver_ptr = std::shared_ptr<const lane_deliver>;
struct lane_delivered {
  std::uint32_t lane = 0;
  std::uint64_t token = 0;
  delivery outcome;
  std::uint64_t took_us = 0;
};

/// To a publisher: send these events (again), beside its streams and without moving a cursor; at
/// most max_again_events. Answered with again_done when each of them is delivered or refused for
/// good; those that fail are tried on, however long that takes.
struct deliver_again {
  sink_batch batch;
};
using deliver_again_ptr = std::shared_ptr<const deliver_again>;
inline constexpr std::size_t max_again_events = 1000;
/// Not `ok`: the node is draining, or as many are under way as may be; nothing is known then of the
/// events that `events` says nothing about.
struct again_done {
  bool ok = true;
  error why;
  std::vector<settled_as> events;   ///< as in the request
  std::vector<std::string> reasons; ///< of the refused ones, in their order
};

/// From a publisher: keep these dead letters. Answered with dead_letters_stored when they are
/// durable, or not.
struct store_dead_letters {
  std::vector<dead_letter> letters;
};
using store_dead_letters_ptr = std::shared_ptr<const store_dead_letters>;
struct dead_letters_stored {
  bool ok = true;
  error why;
};

/// To a publisher whose node drains, as often as one likes: from now on try a sink that is away
/// more often, since time is short. Answered with publish_left, of that moment.
struct publish_rest {};
struct publish_left {
  std::uint64_t events = 0; ///< durable, and not settled by the sink
  bool is_open = false;     ///< its breaker is, or those of all streams that are left
};

/// From a front end, to each publisher that a stream feeds: tell me when your sink has these
/// events. One message a stream, front end and turn; its items are in the order of their numbers.
/// Each item is answered to `front_end` once, in a published_update. The events are durable, so
/// that the sink may have them already.
struct await_published {
  struct item {
    std::uint64_t token = 0;
    std::uint64_t client = 0; ///< of all its events: they go through one lane
    std::uint64_t first_seq = 0;
    std::uint64_t last_seq = 0;
  };
  std::string stream;
  std::vector<item> items;
  /// The front end waits no longer than this from when it sent; then the publisher may forget them.
  std::chrono::milliseconds timeout_ms{0};
  front_end_handle front_end;
};
using await_published_ptr = std::shared_ptr<const await_published>;
/// A front end waits for no more requests than this; one that is over is done at once.
inline constexpr std::size_t max_publish_waits = 65'536;
/// One message for all that a publisher's step settled.
struct published_update {
  struct item {
    std::uint64_t token = 0;
    bool published = true; ///< false: an event of them is a dead letter now
  };
  std::vector<item> items;
};

} // namespace penstock

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::lane_deliver_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::lane_delivered)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::deliver_again_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::again_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::store_dead_letters_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::dead_letters_stored)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::await_published_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::published_update)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::publish_rest)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(penstock::publish_left)

CAF_BEGIN_TYPE_ID_BLOCK(penstock_delivery, caf::first_custom_type_id + 130)
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::lane_deliver_ptr))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::lane_delivered))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::deliver_again_ptr))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::again_done))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::store_dead_letters_ptr))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::dead_letters_stored))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::await_published_ptr))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::published_update))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::publish_rest))
CAF_ADD_TYPE_ID(penstock_delivery, (penstock::publish_left))
CAF_END_TYPE_ID_BLOCK(penstock_delivery)
