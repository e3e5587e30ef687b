#include "net/ingest/forward_sender.hpp"

#include "net/base/retry_after.hpp"
#include "net/http/front_end_metrics.hpp"
#include "storage/base/assert.hpp"

#include <map>
#include <string>
#include <vector>

namespace penstock {

namespace {

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

} // namespace

std::size_t memory_bytes(const forward_request& request) {
  auto bytes = request.bodies.size() + request.ends.size() * sizeof(event_meta) +
               request.claims.size() * (sizeof(event_claim) + sizeof(block_key));
  for (const auto* texts : {&request.types, &request.attributes})
    for (const auto& text : *texts)
      bytes += text.size() + sizeof text;
  return bytes;
}

void forward_sender::forward_others(turn_batch& batch) {
  auto& r = batch.requests[0];
  auto& claims = claims_of(batch);
  const auto& block = *batch.blocks[r.block];
  std::map<std::uint16_t, forward_request> by_member;
  for (std::uint32_t i = 0; i < claims.all.size(); ++i) {
    auto& one = claims.all[i];
    if (one.member == cluster_.self_member()) continue;
    if (!cluster_.is_linked(one.member) && !cluster_.may_link(one.member)) {
      one.state = claim_state::failed;
      one.status = status_unavailable;
      one.retry_after_s = retry_when_unavailable_s;
      lane_.metrics.count(shed_reason::unreachable);
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
    request.epoch = cluster_.epoch();
    if (cluster_.is_linked(member)) {
      send(member, std::move(request));
      continue;
    }
    const auto bytes = memory_bytes(request);
    lane_.memory.change(memory_part::requests, 0, bytes);
    unsent_.push_back({member, lane_.loop.now_ns(), bytes, std::move(request)});
  }
}

void forward_sender::send(std::uint16_t member, forward_request&& request) {
  lane_.self->send(cluster_.front_end_of(member, request.claims[0].key_low), std::move(request));
}

void forward_sender::send_unsent(std::uint16_t member) {
  std::erase_if(unsent_, [&](unsent_forward& each) {
    if (each.member != member) return false;
    lane_.memory.change(memory_part::requests, each.bytes, 0);
    if (claimed_.contains(each.what.token)) send(member, std::move(each.what));
    return true;
  });
}

} // namespace penstock
