#include "net/ingest/forward_receiver.hpp"

#include "actors/base/shards.hpp"
#include "actors/base/unpublished.hpp"
#include "actors/interfaces/handles.hpp"
#include "net/base/retry_after.hpp"
#include "net/base/stream_name.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/event_intake.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

namespace {

constexpr std::uint16_t status_full = 507;
constexpr std::uint16_t status_not_served = 404;

bool is_well_formed(const forward_request& request) {
  const auto events = request.ends.size();
  std::size_t claimed = 0;
  for (const auto& claim : request.claims)
    claimed += claim.count;
  const auto fits = [&](const std::vector<std::string>& texts) {
    return texts.size() == 1 || texts.size() == events;
  };
  const bool one_each = request.claims.size() == events;
  return events > 0 && events <= max_forwarded_events && claimed == events &&
         (one_each || request.claims.size() == 1) && fits(request.types) &&
         fits(request.attributes) && std::is_sorted(request.ends.begin(), request.ends.end()) &&
         request.ends.back() == request.bodies.size() && is_stream_name(request.stream);
}

} // namespace

// By a view that the sender does not have yet the keys are another node's: null if there is no one
// such node, or it can't be reached.
const front_end_handle* forward_receiver::later_owner(const forward_request& request) const {
  if (cluster_.epoch() <= request.epoch || request.hops >= max_forward_hops) return nullptr;
  const auto owner_of = [this](const forwarded_claim& claim) {
    return cluster_.owner_of(shard_of(claim.key_high));
  };
  if (request.claims.empty()) return nullptr;
  const auto owner = owner_of(request.claims[0]);
  if (owner == cluster_.self_member() || !cluster_.is_linked(owner)) return nullptr;
  const auto is_same = [&](const forwarded_claim& claim) { return owner_of(claim) == owner; };
  if (!std::ranges::all_of(request.claims, is_same)) return nullptr;
  return &cluster_.front_end_of(owner, request.claims[0].key_low);
}

// What our own clients are shed for, peers' are, too; and what only this node can know.
forward_receiver::refusal_of_forward forward_receiver::look_at(const forward_request& request,
                                                               const front_end_handle& from) {
  if (const auto why = rules_.journal_refusal(lane_.node, request.stream)) {
    if (*why == shed_reason::journal_error) return {status_unavailable, retry_when_unavailable_s};
    return {status_full, retry_when_full_s};
  }
  const bool overloaded = !lane_.memory.has_room(lane_.memory.total(), 0, memory_bytes(request));
  if (overloaded) lane_.metrics.count(shed_reason::in_flight);
  if (lane_.draining || overloaded || !rules_.plans()->find(request.plan) || indexes_.empty() ||
      !is_well_formed(request))
    return {status_unavailable, retry_when_unavailable_s};
  if (rules_.rules().refuses(request.stream)) return {status_not_served, 0};
  // Of anonymous clients their own node knows the addresses: here they have a share together.
  const auto name = rules_.streams().admit(request.stream, rules_.rules(), [&] {
    return request.key != 0 ? request.client : names_.hash_of(to_string(from.node()));
  });
  using enum stream_names::outcome;
  if (name.what == full || name.what == share) {
    lane_.metrics.count(name.what == full ? shed_reason::stream_names : shed_reason::stream_share);
    return {status_not_served, 0};
  }
  refusal_of_forward none;
  if (name.what == reserved) none.name_place = name.place;
  return none;
}

void forward_receiver::on_forward(const forward_request& request) {
  const auto from = sender_as<front_end_handle>(lane_.self);
  if (!from) return;
  if (const auto* owner = later_owner(request)) {
    auto passed_on = request;
    passed_on.epoch = cluster_.epoch();
    ++passed_on.hops;
    lane_.self->delegate(*owner, std::move(passed_on)); // which answers the sender
    return;
  }
  const auto found = look_at(request, from);
  if (found.status == 0) return take(request, from, found.name_place);
  forward_reply reply{request.token, lane_.node.tag, {}, {}};
  for (const auto& claim : request.claims)
    reply.verdicts.push_back(
        {claim.index, claim_state::failed, 0, 0, found.status, found.retry_after_s, {}});
  lane_.self->send(from, std::move(reply));
}

void forward_receiver::take(const forward_request& request, const front_end_handle& from,
                            std::uint32_t name_place) {
  auto batch = pool_.new_batch(limiters_.destination_of(request.client));
  auto& r = batch->requests.emplace_back();
  r.start_ns = lane_.loop.now_ns();
  r.count = static_cast<std::uint32_t>(request.ends.size());
  r.details = 0;
  r.name_place = name_place;
  r.block = pool_.block_for(*batch, request.stream, r.count, request.bodies.size());
  r.plan = rules_.plans()->find(request.plan);
  const auto& settings = rules_.settings_of(request.stream);
  if (settings.ack == ack_level::replicated ||
      (settings.ack == ack_level::published && rules_.feeds_publisher(settings)))
    r.ack = settings.ack;
  else
    r.shortfall = unpublished::late; // should the node where the client is promise more
  batch->limited = !r.plan->rules.limits.empty();
  admit_item item{.client = request.client, .key = request.key, .plan = request.plan};
  item.stream = stream_id(request.stream);
  item.events = r.count;
  item.limits = request.limits;
  batch->items.push_back(item);
  auto& claims = batch->details.emplace_back().claims;
  claims = std::make_unique<request_claims>();
  claims->origin = from;
  fill(*batch, request);
  if (r.plan->charges.counts_bytes()) tell_sizes(*batch);
  pool_.note_in_flight(*batch, memory_bytes(request));
  claims_.claim(std::move(batch));
}

// The events into their block, and their claims.
void forward_receiver::fill(turn_batch& batch, const forward_request& request) {
  auto& block = *batch.blocks[batch.requests[0].block];
  const std::string_view bodies{request.bodies};
  for (std::size_t i = 0, begin = 0; i < request.ends.size(); begin = request.ends[i++])
    block.push(bodies.substr(begin, request.ends[i] - begin),
               request.types[request.types.size() == 1 ? 0 : i], request.client,
               request.attributes[request.attributes.size() == 1 ? 0 : i]);
  auto& claims = claims_of(batch);
  claims.one_for_all = request.claims.size() == 1;
  claims.origin_token = request.token;
  claims.origin_epoch = request.epoch;
  std::uint32_t first = 0;
  for (const auto& command : request.claims) {
    event_claim one;
    one.key = {command.key_high, command.key_low};
    one.content = command.content;
    one.line = command.index;
    one.member = cluster_.self_member();
    claims.all.push_back(one);
    block.keys.push_back({one.key, one.content, first, command.count});
    first += command.count;
  }
}

void forward_receiver::on_key_rows(const key_rows& rows) {
  const auto to = sender_as<idempotency_handle>(lane_.self);
  const bool empty = rows.keys.empty() && rows.complete.empty();
  if (to && (indexes_.empty() || empty))
    return lane_.self->send(to, keys_taken{rows.token, rows.complete});
  const auto shard = rows.keys.empty() ? rows.complete[0] : shard_of(rows.keys[0].high);
  lane_.self->delegate(indexes_[shard % indexes_.size()], rows);
}

} // namespace penstock
