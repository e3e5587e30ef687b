// The usage actor and other nodes: what it counts goes to one of them, and what they count is kept
// here.
#include "actors/interfaces/handles.hpp"
#include "actors/usage/usage_actor.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>

namespace penstock {

namespace {

constexpr std::size_t max_described_bytes = 256; // of a node's name and address
constexpr std::uint64_t max_usage_count = std::numeric_limits<std::int64_t>::max();

bool is_usable(const usage_state& row) {
  const auto& counts = row.counts;
  return static_cast<std::size_t>(row.period) < usage_periods &&
         static_cast<std::size_t>(row.by) < usage_dimensions && !row.id.empty() &&
         row.id.size() <= max_copied_usage_id_bytes && counts.requests <= max_usage_count &&
         counts.events <= max_usage_count && counts.bytes <= max_usage_count &&
         counts.refused <= max_usage_count;
}

bool is_usable(const usage_copy& copy) {
  return is_usage_origin(copy.about.origin) && is_usage_origin(copy.about.given_by) &&
         copy.about.node.size() <= max_described_bytes &&
         copy.about.address.size() <= max_described_bytes && copy.rows.size() <= usage_copy_rows &&
         std::all_of(copy.rows.begin(), copy.rows.end(),
                     [](const usage_state& row) { return is_usable(row); });
}

} // namespace

void usage_actor_state::start(usage_parts parts) {
  parts_ = std::move(parts);
  if (parts_.copies) copying_.emplace(*parts_.store, *parts_.copies);
}

void usage_actor_state::peer_came(const peer_up& peer) {
  if (!copying_ || !peer.usage || peer.version < usage_wire_version) return;
  peers_[peer.member] = peer.usage;
  copying_->peer_came(peer.member, peer.address);
  self_->send(peer.usage, usage_greeting{parts_.store->about().origin, copying_->is_leaving()});
}

void usage_actor_state::peer_went(const peer_down& peer) {
  if (!copying_ || peers_.erase(peer.member) == 0) return;
  copying_->peer_went(peer.member, parts_.wall_ms());
  send_copies();
}

void usage_actor_state::is_greeted(const usage_greeting& by, const usage_handle& sender) {
  for (const auto& [member, peer] : peers_)
    if (peer == sender) copying_->greeted(member, by);
  send_copies();
}

void usage_actor_state::take_copy(const usage_copy& theirs, const usage_handle& sender) {
  if (!sender) return;
  usage_copied outcome{theirs.number, true};
  // Who leaves would take it along.
  if (!copying_ || copying_->is_leaving() || !is_usable(theirs)) {
    outcome.ok = false;
  } else if (theirs.about.origin != parts_.store->about().origin) {
    const auto kept = parts_.copies->raise(theirs.rows, theirs.about);
    note(kept);
    outcome.ok = kept.has_value();
    if (!theirs.rows.empty()) copying_->copy_came(theirs.about.origin);
  } // else it is this node's own, which has all of it
  self_->send(sender, outcome);
}

void usage_actor_state::is_copied(const usage_copied& outcome) {
  if (copying_ && copying_->copied(outcome) && outcome.ok)
    send_copies(); // if not, at the next tick
}

void usage_actor_state::send_copies() {
  if (!copying_) return;
  auto message = copying_->next(parts_.wall_ms());
  if (!message) note(message.error());
  if (message && *message) self_->send(peers_.at(*copying_->holder()), std::move(**message));
  if (!handing_over_ || !copying_->is_settled(parts_.wall_ms())) return;
  handing_over_->deliver(usage_handed_over{});
  handing_over_.reset();
}

// What waits is written first, so that a report lacks nothing that was handed over here.
usage_sources usage_actor_state::sources() {
  (void)write();
  auto about = parts_.store->about();
  about.known_ms = parts_.wall_ms();
  usage_sources out;
  out.all.push_back({std::move(about), false, parts_.store->names()});
  if (parts_.copies)
    for (const auto& [origin, copy] : parts_.copies->all())
      out.all.push_back({copy.about, true, copy.names});
  return out;
}

caf::result<usage_handed_over> usage_actor_state::hand_over() {
  (void)write();
  if (!copying_) return usage_handed_over{};
  copying_->leave();
  for (const auto& [member, peer] : peers_)
    self_->send(peer, usage_greeting{parts_.store->about().origin, true});
  handing_over_ = self_->make_response_promise();
  caf::response_promise promise = *handing_over_;
  send_copies();
  return promise;
}

} // namespace penstock
