// Publishers that fetch what is durable: from the rows of late, else when there is more.
#pragma once

#include "actors/base/memory_budget.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/journal/recent_blocks.hpp"
#include "storage/events/event_block.hpp"

#include <caf/response_promise.hpp>
#include <caf/result.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace penstock {

/// Not synchronised: the journal actor has it.
class row_fetches {
 public:
  /// `durable_seq`: what lies up to here is in segments only. `promise`: of the message that is
  /// being handled. `send`: tells a publisher of a stream.
  row_fetches(std::size_t recent_bytes, std::uint64_t durable_seq,
              std::shared_ptr<memory_budget> recent, std::function<caf::response_promise()> promise,
              std::function<void(const publisher_handle& to, stream_seen what)> send);

  caf::result<fetch_reply> fetch(const fetch_request& request);
  /// Tells it each stream that gets its first event, those of before too.
  void watch(const publisher_handle& publisher);
  /// Answers who waits for events of that stream.
  void forget(const std::string& stream);
  /// Rows that are durable now, of streams that somebody fetches.
  void publish(const std::vector<const_block_ptr>& rows);

 private:
  struct waiter {
    caf::response_promise promise;
    std::uint64_t after_seq = 0;
  };

  recent_blocks recent_;
  budget_share recent_share_;
  std::function<caf::response_promise()> promise_;
  std::function<void(const publisher_handle& to, stream_seen what)> send_;
  std::map<std::string, std::vector<waiter>> waiters_; // one a publisher and stream
  std::set<std::string> seen_;                         // streams that got events
  std::vector<publisher_handle> watchers_;             // are told of those
};

} // namespace penstock
