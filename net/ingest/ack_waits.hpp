// Streams with ack = "published" or "replicated": what is durable is answered when the stream's
// sinks, or a second node, have it, or when that is not to be waited for any longer.
#pragma once

#include "actors/base/unpublished.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/claim_answers.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/publish_waits.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// Whom waiting requests wait for, and for how long.
struct ack_wait_settings {
  const publishers_by_sink& publishers; ///< outlives the waits
  replicator_handle replicator;         ///< null: the node is alone
  std::uint16_t self_member = 0;        ///< this node's number in its cluster
  std::size_t max_waits = 0;
};

/// At most max_waits requests wait, in the lane's ledger. Not synchronised.
class ack_waits {
 public:
  /// All outlive it.
  ack_waits(lane_context& lane, const served_rules& rules, responder& answers,
            claim_answers& claimed, batch_pool& pool, ack_wait_settings settings)
      : lane_(lane), rules_(rules), responder_(answers), claim_answers_(claimed), pool_(pool),
        settings_(std::move(settings)) {}

  /// The requests of a batch that is durable. Who has gone is not waited for.
  void await_sinks(turn_batch& batch);
  /// A request with claims, all of which are settled. What was stored before, or by another node,
  /// is not asked about here.
  void await_claimed(std::unique_ptr<turn_batch> batch);
  void on_published(const published_update& update);
  /// Those whose time is over are answered.
  void end_late_waits();
  /// At the end of a turn, for those that began in it: one message a stream and sink, or for the
  /// node's replicator.
  void ask_whom_they_wait_for();
  /// A drain of so long begins. It waits for sinks as long as it lasts, but for nobody who has
  /// gone; nor do peers, who have drains of their own.
  void hurry(std::chrono::milliseconds drain_timeout_ms);

 private:
  /// Of this turn: one a stream and level.
  struct wait_question {
    ack_level level;
    std::shared_ptr<await_published> what;
  };

  static std::unique_ptr<publish_wait> take_out(turn_batch& batch, waiting_request& r);
  void begin_wait(const std::string& stream, await_published::item events,
                  std::unique_ptr<publish_wait> wait);
  void add_question(const std::string& stream, ack_level level, await_published::item events);
  void end_wait(publish_wait& wait, unpublished shortfall);
  void count_wait(ack_level level, unpublished shortfall);
  void note_waits(std::size_t bytes_before);

  lane_context& lane_;
  const served_rules& rules_;
  responder& responder_;
  claim_answers& claim_answers_;
  batch_pool& pool_;
  ack_wait_settings settings_;
  publish_waits waits_;
  std::vector<wait_question> to_ask_;
};

} // namespace penstock
