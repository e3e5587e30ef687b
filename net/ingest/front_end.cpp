// The front end's life: what it is made of, its messages, its turns, its drain.
#include "net/ingest/front_end.hpp"

#include "actors/base/lifecycle_messages.hpp"
#include "net/base/retry_after.hpp"
#include "net/http/request_target.hpp"

#include <ctime>
#include <string>
#include <utility>

namespace penstock {

namespace {

constexpr std::string_view usage_path = "/v1/usage";

// Who sends a request to such a path is identified; the others are for anyone.
bool is_for_clients(std::string_view path) {
  return is_beneath(path, events_path) || path == usage_path;
}

} // namespace

front_end::front_end(front_end_parts parts, ingest_handle::pointer self)
    : parts_(std::move(parts)), lane_(parts_.loop, parts_.node, parts_.metrics, self,
                                      parts_.http.max_in_flight_bytes, parts_.wall_ms),
      cluster_(parts_.places, parts_.self_member),
      rules_(parts_.rules, parts_.access, parts_.plans, parts_.names, parts_.publishers),
      responder_(lane_), claim_answers_(lane_, rules_, responder_), pool_(lane_, rules_),
      usage_(lane_, parts_.usage, *parts_.identify),
      waits_(lane_, rules_, responder_, claim_answers_, pool_,
             {parts_.publishers, parts_.replicator, parts_.self_member, parts_.max_publish_waits}),
      settler_(lane_, responder_, claim_answers_, waits_, usage_, pool_, parts_.idempotency),
      journal_(lane_, rules_, parts_.journal, responder_, pool_, usage_, waits_, settler_),
      limiters_(lane_, rules_, cluster_, parts_.limiters, responder_, pool_, usage_, settler_,
                journal_),
      forwards_(lane_, cluster_, settler_.table(), parts_.verdict_timeout_ms),
      claims_(lane_, rules_, cluster_, forwards_, limiters_, settler_, parts_.idempotency),
      forward_receiver_(lane_, rules_, cluster_, pool_, limiters_, claims_, *parts_.names,
                        parts_.idempotency),
      callers_(lane_, rules_, *parts_.identify, responder_),
      intake_(lane_, rules_, callers_,
              event_intake{lane_, rules_, cluster_, pool_, parts_.http, *parts_.identify,
                           *parts_.names,
                           parts_.idempotency.empty() ? nullptr : parts_.hash_keys.get()},
              limiters_, claims_, usage_, pool_, responder_, !parts_.idempotency.empty()),
      limits_(lane_, rules_, responder_),
      acceptor_(lane_, parts_.http, *this, *parts_.identify, parts_.per_address) {
  responder_.set_time(std::time(nullptr));
}

front_end::~front_end() {
  lane_.loop.remove_client(this);
}

ingest_handle::behavior_type front_end::make_behavior() {
  return {
      [this](caf::open_atom) { acceptor_.start_listening(); },
      [this](const admit_reply& reply) { limiters_.on_verdicts(reply); },
      [this](const subscribe_verdicts& command) { limiters_.tell_of_verdicts(command); },
      [this](const append_done& done) { journal_.on_durable(done); },
      [this](const published_update& update) { waits_.on_published(update); },
      [this](const claim_reply& reply) { claims_.on_claims(reply); },
      [this](const forward_request& request) { forward_receiver_.on_forward(request); },
      [this](const forward_reply& reply) { claims_.on_forward_reply(reply); },
      [this](const key_rows& rows) { forward_receiver_.on_key_rows(rows); },
      [this](const peer_up& update) { on_peer_up(update); },
      [this](const peer_down& update) { on_peer_down(update); },
      [this](const placement_changed& change) { set_placement(change.to); },
      [this](const refused_streams_ptr& which) { rules_.set_refused_streams(which); },
      [this](const limits_reply& reply) { limits_.on_reply(reply); },
      [this](const rules_changed& update) { rules_.set_rules(update.rules); },
      [this](const accounts_changed& update) { rules_.set_accounts(update); },
      [this](drain how) -> caf::result<drained> {
        drained_ = lane_.self->make_response_promise();
        begin_drain(how.time_ms.count() > 0 ? how.time_ms : parts_.drain_timeout_ms);
        return drained_;
      },
  };
}

// -- requests -------------------------------------------------------------------------------------

void front_end::on_request(session& from, const request_parser& parser) {
  auto [path, query] = split_target(parser.head().target);
  if (is_beneath(path, events_path)) return intake_.on_events(from, parser, path);
  if (path == usage_path) return on_usage(from, parser, query);
  if (path == "/livez" || path == "/readyz")
    return responder_.answer_health(from, parser, path, query);
  responder_.answer_now(from, parser,
                        {404, "There is nothing here; events go to POST /v1/events/{stream}."});
}

// A body is still to come: whom we won't serve is told so without it.
bool front_end::on_header(session& from, const request_parser& parser) {
  return is_for_clients(split_target(parser.head().target).path) &&
         callers_.refuse_early(from, parser);
}

void front_end::on_bad_request(session& from, unsigned status, std::string_view detail) {
  responder_.answer_and_close(from, {status, std::string{detail}});
}

void front_end::on_overload(session& from, shed_reason why) {
  lane_.metrics.count(why);
  responder_.answer_and_close(from, {503, std::string{too_much_under_way}},
                              retry_when_unavailable_s);
}

void front_end::on_usage(session& from, const request_parser& parser, std::string_view query) {
  const auto method = parser.head().method;
  if (method != request_method::get && method != request_method::head)
    return responder_.answer_now(from, parser, {405, "Only GET and HEAD are answered here."}, 0,
                                 "GET, HEAD");
  const auto found = callers_.find(from, parser, std::nullopt);
  if (!found) return;
  limits_.ask(from, parser, query, *found, limiters_.limiter_of(found->who.client));
}

// -- the cluster ----------------------------------------------------------------------------------

void front_end::set_placement(const placement_ptr& places) {
  cluster_.set_placement(places);
  limiters_.on_placement();
}

void front_end::on_peer_up(const peer_up& update) {
  cluster_.on_peer_up(update);
  if (cluster_.is_linked(update.member)) forwards_.send_unsent(update.member);
}

void front_end::on_peer_down(const peer_down& update) {
  cluster_.on_peer_down(update);
  claims_.on_peer_down(update.member);
}

// -- turns ----------------------------------------------------------------------------------------

void front_end::after_io() {
  acceptor_.let_go_on();
  limiters_.ask_limiters();
}

void front_end::end_turn() {
  waits_.end_late_waits();
  acceptor_.flush();
  limiters_.ask_limiters(); // for what came while it was flushed
  journal_.end_turn();
  waits_.ask_whom_they_wait_for();
  acceptor_.end_turn();
  if (lane_.draining) finish_drain_if_idle();
}

void front_end::on_tick() {
  responder_.set_time(std::time(nullptr));
  acceptor_.on_tick();
  limits_.drop_late(lane_.loop.now_ns() -
                    std::chrono::nanoseconds{parts_.verdict_timeout_ms}.count());
  forwards_.drop_late(
      [this](std::uint64_t token, std::uint16_t member) { claims_.give_up(token, member); });
  claims_.on_tick();
  usage_.hand_over_if_due();
}

// -- draining -------------------------------------------------------------------------------------

void front_end::begin_drain(std::chrono::milliseconds timeout_ms) {
  lane_.draining = true;
  acceptor_.drain();
  waits_.hurry(timeout_ms);
  finish_drain_if_idle();
}

void front_end::finish_drain_if_idle() {
  if (lane_.metrics.connections.value() > 0 || !drained_.pending()) return;
  journal_.send_held();
  usage_.hand_over();
  drained_.deliver(drained{});
}

ingest_handle spawn_front_end(caf::actor_system& sys, front_end_parts parts, int listen_fd) {
  auto& loop = parts.loop;
  return spawn_hosted<front_end_state, ingest_handle::base>(
      sys, loop,
      [parts = std::move(parts), listen_fd](ingest_handle::stateful_pointer<front_end_state> self) {
        auto& impl = self->state.impl;
        impl = std::make_unique<front_end>(parts, self);
        parts.loop.add_client(impl.get());
        impl->take_listener(listen_fd);
        return impl->make_behavior();
      });
}

} // namespace penstock
