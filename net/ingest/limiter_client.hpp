// From the turn's batches to the limiters, and from their verdicts to the journal.
#pragma once

#include "actors/base/extension_messages.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/limits/limit_messages.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/claim_settler.hpp"
#include "net/ingest/cluster_routes.hpp"
#include "net/ingest/journal_client.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/responder.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"
#include "net/ingest/usage_recorder.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

/// Two batches for each limiter: of clients that this node counts, which are decided at once, and
/// of those for which the limiter may have to ask another node. The latter must not hold up the
/// former. Not synchronised.
class limiter_client {
 public:
  /// `limiters`: this node's; shard s is asked of limiters[s % size]. All outlive it.
  limiter_client(lane_context& lane, served_rules& rules, const cluster_routes& cluster,
                 const std::vector<limiter_handle>& limiters, responder& answers, batch_pool& pool,
                 usage_recorder& usage, claim_settler& claims, journal_client& journal);

  /// The cluster's shards have other owners.
  void on_placement();
  /// Where a client's requests belong.
  std::uint16_t destination_of(std::uint64_t client) const;
  const limiter_handle& limiter_of(std::uint64_t client) const;
  /// This turn's batch for a destination.
  turn_batch& open_batch(std::uint16_t to);
  /// Sends what was gathered: one message a limiter.
  void ask_limiters();
  /// A batch that was not gathered here: asks its limiter, if a limit applies.
  void admit(std::unique_ptr<turn_batch> batch);
  /// Takes verdicts as they come. Requests whose verdict is here don't wait for the others.
  void on_verdicts(const admit_reply& reply);
  /// An extension is told of verdicts from now on.
  void tell_of_verdicts(const subscribe_verdicts& request);

 private:
  /// Requests that may be sent to a limiter together.
  struct destination {
    limiter_handle limiter;
    std::unique_ptr<turn_batch> open;
  };

  void ask(std::unique_ptr<turn_batch> batch);
  void apply(std::unique_ptr<turn_batch> batch);
  void tell_extensions(const turn_batch& batch);
  static void drop_refused(turn_batch& batch);

  lane_context& lane_;
  served_rules& rules_;
  const cluster_routes& cluster_;
  responder& responder_;
  batch_pool& pool_;
  usage_recorder& usage_;
  claim_settler& claims_;
  journal_client& journal_;
  std::vector<destination> destinations_;
  std::vector<std::uint16_t> destination_of_; // by shard
  boost::unordered_flat_map<std::uint64_t, std::unique_ptr<turn_batch>> awaiting_verdict_;
  feed<turn_verdicts> extensions_;
};

} // namespace penstock
