#include "actors/replication/held_passer.hpp"

#include "actors/replication/replica_keys.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace penstock {

// -- targets --------------------------------------------------------------------------------------

void held_passer::on_peer_up(const peer_up& peer, time_point now) {
  on_peer_down({peer.member}); // another life of it
  if (!peer.replicas) return;
  targets_.push_back({peer.member, peer.address, peer.replicas, peer.version});
  // An earlier program takes its own events, too: it is asked when it has told which those are.
  if (peer.version < passing_wire_version) targets_.back().not_before = now + holder_patience;
}

void held_passer::on_peer_down(const peer_down& peer) {
  std::erase_if(targets_, [&](const target& known) { return known.member == peer.member; });
  std::erase_if(passed_, [&](const auto& each) { return each.second.member == peer.member; });
  std::erase_if(refused_until_, [&](const auto& each) { return each.first.first == peer.member; });
  if (turn_ && turn_->to == peer.member) turn_.reset();
}

void held_passer::on_tag(const caf::node_id& of, const std::string& tag) {
  for (auto& one : targets_) {
    if (one.replicas.node() != of) continue;
    if (one.tag.empty() && one.version < passing_wire_version) one.not_before = {};
    one.tag = tag;
  }
}

const held_passer::target* held_passer::find(const held_origin& of, time_point now) const {
  std::vector<std::string> candidates;
  std::vector<const target*> those;
  for (const auto& one : targets_) {
    const auto refused = refused_until_.find({one.member, of.tag});
    const bool is_refused = refused != refused_until_.end() && refused->second > now;
    if (is_refused || one.not_before > now || one.tag == of.tag) continue;
    candidates.push_back(one.address);
    those.push_back(&one);
  }
  const auto chosen = holder_of(of.tag, candidates);
  return chosen ? those[*chosen] : nullptr;
}

// It may take another origin's, or another node this one's.
void held_passer::refuse(time_point now) {
  refused_until_[{turn_->to, turn_->tag}] = now + holder_patience;
  turn_.reset();
}

void held_passer::set_aside(time_point now) {
  for (auto& one : targets_)
    if (one.member == turn_->to) one.not_before = now + holder_patience;
  turn_.reset();
}

// -- turns ----------------------------------------------------------------------------------------

//   begin: a question ─► on_held: what is there ─► go_on: a batch ─► on_held ─► … ─► all is there
std::optional<held_passer::message> held_passer::next(const std::vector<held_origin>& origins,
                                                      time_point now) {
  std::erase_if(passed_, [&](const auto& each) {
    return std::ranges::find(origins, each.first, &held_origin::tag) == origins.end();
  });
  std::erase_if(refused_until_, [&](const auto& each) {
    return each.second <= now ||
           std::ranges::find(origins, each.first.second, &held_origin::tag) == origins.end();
  });
  if (turn_) {
    const auto of = std::ranges::find(origins, turn_->tag, &held_origin::tag);
    if (of == origins.end())
      turn_.reset(); // the origin is back, or nothing is owed
    else if (turn_->is_waiting && now - turn_->since < holder_patience)
      return std::nullopt;
    else if (turn_->is_waiting)
      set_aside(now);
    else if (auto batch = go_on(*of, now))
      return batch;
  }
  for (const auto& of : origins)
    if (!is_passed_on(of))
      if (auto question = begin(of, now)) return question;
  return std::nullopt;
}

std::optional<held_passer::message> held_passer::begin(const held_origin& of, time_point now) {
  const auto* to = find(of, now);
  auto catalog = store_->catalog(of.tag);
  if (!to || !catalog) return std::nullopt;
  turn_ = std::make_unique<turn>();
  turn_->tag = of.tag;
  turn_->to = to->member;
  turn_->session = ++session_;
  turn_->since = now;
  turn_->reader = journal_reader::make(std::move(catalog), store_->options().vfs);
  turn_->reader->want_keys();
  return to_target(of, {});
}

// Nothing: the turn is over.
std::optional<held_passer::message> held_passer::go_on(const held_origin& of, time_point now) {
  turn_->held_seq = std::max(turn_->held_seq, of.confirmed_seq);
  auto rows = read(of);
  if (!rows) {
    spdlog::error("replicas: what is held of node {} can't be read: {}", of.node,
                  rows.error().message);
    refuse(now);
    return std::nullopt;
  }
  if (turn_->is_damaged)
    note_partial(of, rows->empty() ? of.settled_seq : rows->back().block->last_seq());
  if (rows->empty()) {
    spdlog::info("replicas: another node holds the events of node {}, too{}", of.node,
                 of.partial_seq > of.confirmed_seq || turn_->is_damaged
                     ? ", but for those that can't be read here"
                     : "");
    passed_[of.tag] = {turn_->to, of.settled_seq};
    taken_at_ = now;
    turn_.reset();
    return std::nullopt;
  }
  turn_->sent_seq = rows->back().block->last_seq();
  turn_->is_waiting = true;
  turn_->since = now;
  return to_target(of, std::move(*rows));
}

