#include "net/ingest/usage_recorder.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

constexpr std::int64_t usage_hand_over_ms = 1000;
constexpr std::int64_t minute_ms = 60'000;

} // namespace

usage_recorder::usage_recorder(lane_context& lane, usage_handle usage, const identifier& identify)
    : lane_(lane), usage_(std::move(usage)), identify_(identify), since_ms_(lane.wall_time_ms()) {}

// `stream` is empty for a request that no stream can take. An address is kept as its bytes: few are
// new, so few need a text.
void usage_recorder::note(turn_batch& batch, const identity& who, const request_head& head,
                          std::string_view stream) {
  if (!usage_) return;
  const auto id = [this](std::string_view text) {
    if (text.empty()) return usage_id{};
    return usage_id{hash_(text), text};
  };
  const auto account = who.key ? std::string_view{who.key->entry->account} : std::string_view{};
  const auto key = who.key ? std::string_view{who.key->entry->id} : std::string_view{};
  const auto address_hash = who.by_address ? who.client : identify_.client_of(who.address);
  // By usage_dimension.
  batch.usage.add({id(account), id(key), usage_id{address_hash, who.address.raw()},
                   id(origin_of(head[request_field::referer])), id(stream)});
}

// What became of requests without claims is known: told once a batch. `stored`: what was granted
// is.
void usage_recorder::count(const turn_batch& batch, bool stored) {
  if (batch.usage.empty()) return;
  for (std::size_t i = 0; i < batch.requests.size(); ++i) {
    const auto& r = batch.requests[i];
    PENSTOCK_ASSERT(r.count <= batch.items[i].events);
    usage_counts counts{.requests = 1};
    if (r.count > 0 || static_cast<refusal>(r.state.reason) == refusal::quota)
      counts.refused = batch.items[i].events - r.count;
    if (stored && r.count > 0) {
      counts.events = r.count;
      const auto& block = *batch.blocks[r.block];
      counts.bytes = block.events[r.first + r.count - 1].end - block.begin_of(r.first);
    }
    tally_.add(batch.usage[i], counts);
  }
}

// A repeat stores nothing. Counted here, where the client is, also for what another node stored.
void usage_recorder::count_claimed(const turn_batch& batch) {
  if (batch.usage.empty()) return;
  usage_counts counts{.requests = 1};
  for (const auto& one : batch.details[batch.requests[0].details].claims->all) {
    const bool accepted = one.state == claim_state::accepted;
    const std::uint64_t stored = accepted ? std::min(one.count, one.offered) : 0;
    counts.events += stored;
    // Of a request that was taken in part nobody here knows which part another node took.
    counts.bytes += one.bytes * stored / std::max(one.offered, 1u);
    const bool quota = one.state == claim_state::failed && one.status == 429;
    if (accepted || quota) counts.refused += one.offered - stored;
  }
  tally_.add(batch.usage[0], counts);
}

// Once a second, and when a minute is over, so that what was counted belongs to one.
void usage_recorder::hand_over_if_due() {
  const auto now = lane_.wall_time_ms();
  const auto since = now - since_ms_;
  if (since >= 0 && since < usage_hand_over_ms && now / minute_ms == since_ms_ / minute_ms) return;
  hand_over();
  since_ms_ = now;
}

void usage_recorder::hand_over() {
  if (!usage_ || tally_.empty()) return;
  auto show = [this](usage_dimension by, std::string&& text) {
    if (by != usage_dimension::ip) return std::move(text);
    ip_address address;
    address.v6 = text.size() == address.bytes.size();
    std::copy(text.begin(), text.end(), address.bytes.begin());
    return identify_.name_of(address);
  };
  usage_batch_ptr batch = std::make_shared<const usage_batch>(tally_.take(since_ms_, show));
  lane_.self->send(usage_, std::move(batch));
}

} // namespace penstock
