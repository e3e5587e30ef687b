// Keys of other nodes: their events are stored there, so that a repeat is recognised through
// whichever node it comes.
#include "actors/base/shards.hpp"
#include "actors/base/unpublished.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/retry_after.hpp"
#include "net/base/stream_name.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/front_end.hpp"

#include <algorithm>
#include <map>

namespace penstock {

namespace {

constexpr std::uint16_t status_full = 507;
constexpr std::uint16_t status_not_served = 404;

// The text of the event that is the `count`th of its request: one for all where all are the same.
void add_text(std::vector<std::string>& texts, std::size_t count, const std::string& text) {
  if (count > 1 && texts.size() == 1) {
    if (text == texts[0]) return;
    texts.resize(count - 1, texts[0]);
  }
  texts.push_back(text);
}

// Adds an event of the block, with its type and attributes.
void add_event(forward_request& to, const event_block& block, std::size_t i) {
  const auto& meta = block.events[i];
  to.bodies += block.body(i);
  to.ends.push_back(static_cast<std::uint32_t>(to.bodies.size()));
  add_text(to.types, to.ends.size(), block.content_types[meta.type]);
  add_text(to.attributes, to.ends.size(), block.attributes[meta.attributes]);
}

std::size_t memory_bytes(const forward_request& request) {
  auto bytes = request.bodies.size() + request.ends.size() * sizeof(event_meta) +
               request.claims.size() * (sizeof(event_claim) + sizeof(block_key));
  for (const auto* texts : {&request.types, &request.attributes})
    for (const auto& text : *texts)
      bytes += text.size() + sizeof text;
  return bytes;
}

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

// Sends the events whose keys belong to other nodes there; their claims are settled by the reply.
void front_end::forward_others(turn_batch& batch) {
  auto& r = batch.requests[0];
  auto& claims = *batch.details[r.details].claims;
  const auto& block = *batch.blocks[r.block];
  std::map<std::uint16_t, forward_request> by_member;
  for (std::uint32_t i = 0; i < claims.all.size(); ++i) {
    auto& one = claims.all[i];
    if (one.member == parts_.self_member) continue;
    if (!is_linked(one.member) && !may_link(one.member)) {
      one.state = claim_state::failed;
      one.status = status_unavailable;
      one.retry_after_s = retry_when_unavailable_s;
      parts_.metrics.count(shed_reason::unreachable);
      continue;
    }
    one.state = claim_state::waiting;
    ++claims.open;
    auto& request = by_member[one.member];
    const auto first = claims.one_for_all ? 0 : i;
    const auto count = claims.one_for_all ? r.count : 1;
    request.claims.push_back({i, count, one.key.high, one.key.low, one.content});
    for (auto event = first; event < first + count; ++event)
      add_event(request, block, r.first + event);
  }
  for (auto& [member, request] : by_member) {
    request.token = batch.claim_token;
    request.client = batch.items[0].client;
    request.key = batch.items[0].key;
    request.plan = batch.items[0].plan;
    request.limits = batch.items[0].limits;
    request.stream = block.stream;
    request.epoch = places_->epoch;
    if (is_linked(member)) {
      send_forward(member, std::move(request));
      continue;
    }
    const auto bytes = memory_bytes(request);
    memory_.change(memory_part::requests, 0, bytes);
    unsent_forwards_.push_back({member, parts_.loop.now_ns(), bytes, std::move(request)});
  }
}

bool front_end::is_linked(std::uint16_t member) const {
  return member < peer_front_ends_.size() && !peer_front_ends_[member].empty();
}

// With a directory a member may just have joined, or is about to be replaced. In a fixed list it
// is away.
bool front_end::may_link(std::uint16_t member) const {
  return places_->epoch > 0 && member < places_->members.size() &&
         !places_->members[member].empty();
}

void front_end::send_forward(std::uint16_t member, forward_request&& request) {
  const auto& peers = peer_front_ends_[member];
  self_->send(peers[request.claims[0].key_low % peers.size()], std::move(request));
}

void front_end::send_unsent_forwards(std::uint16_t member) {
  std::erase_if(unsent_forwards_, [&](unsent_forward& each) {
    if (each.member != member) return false;
    memory_.change(memory_part::requests, each.bytes, 0);
    if (claimed_.contains(each.what.token)) send_forward(member, std::move(each.what));
    return true;
  });
}

// They are in order of time.
void front_end::drop_late_forwards() {
  const auto since_ns =
      parts_.loop.now_ns() - std::chrono::nanoseconds{parts_.verdict_timeout_ms}.count();
  while (!unsent_forwards_.empty() && unsent_forwards_.front().since_ns < since_ns) {
    const auto& late = unsent_forwards_.front();
    parts_.metrics.count(shed_reason::unreachable, late.what.claims.size());
    memory_.change(memory_part::requests, late.bytes, 0);
    give_up_claims(late.what.token, late.member);
    unsent_forwards_.pop_front();
  }
}

// By a view that the sender does not have yet the keys are another node's: null if there is no one
// such node, or it can't be reached.
const caf::actor* front_end::later_owner(const forward_request& request) const {
  if (!places_ || places_->epoch <= request.epoch || request.hops >= max_forward_hops)
    return nullptr;
  const auto owner_of = [this](const forwarded_claim& claim) {
    return places_->shards[shard_of(claim.key_high)].owner;
  };
  if (request.claims.empty()) return nullptr;
  const auto owner = owner_of(request.claims[0]);
  if (owner == parts_.self_member || owner >= peer_front_ends_.size()) return nullptr;
  const auto is_same = [&](const forwarded_claim& claim) { return owner_of(claim) == owner; };
  const auto& peers = peer_front_ends_[owner];
  if (peers.empty() || !std::ranges::all_of(request.claims, is_same)) return nullptr;
  return &peers[request.claims[0].key_low % peers.size()];
}

// A peer's events, whose keys are ours: they take the path of our own.
void front_end::on_forward(const forward_request& request) {
  const auto from = caf::actor_cast<caf::actor>(self_->current_sender());
  if (!from) return;
  if (const auto* owner = later_owner(request)) {
    auto passed_on = request;
    passed_on.epoch = places_->epoch;
    ++passed_on.hops;
    self_->delegate(*owner, std::move(passed_on)); // which answers the sender
    return;
  }
  const auto refuse = [&](std::uint16_t status, std::uint32_t retry_after_s) {
    forward_reply reply{request.token, parts_.node.tag, {}, {}};
    for (const auto& claim : request.claims)
      reply.verdicts.push_back({claim.index, claim_state::failed, 0, 0, status, retry_after_s, {}});
    self_->send(from, std::move(reply));
  };
  if (parts_.node.journal_full.load(std::memory_order_relaxed))
    return refuse(status_full, retry_when_full_s);
  if (parts_.node.journal_failed.load(std::memory_order_relaxed))
    return refuse(status_unavailable, retry_when_unavailable_s);
  const auto& settings = stream_settings_of(request.stream);
  if (settings.expendable && parts_.node.journal_scarce.load(std::memory_order_relaxed))
    return refuse(status_full, retry_when_full_s);
  const bool overloaded = !memory_.has_room(memory_.total(), 0, memory_bytes(request));
  if (overloaded) parts_.metrics.count(shed_reason::in_flight);
  auto* const plan = plans_->find(request.plan);
  if (draining_ || overloaded || !plan || parts_.idempotency.empty() || !is_well_formed(request))
    return refuse(status_unavailable, retry_when_unavailable_s);
  if (rules_->refuses(request.stream)) return refuse(status_not_served, 0);
  // Of anonymous clients their own node knows the addresses: here they have a share together.
  const auto name = streams_.admit(request.stream, *rules_, [&] {
    return request.key != 0 ? request.client : parts_.names->hash_of(to_string(from.node()));
  });
  if (name.what == stream_names::outcome::full || name.what == stream_names::outcome::share) {
    const bool full_for_all = name.what == stream_names::outcome::full;
    parts_.metrics.count(full_for_all ? shed_reason::stream_names : shed_reason::stream_share);
    return refuse(status_not_served, 0);
  }

  auto batch = new_batch(destination_of_[shard_of(request.client)]);
  auto& r = batch->requests.emplace_back();
  r.start_ns = parts_.loop.now_ns();
  r.count = static_cast<std::uint32_t>(request.ends.size());
  r.details = 0;
  if (name.what == stream_names::outcome::reserved) r.name_place = name.place;
  r.block = block_for(*batch, request.stream, r.count, request.bodies.size());
  r.plan = plan;
  if (settings.ack == ack_level::replicated ||
      (settings.ack == ack_level::published && feeds_publisher(settings)))
    r.ack = settings.ack;
  else
    r.lack = unpublished::late; // should the node where the client is promise more
  batch->limited = !plan->rules.limits.empty();
  admit_item item{.client = request.client, .key = request.key, .plan = request.plan};
  item.stream = stream_id(request.stream);
  item.events = r.count;
  item.limits = request.limits;
  batch->items.push_back(item);
  auto& block = *batch->blocks[r.block];
  const std::string_view bodies{request.bodies};
  for (std::size_t i = 0, begin = 0; i < request.ends.size(); begin = request.ends[i++])
    block.push(bodies.substr(begin, request.ends[i] - begin),
               request.types[request.types.size() == 1 ? 0 : i], request.client,
               request.attributes[request.attributes.size() == 1 ? 0 : i]);
  auto& claims = batch->details.emplace_back().claims;
  claims = std::make_unique<request_claims>();
  claims->one_for_all = request.claims.size() == 1;
  claims->origin = from;
  claims->origin_token = request.token;
  claims->origin_epoch = request.epoch;
  std::uint32_t first = 0;
  for (const auto& wish : request.claims) {
    event_claim one;
    one.key = {wish.key_high, wish.key_low};
    one.content = wish.content;
    one.line = wish.index;
    one.member = parts_.self_member;
    claims->all.push_back(one);
    block.keys.push_back({one.key, one.content, first, wish.count});
    first += wish.count;
  }
  if (plan->charges.counts_bytes()) tell_sizes(*batch);
  note_in_flight(*batch, memory_bytes(request));
  claim(std::move(batch));
}

// A peer's keys, for the index of their shards; which answers it.
void front_end::on_key_rows(const key_rows& rows) {
  const auto to = caf::actor_cast<caf::actor>(self_->current_sender());
  const bool empty = rows.keys.empty() && rows.complete.empty();
  if (to && (parts_.idempotency.empty() || empty))
    return self_->send(to, keys_taken{rows.token, rows.complete});
  const auto shard = rows.keys.empty() ? rows.complete[0] : shard_of(rows.keys[0].high);
  self_->delegate(parts_.idempotency[shard % parts_.idempotency.size()], rows);
}

void front_end::answer_origin(const waiting_request& r, const request_claims& claims) {
  forward_reply reply{
      claims.origin_token, parts_.node.tag, {}, r.state, static_cast<std::uint8_t>(r.lack)};
  for (const auto& one : claims.all)
    reply.verdicts.push_back({one.line, one.state, one.seq, one.count, one.status,
                              one.retry_after_s, std::string{one.tag_text()}});
  self_->send(claims.origin, std::move(reply));
}

void front_end::on_forward_reply(const forward_reply& reply) {
  auto found = claimed_.find(reply.token);
  if (found == claimed_.end()) return;
  auto& batch = *found->second.batch;
  // Where several nodes have a part the client's limits were charged by each; the last one knows.
  auto& claims = *batch.details[batch.requests[0].details].claims;
  claims.limits = reply.limits;
  const auto wanted = batch.requests[0].ack;
  if (reply.lack == static_cast<std::uint8_t>(unpublished::replicated)) {
    if (wanted == ack_level::published) claims.lack = unpublished::late;
  } else if (reply.lack >= unpublished_names.size())
    claims.lack = unpublished::late;
  else if (reply.lack > 0)
    claims.lack = static_cast<unpublished>(reply.lack);
  auto verdicts = reply.verdicts;
  for (auto& verdict : verdicts) {
    // A peer's last word; anything else it might say would leave the request without an end.
    const bool settled = verdict.state == claim_state::accepted ||
                         verdict.state == claim_state::repeat ||
                         verdict.state == claim_state::conflict;
    if (settled) continue;
    verdict.state = claim_state::failed;
    if (verdict.status < 400 || verdict.status > 599) verdict.status = status_unavailable;
  }
  take_verdicts(reply.token, verdicts, reply.tag);
}

} // namespace penstock