// Streams of which nothing is owed are left out.
result<std::vector<wire_block>> held_passer::read(const held_origin& of) {
  const auto is_wanted = [&](const std::string& stream) {
    using enum backlog_events::portion;
    return !of.told || of.told->between(stream, turn_->held_seq + 1, of.settled_seq) != none;
  };
  std::vector<std::string> damage;
  auto read = turn_->reader->read_wanted(is_wanted, turn_->held_seq, max_replica_batch_bytes,
                                         max_replica_batch_rows, &damage);
  turn_->reader->release(); // an open segment can't be retired
  for (const auto& sentence : damage)
    spdlog::error("replicas: {}", sentence);
  turn_->is_damaged = !damage.empty();
  if (!read) return read.error();
  std::vector<wire_block> rows;
  for (auto& block : *read)
    rows.push_back({std::move(block)});
  return rows;
}

// Whoever gets them must not count them as all, nor may this node.
void held_passer::note_partial(const held_origin& of, std::uint64_t seq) {
  if (auto noted = store_->note_partial(of.tag, seq); !noted)
    spdlog::error("replicas: that events of node {} can't be read is not noted: {}", of.node,
                  noted.error().message);
}

held_passer::message held_passer::to_target(const held_origin& of,
                                            std::vector<wire_block> rows) const {
  const auto to = std::ranges::find(targets_, turn_->to, &target::member);
  PENSTOCK_ASSERT(to != targets_.end());
  replica_batch batch;
  if (to->version >= passing_wire_version) batch.version = passing_wire_version;
  batch.session = turn_->session;
  batch.tag = of.tag;
  batch.node = of.node;
  batch.confirmed_seq = of.confirmed_seq;
  batch.after_seq = turn_->held_seq;
  batch.rows = std::move(rows);
  if (batch.version >= passing_wire_version) batch.keys = keys_of(batch.rows);
  batch.is_passed_on = true;
  batch.is_partial =
      turn_->is_damaged || of.partial_seq > std::max(turn_->held_seq, of.confirmed_seq);
  return {to->replicas, std::move(batch)};
}

void held_passer::on_held(const replica_held& held, time_point now) {
  if (!turn_ || !turn_->is_waiting || held.session != turn_->session) return;
  if (!held.ok || held.settled_seq < turn_->sent_seq) {
    spdlog::warn("replicas: another node does not take what is to be passed on: {}",
                 held.ok ? "it lost some of it" : held.why);
    return refuse(now);
  }
  if (turn_->sent_seq > 0) taken_at_ = now; // a full node answers the question, and takes nothing
  turn_->is_waiting = false;
  turn_->held_seq = std::max(turn_->held_seq, held.settled_seq);
}

// -- what is known --------------------------------------------------------------------------------

bool held_passer::is_passed_on(const held_origin& of) const {
  return passed_up_to(of) >= of.settled_seq;
}

std::uint64_t held_passer::passed_up_to(const held_origin& of) const {
  const auto at = passed_.find(of.tag);
  const auto passed = at == passed_.end() ? 0 : at->second.up_to;
  const auto passing = turn_ && turn_->tag == of.tag ? turn_->held_seq : 0;
  return std::max({of.confirmed_seq, passed, passing});
}

std::uint64_t held_passer::single_events(const held_origin& of) const {
  const auto catalog = store_->catalog(of.tag);
  if (!catalog) return 0;
  const auto segments = catalog->list();
  const auto all_streams = [](const std::string&) { return true; };
  const auto passed = passed_up_to(of);
  const auto left = is_passed_on(of) ? 0 : count_at_most(segments, all_streams, passed);
  const auto unread_end = std::min(of.partial_seq, passed);
  if (unread_end <= of.confirmed_seq) return left;
  const auto most = count_at_most(segments, all_streams, of.confirmed_seq);
  return left + std::clamp<std::uint64_t>(most, 1, unread_end - of.confirmed_seq);
}

bool held_passer::is_stuck(const std::vector<held_origin>& origins, time_point since,
                           time_point now) const {
  if (now - std::max(since, taken_at_) >= 2 * holder_patience) return true;
  // As long as one of them may still go somewhere, it is worth to wait.
  return std::ranges::none_of(origins, [&](const held_origin& of) {
    const auto is_other = [&](const target& one) { return one.tag != of.tag; };
    return !is_passed_on(of) && std::ranges::any_of(targets_, is_other);
  });
}

} // namespace penstock
