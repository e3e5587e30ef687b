#include "actors/idempotency/key_moves.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

key_moves::key_moves(key_moves_parts parts, tools with)
    : parts_(std::move(parts)), with_(std::move(with)) {
  if (parts_.places) on_placement(parts_.places);
}

// -- whose they are -------------------------------------------------------------------------------

key_moves::standing key_moves::ask(std::uint32_t shard, std::uint64_t epoch) const {
  if (!places_ || epoch > places_->epoch) return standing::wait; // the view is still to come
  if (roles_[shard] == role::foreign) return standing::elsewhere;
  if (roles_[shard] == role::arriving) return standing::wait;
  const bool may_decide =
      !parts_.decides_until_ns ||
      parts_.steady_ns() < parts_.decides_until_ns->load(std::memory_order_relaxed);
  return may_decide ? standing::ours : standing::wait;
}

void key_moves::on_placement(const placement_ptr& to) {
  const placement_ptr before = std::exchange(places_, to);
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    if (!is_mine(shard)) continue;
    const std::uint16_t owner = to->shards[shard].owner;
    if (owner == parts_.self) {
      place_own(shard, before ? before->epoch : 0);
      continue;
    }
    roles_[shard] = role::foreign;
    const bool is_new = !before || before->shards[shard].owner != owner;
    if (owner != no_member && is_new) send_all_of(shard);
  }
  std::erase_if(complete_, [&](const auto& each) {
    return std::ranges::find(to->members, each.first) == to->members.end();
  });
}

void key_moves::place_own(std::uint32_t shard, std::uint64_t epoch_before) {
  moving_.reset(shard);
  if (roles_[shard] == role::own) return;
  if (roles_[shard] == role::foreign) {
    roles_[shard] = role::arriving;
    waiting_since_ns_[shard] = parts_.steady_ns();
    waiting_after_[shard] = epoch_before;
    waiting_epoch_[shard] = places_->epoch;
  }
  if (is_all_here(shard)) roles_[shard] = role::own;
}

// Everybody tells what it knows, but only who had the shard knows all. They may have told before
// this node heard of the view that says why.
bool key_moves::is_all_here(std::uint32_t shard) const {
  if (!places_->confirmed) return false; // who had it may still decide
  const auto has_told = [&](std::uint16_t member) {
    const auto found = complete_.find(places_->members[member]);
    return found != complete_.end() && found->second[shard] > waiting_after_[shard];
  };
  const auto& place = places_->shards[shard];
  const bool is_backup = place.source != no_member && !place.source_owned;
  const bool has_died = places_->epoch > 0 && (place.lost || is_backup); // a fixed list stays
  if (place.source == no_member && !has_died) return true;
  if (place.source != parts_.self && !has_died)
    return place.source < places_->members.size() && has_told(place.source);
  // This node had it by the view before this one. If it knew that view nobody else has it now;
  // else, or if it was waiting already, whoever had it is among the others: all are heard. So they
  // are where the owner died: one of them holds its replicated events, and has their keys.
  const bool knew = waiting_after_[shard] == 0 || waiting_after_[shard] + 1 >= places_->epoch;
  if (waiting_epoch_[shard] == places_->epoch && knew && !has_died) return true;
  for (std::uint16_t member = 0; member < places_->members.size(); ++member)
    if (member != parts_.self && !places_->members[member].empty() && !has_told(member))
      return false;
  return true;
}

// -- what comes -----------------------------------------------------------------------------------

void key_moves::on_rows(const key_rows& rows) {
  const auto now_ms = with_.wall_ms();
  for (const moved_key& key : rows.keys) {
    if (key.journal >= rows.tags.size() || !is_mine(shard_of(key.high))) continue;
    const std::string& tag = rows.tags[key.journal];
    with_.index->take_in({{key.high, key.low}, key.content, key.seq, key.count, key.time_ms},
                         tag == parts_.tag ? std::string_view{} : tag, now_ms);
    ++received_;
    // It came late, and the shard has gone on.
    const std::uint32_t shard = shard_of(key.high);
    if (places_ && rows.epoch < places_->epoch && places_->shards[shard].owner != parts_.self)
      send_all_of(shard);
  }
  if (rows.complete.empty()) return;
  auto& told = complete_[rows.from];
  for (const std::uint32_t shard : rows.complete) {
    if (shard >= shard_count || !is_mine(shard)) continue;
    told[shard] = std::max(told[shard], rows.epoch);
    if (places_ && roles_[shard] == role::arriving && is_all_here(shard)) roles_[shard] = role::own;
  }
}

// -- what goes ------------------------------------------------------------------------------------

void key_moves::send_all_of(std::uint32_t shard) {
  moving_.set(shard);
  passing_ = true;
  position_ = with_.index->begin();
}

const front_end_handle* key_moves::target_of(std::uint32_t shard, lane_of_peer* where) const {
  const std::uint16_t owner = places_->shards[shard].owner;
  if (owner >= peers_.size() || peers_[owner].empty()) return nullptr;
  *where = {owner, static_cast<std::uint32_t>(shard % peers_[owner].size())};
  return &peers_[owner][where->second];
}

bool key_moves::is_under_way() const {
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    if (moving_[shard] && with_.is_under_way(shard)) return true;
  return false;
}

