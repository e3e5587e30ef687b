#include "actors/limiter/lease_returns.hpp"

#include <algorithm>
#include <map>

namespace penstock {

void lease_returns::give_back(const std::vector<returned_units>& units) {
  if (units.empty()) return;
  const std::int64_t steady_ns = context_.parts.steady_ns();
  if (recent_.size() + units.size() > max_cached_clients)
    std::erase_if(recent_, // said once, at least
                  [](const recent_return& each) { return each.sent_to != no_member; });
  for (const returned_units& each : units)
    recent_.push_back({each, steady_ns});
  send();
}

void lease_returns::send() {
  std::map<const limiter_handle*, leases_returned> by_owner;
  for (recent_return& each : recent_) {
    const std::uint32_t shard = shard_of(each.units.client);
    const std::uint16_t owner = table_.has_view() ? table_.owner_of(shard) : each.units.owner;
    if (owner == each.sent_to) continue;
    if (owner == table_.self()) {
      (void)granter_.take_back(each.units.what, context_.clock()); // the shard has come here
      each.sent_to = owner;
      each.is_taken = true;
      continue;
    }
    const limiter_handle* const to = table_.limiter_of(owner, shard);
    if (!to) continue;
    leases_returned& message = by_owner[to];
    const bool answers = table_.version_of(owner) >= returns_wire_version;
    if (answers && message.token == 0) {
      message.version = returns_wire_version;
      message.token = next_token_++;
    }
    message.leases.push_back(each.units.what);
    message.clients.push_back(each.units.client);
    each.sent_to = owner;
    each.token = message.token;
    each.is_taken = !answers; // as far as can be known
  }
  for (auto& [to, message] : by_owner) {
    PENSTOCK_ASSERT(message.leases.size() == message.clients.size());
    context_.self->send(*to, std::move(message));
  }
}

void lease_returns::on_taken(const returns_taken& done) {
  for (recent_return& each : recent_) {
    if (each.token == 0 || each.token != done.token) continue;
    each.token = 0;
    each.is_taken = !done.moved;
    if (done.moved) each.sent_to = no_member; // again with the next tick, or view
  }
}

void lease_returns::lose(std::uint16_t member) {
  for (recent_return& each : recent_) {
    if (each.sent_to != member || each.is_taken) continue;
    each.sent_to = no_member;
    each.token = 0;
  }
}

void lease_returns::forget(std::int64_t steady_ns) {
  std::erase_if(recent_, [steady_ns](const recent_return& each) {
    return steady_ns - each.since_ns > return_memory_ns;
  });
}

bool lease_returns::are_all_taken() const {
  return std::ranges::all_of(recent_, &recent_return::is_taken);
}

} // namespace penstock
