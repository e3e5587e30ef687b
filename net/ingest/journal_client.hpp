// From granted events to the journal, and from the journal's word to who waits for it.
#pragma once

#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "net/ingest/ack_waits.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/claim_settler.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"
#include "net/ingest/usage_recorder.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace penstock {

/// Draws the tickets of a batch, sends it, and says what became of it: to its claims, its waits, or
/// its clients. Batches that were answered already wait for company, at most max_held_events or
/// max_hold_ns. Not synchronised.
class journal_client {
 public:
  static constexpr std::int64_t max_hold_ns = 2'000'000;
  static constexpr std::size_t max_held_events = 512;

  /// All outlive it.
  journal_client(lane_context& lane, served_rules& rules, journal_handle journal,
                 responder& answers, batch_pool& pool, usage_recorder& usage, ack_waits& waits,
                 claim_settler& claims)
      : lane_(lane), rules_(rules), journal_(std::move(journal)), responder_(answers), pool_(pool),
        usage_(usage), waits_(waits), claims_(claims) {}

  /// A batch that has an event.
  void append(std::unique_ptr<turn_batch> batch);
  void on_durable(const append_done& done);
  /// At the end of a turn: what has waited long enough goes.
  void end_turn();
  void send_held();

 private:
  void draw_tickets(append_batch& append);
  void hand_over(append_batch_ptr append);
  void conclude(std::unique_ptr<turn_batch> batch, const append_done& done);

  lane_context& lane_;
  served_rules& rules_;
  journal_handle journal_;
  responder& responder_;
  batch_pool& pool_;
  usage_recorder& usage_;
  ack_waits& waits_;
  claim_settler& claims_;
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<turn_batch>> awaiting_disk_;
  std::vector<append_batch_ptr> held_; // of ack = "received" streams, to go together
  std::size_t held_events_ = 0;
  std::int64_t held_until_ns_ = 0;
};

} // namespace penstock