bool key_moves::send_next() {
  if (!asked_.empty() || !places_) return false;
  return passing_ && moving_.any() ? send_moving() : send_copies();
}

void key_moves::copy_to(std::uint16_t member) {
  if (is_leaving_) return;
  copies_to_ = member;
  copy_position_ = with_.index->begin();
}

void key_moves::leave() {
  is_leaving_ = true;
  copies_to_.reset();
  std::erase_if(asked_, [](const auto& each) { return each.second.is_copy; });
}

// What was claimed before it was known who holds the events; of all others the events bring them.
bool key_moves::send_copies() {
  if (!copies_to_ || *copies_to_ >= peers_.size() || peers_[*copies_to_].empty()) return false;
  const auto lanes = static_cast<std::uint32_t>(peers_[*copies_to_].size());
  std::map<lane_of_peer, key_rows> pieces;
  const bool at_end = with_.index->visit(
      copy_position_, max_keys_a_piece,
      [&](const idempotency_record& record, std::string_view tag) {
        if (tag.empty()) add(pieces, {*copies_to_, shard_of(record.key.high) % lanes}, record, tag);
      });
  send(pieces, true);
  if (at_end) copies_to_.reset();
  return !at_end;
}

void key_moves::add(std::map<lane_of_peer, key_rows>& pieces, lane_of_peer where,
                    const idempotency_record& record, std::string_view tag) {
  auto& piece = pieces[where];
  const std::string_view journal = tag.empty() ? std::string_view{parts_.tag} : tag;
  auto known = std::ranges::find(piece.tags, journal);
  if (known == piece.tags.end()) known = piece.tags.emplace(known, journal);
  piece.keys.push_back({record.key.high, record.key.low, record.content, record.seq, record.count,
                        static_cast<std::uint16_t>(known - piece.tags.begin()), record.time_ms});
  ++sent_;
}

bool key_moves::send_moving() {
  std::map<lane_of_peer, key_rows> pieces;
  const bool at_end = with_.index->visit(
      position_, max_keys_a_piece, [&](const idempotency_record& record, std::string_view tag) {
        const std::uint32_t shard = shard_of(record.key.high);
        lane_of_peer where;
        // Who is out of reach is told all when it is back.
        if (!moving_[shard] || !target_of(shard, &where)) return;
        add(pieces, where, record, tag);
      });
  send(pieces, false);
  // What is under way will be a record soon, behind the others.
  if (at_end && asked_.empty() && !is_under_way()) finish_pass();
  return !at_end;
}

void key_moves::send(std::map<lane_of_peer, key_rows>& pieces, bool is_copy) {
  for (auto& [where, piece] : pieces) {
    const front_end_handle& to = peers_[where.first][where.second];
    piece.epoch = places_->epoch;
    piece.from = parts_.self < places_->members.size() ? places_->members[parts_.self] : "";
    piece.token = next_token_++;
    asked_.emplace(piece.token, piece_under_way{where.first, is_copy});
    with_.send(to, std::move(piece));
  }
}

void key_moves::finish_pass() {
  passing_ = false;
  std::map<lane_of_peer, key_rows> pieces;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    lane_of_peer where;
    if (moving_[shard] && target_of(shard, &where)) pieces[where].complete.push_back(shard);
  }
  send(pieces, false);
}

void key_moves::on_taken(const keys_taken& done) {
  const auto who = asked_.find(done.token);
  if (who == asked_.end()) return;
  for (const std::uint32_t shard : done.complete)
    if (shard < shard_count && places_->shards[shard].owner == who->second.member && !passing_)
      moving_.reset(shard);
  asked_.erase(who);
}

// -- links, and time ------------------------------------------------------------------------------

void key_moves::on_peer_up(const peer_up& peer) {
  if (peers_.size() <= peer.member) peers_.resize(peer.member + 1u);
  peers_[peer.member] = peer.front_ends;
  if (!places_) return;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard)
    if (moving_[shard] && places_->shards[shard].owner == peer.member) send_all_of(shard);
}

void key_moves::on_peer_down(const peer_down& peer) {
  if (peer.member < peers_.size()) peers_[peer.member].clear();
  if (copies_to_ == peer.member) copies_to_.reset();
  std::erase_if(asked_, [&](const auto& each) { return each.second.member == peer.member; });
}

void key_moves::tick() {
  if (!places_ || !places_->confirmed) return;
  std::size_t late = 0;
  for (std::uint32_t shard = 0; shard < shard_count; ++shard) {
    if (roles_[shard] != role::arriving) continue;
    if (parts_.steady_ns() - waiting_since_ns_[shard] < key_handover_timeout_ns) continue;
    roles_[shard] = role::own;
    ++late;
  }
  incomplete_ += late;
  if (late > 0)
    spdlog::warn("idempotency: the keys of {} shards did not come; repeats of requests that other "
                 "nodes took may not be recognised",
                 late);
}

bool key_moves::has_left() const {
  return asked_.empty() && moving_.none() &&
         std::ranges::none_of(roles_, [](role each) { return each != role::foreign; });
}

std::size_t key_moves::arriving() const {
  return static_cast<std::size_t>(std::ranges::count(roles_, role::arriving));
}

} // namespace penstock
