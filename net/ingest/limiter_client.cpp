#include "net/ingest/limiter_client.hpp"

#include "actors/base/shards.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace penstock {

limiter_client::limiter_client(lane_context& lane, served_rules& rules,
                               const cluster_routes& cluster,
                               const std::vector<limiter_handle>& limiters, responder& answers,
                               batch_pool& pool, usage_recorder& usage, claim_settler& claims,
                               journal_client& journal)
    : lane_(lane), rules_(rules), cluster_(cluster), responder_(answers), pool_(pool),
      usage_(usage), claims_(claims), journal_(journal) {
  for (auto& limiter : limiters)
    for (int of_others = 0; of_others < 2; ++of_others)
      destinations_.push_back({limiter, nullptr});
  on_placement();
}

void limiter_client::on_placement() {
  destination_of_.resize(shard_count);
  const auto limiters = destinations_.size() / 2;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    destination_of_[shard] =
        static_cast<std::uint16_t>(2 * (shard % limiters) + !cluster_.is_own(shard));
}

std::uint16_t limiter_client::destination_of(std::uint64_t client) const {
  return destination_of_[shard_of(client)];
}

const limiter_handle& limiter_client::limiter_of(std::uint64_t client) const {
  return destinations_[destination_of(client)].limiter;
}

turn_batch& limiter_client::open_batch(std::uint16_t to) {
  auto& open = destinations_[to].open;
  if (!open) open = pool_.new_batch(to);
  return *open;
}

void limiter_client::ask_limiters() {
  for (std::size_t i = 0; i < destinations_.size(); ++i) {
    if (destinations_[i].open) admit(std::move(destinations_[i].open));
  }
}

void limiter_client::admit(std::unique_ptr<turn_batch> batch) {
  if (batch->limited) return ask(std::move(batch));
  for (std::size_t r = 0; r < batch->requests.size(); ++r)
    batch->requests[r].state.granted = batch->items[r].events;
  apply(std::move(batch));
}

void limiter_client::ask(std::unique_ptr<turn_batch> batch) {
  batch->token = lane_.take_token();
  lane_.metrics.limiter_messages.add();
  lane_.self->send(destinations_[batch->destination].limiter,
                   admit_request{batch->token, batch->items, batch->sizes});
  for (std::size_t r = 0; r < batch->requests.size(); ++r)
    batch->requests[r].position = static_cast<std::uint32_t>(r);
  auto token = batch->token;
  awaiting_verdict_.emplace(token, std::move(batch));
}

void limiter_client::on_verdicts(const admit_reply& reply) {
  auto found = awaiting_verdict_.find(reply.token);
  if (found == awaiting_verdict_.end()) return;
  auto& batch = *found->second;
  std::vector<bool> decided(batch.requests.size(), false);
  std::size_t count = 0;
  for (std::size_t i = 0; i < reply.verdicts.size(); ++i) {
    if (reply.verdicts[i].reason == verdict::pending) continue;
    auto position = reply.positions.empty() ? static_cast<std::uint32_t>(i) : reply.positions[i];
    // Requests stay in the order of their positions.
    auto r = std::lower_bound(batch.requests.begin(), batch.requests.end(), position,
                              [](auto& each, auto wanted) { return each.position < wanted; });
    if (r == batch.requests.end() || r->position != position) continue;
    rules_.take_verdict(*r, reply.verdicts[i]);
    decided[static_cast<std::size_t>(r - batch.requests.begin())] = true;
    ++count;
  }
  if (count == 0) return;
  if (count < batch.requests.size()) {
    auto part = pool_.new_batch(batch.destination);
    move_requests(batch, decided, *part);
    return apply(std::move(part));
  }
  auto whole = std::move(found->second);
  awaiting_verdict_.erase(found);
  apply(std::move(whole));
}

void limiter_client::tell_of_verdicts(const subscribe_verdicts& request) {
  extensions_.add(request.who, request.window);
}

void limiter_client::tell_extensions(const turn_batch& batch) {
  extensions_.tell([&batch](const stream_filter&) {
    feed<turn_verdicts>::update update;
    for (const auto& r : batch.requests)
      update.content.requests.push_back(
          {r.plan->charges.plan(), r.count, std::min(r.state.granted, r.count), r.state.reason});
    update.count = update.content.requests.size();
    update.bytes = update.count * sizeof(turn_verdicts::one);
    return update;
  });
}

void limiter_client::apply(std::unique_ptr<turn_batch> batch) {
  if (!extensions_.empty()) tell_extensions(*batch);
  bool dropped = false;
  std::size_t granted = 0;
  for (auto& r : batch->requests) {
    auto grant = std::min(r.state.granted, r.count);
    dropped = dropped || grant < r.count;
    granted += grant;
  }
  if (dropped) drop_refused(*batch);
  for (std::size_t i = 0; i < batch->requests.size(); ++i) {
    auto& r = batch->requests[i];
    r.count = std::min(r.state.granted, r.count);
    if (r.count > 0) continue;
    const bool is_new = r.name_place != stream_names::no_place;
    rules_.settle_name(r, false);
    if (batch->claim_token != 0) continue;
    // Usage remembers no name that only refused requests brought.
    if (is_new) batch->usage.forget(i, usage_dimension::stream);
    responder_.answer_not_taken(r, batch->details_of(r));
  }
  if (batch->claim_token != 0) claims_.fail_ungranted(*batch);
  if (granted > 0) return journal_.append(std::move(batch));
  if (batch->claim_token != 0) return claims_.conclude(std::move(batch));
  usage_.count(*batch, false);
  pool_.release(std::move(batch));
}

// Takes the events that were not granted out of the blocks. Requests lie in each block in order.
void limiter_client::drop_refused(turn_batch& batch) {
  std::vector<std::vector<bool>> keep(batch.blocks.size());
  std::vector<std::uint32_t> kept(batch.blocks.size(), 0);
  for (std::size_t i = 0; i < batch.blocks.size(); ++i)
    keep[i].assign(batch.blocks[i]->size(), false);
  for (auto& r : batch.requests) {
    if (r.count == 0) continue;
    PENSTOCK_ASSERT(r.first + r.count <= keep[r.block].size());
    auto grant = std::min(r.state.granted, r.count);
    for (std::uint32_t i = 0; i < grant; ++i)
      keep[r.block][r.first + i] = true;
    r.first = kept[r.block];
    kept[r.block] += grant;
  }
  for (std::size_t i = 0; i < batch.blocks.size(); ++i)
    if (kept[i] > 0)
      batch.blocks[i]->keep_only(keep[i]);
    else
      batch.blocks[i]->clear();
}

} // namespace penstock
