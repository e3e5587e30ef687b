// Requests whose events are durable, and that are answered when the stream's sinks have them.
#pragma once

#include "actors/delivery/delivery_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/ingest/turn_batch.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace penstock {

/// What its answer needs: the bodies are let go of once they are on the disk.
struct publish_wait {
  waiting_request request;
  request_details details;             ///< if request.details says that there are any
  std::shared_ptr<served_plans> plans; ///< keeps request.plan alive
  unpublished_policy policy = unpublished_policy::accept;
  std::uint64_t first_seq = 0; ///< of its events that were stored here
  std::size_t sinks = 0;       ///< that have not said yet that they have them
  std::int64_t deadline_ns = 0;

  std::size_t memory_bytes() const;
};

/// By token and by deadline. Not synchronised.
class publish_waits {
 public:
  bool empty() const { return waits_.empty(); }
  std::size_t size() const { return waits_.size(); }
  std::size_t bytes() const { return bytes_; }

  void add(std::uint64_t token, std::unique_ptr<publish_wait> wait);
  /// The wait of that token; null: it is over.
  publish_wait* find(std::uint64_t token);
  /// Takes it out; null: it is over.
  std::unique_ptr<publish_wait> take(std::uint64_t token);
  /// Takes out one whose deadline has passed, the earliest first; null: there is none.
  std::unique_ptr<publish_wait> take_due(std::int64_t now_ns);
  /// The earliest deadline; there is one unless empty().
  std::int64_t next_deadline_ns() const { return deadlines_.begin()->first; }
  template <class Wanted>
  std::vector<std::uint64_t> tokens_if(Wanted wanted) const {
    std::vector<std::uint64_t> tokens;
    for (const auto& [token, wait] : waits_)
      if (wanted(*wait)) tokens.push_back(token);
    return tokens;
  }
  /// No deadline is later than this from now on.
  void end_by(std::int64_t latest_ns);

 private:
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<publish_wait>> waits_;
  std::set<std::pair<std::int64_t, std::uint64_t>> deadlines_; // with the token
  std::int64_t latest_ns_ = std::numeric_limits<std::int64_t>::max();
  std::size_t bytes_ = 0;
};

} // namespace penstock
