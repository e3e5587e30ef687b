#include "actors/delivery/delivery_lane.hpp"

#include "actors/base/fail_fast.hpp"

namespace penstock {

delivery_lane_handle::behavior_type delivery_lane(delivery_lane_handle::pointer self,
                                                  delivery_lane_parts parts) {
  end_process_on_exception(self);
  std::shared_ptr<sink_connection> connection = parts.to->connect();
  return {
      [parts = std::move(parts), connection](const lane_deliver_ptr& order) {
        using clock = std::chrono::steady_clock;
        const auto before = clock::now();
        auto outcome = connection->deliver(order->batch, parts.timeout_ms);
        // The publisher's clock counts whole milliseconds: it may be over one too early.
        if (outcome.pause_ms.count() > 0) ++outcome.pause_ms;
        const auto took =
            std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - before);
        return lane_delivered{parts.number, order->token, std::move(outcome),
                              static_cast<std::uint64_t>(took.count())};
      },
  };
}

} // namespace penstock
