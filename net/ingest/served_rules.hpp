// What one front end serves, and to whom: streams, API keys, plans, as they are in force.
#pragma once

#include "actors/accounts/access_table.hpp"
#include "actors/accounts/account_messages.hpp"
#include "actors/base/node_state.hpp"
#include "actors/interfaces/interfaces.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/problem.hpp"
#include "net/clients/served_plans.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/ingest_messages.hpp"
#include "net/ingest/served_streams.hpp"
#include "net/ingest/turn_batch.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// The publishers of a node, by the names of the sinks that have one; the others are embedded.
using publishers_by_sink = std::map<std::string, publisher_handle, std::less<>>;

/// Changes by messages only, between requests. Not synchronised.
class served_rules {
 public:
  /// `publishers` outlives it.
  served_rules(ingest_rules_ptr rules, access_table_ptr access, const plan_set_ptr& plans,
               std::shared_ptr<stream_names> names, const publishers_by_sink& publishers);

  /// After a reload.
  void set_rules(ingest_rules_ptr rules);
  /// Requests under way keep the plans that they began with.
  void set_accounts(const accounts_changed& change);
  /// Null: all are taken.
  void set_refused_streams(refused_streams_ptr refused) { refused_streams_ = std::move(refused); }

  const ingest_rules& rules() const { return *rules_; }
  const access_table* access() const { return access_.get(); }
  /// Those of requests that come now.
  const std::shared_ptr<served_plans>& plans() const { return plans_; }
  /// Those from which a verdict may be: the ones before the last change, and all since.
  const std::shared_ptr<served_plans>& plans_under_way() const {
    return plans_before_ ? plans_before_ : plans_;
  }
  served_streams& streams() { return streams_; }

  /// A stream's own settings, or those of "default".
  const stream_settings& settings_of(std::string_view stream) const;
  /// Why the node's journal takes no event of this stream now, whoever sends it; nothing if it
  /// does.
  std::optional<shed_reason> journal_refusal(const node_state& node, std::string_view stream) const;
  /// Nothing, as long as the stream may hold more of the journal.
  std::optional<problem> stream_is_full(std::string_view stream) const;
  bool feeds_publisher(const stream_settings& settings) const;
  /// When a request for this stream is answered. `is_keyed`: a repeat of it will be recognised.
  ack_level ack_of(std::string_view stream, bool is_keyed) const;
  /// Takes what a limiter said, and the plan by which it did.
  void take_verdict(waiting_request& r, const verdict& state) const;
  /// It is known whether an event of the request is stored: its stream's new name stays, or goes.
  void settle_name(waiting_request& r, bool stored);

 private:
  ingest_rules_ptr rules_;
  access_table_ptr access_;
  std::shared_ptr<served_plans> plans_;
  std::shared_ptr<served_plans> plans_before_; // limiters may still decide by them; may be null
  served_streams streams_;
  refused_streams_ptr refused_streams_;
  const publishers_by_sink& publishers_;
};

} // namespace penstock
