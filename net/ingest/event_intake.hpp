// A request's events: whether they can be taken, and into the block of their stream, whatever form
// they came in.
#pragma once

#include "net/base/problem.hpp"
#include "net/clients/identity.hpp"
#include "net/http/event_body.hpp"
#include "net/http/http_settings.hpp"
#include "net/http/request_parser.hpp"
#include "net/ingest/batch_pool.hpp"
#include "net/ingest/cloud_events.hpp"
#include "net/ingest/cluster_routes.hpp"
#include "net/ingest/idempotency_key.hpp"
#include "net/ingest/lane_context.hpp"
#include "net/ingest/served_rules.hpp"
#include "net/ingest/turn_batch.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace penstock {

/// A request's events before they are in a block.
struct incoming {
  const request_head& head;
  std::string_view stream;
  std::string_view body;
  const identity& who;
  std::uint64_t client = 0;
  body_kind kind = body_kind::opaque;
  bool binary = false;   ///< a CloudEvent in binary mode
  bool has_key = false;  ///< Idempotency-Key
  bool is_keyed = false; ///< by that, or by what its CloudEvents say
  /// Reserved for its stream, whose name is new; none when it is not.
  std::uint32_t name_place = stream_names::no_place;
};

/// For a plan with limits by bytes: tells the limiter those of each event of the batch's last
/// request.
void tell_sizes(turn_batch& batch);

/// First check(), then take() with the same `in`. Not synchronised.
class event_intake {
 public:
  /// `hash_keys` null: no key is looked at. All outlive it.
  event_intake(lane_context& lane, served_rules& rules, const cluster_routes& cluster,
               batch_pool& pool, const http_settings& http, const identifier& identify,
               const stream_names& names, const idempotency_hasher* hash_keys)
      : lane_(lane), rules_(rules), cluster_(cluster), pool_(pool), http_(http),
        identify_(identify), names_(names), hash_keys_(hash_keys), json_(http.max_body_bytes),
        cloud_events_(http.max_body_bytes) {}

  /// What is wrong with the request, apart from its lines; nothing if it can be taken, and then a
  /// place that is reserved for its stream's name is the caller's.
  std::optional<problem> check(incoming& in);
  /// `r`: the last request of the batch.
  void take(waiting_request& r, turn_batch& batch, const incoming& in);

 private:
  std::optional<problem> check_body(incoming& in);
  std::optional<problem> check_key(incoming& in);
  std::optional<problem> check_name(incoming& in);
  void take_event(waiting_request& r, turn_batch& batch, const incoming& in);
  void take_lines(waiting_request& r, turn_batch& batch, const incoming& in);
  void take_cloud_events(waiting_request& r, turn_batch& batch, const incoming& in);
  request_details& begin_batch(waiting_request& r, turn_batch& batch, const incoming& in);
  void end_batch(waiting_request& r, turn_batch& batch, const incoming& in);
  void add_claim(turn_batch& batch, waiting_request& r, const incoming& in,
                 const cloud_event* event, std::string_view body, std::uint32_t line,
                 std::uint32_t first, std::uint32_t count);

  lane_context& lane_;
  served_rules& rules_;
  const cluster_routes& cluster_;
  batch_pool& pool_;
  const http_settings& http_;
  const identifier& identify_;
  const stream_names& names_;
  const idempotency_hasher* hash_keys_;
  json_checker json_;
  cloud_event_reader cloud_events_;
  cloud_event event_; // of the request that is being taken in
  std::string key_;   // likewise
};

} // namespace penstock
