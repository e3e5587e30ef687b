#include "actors/usage/usage_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "storage/base/told.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <iterator>
#include <limits>

namespace penstock {

namespace {

constexpr std::size_t max_described_bytes = 256; // of a node's name and address
constexpr std::uint64_t max_usage_count = std::numeric_limits<std::int64_t>::max();

bool is_usable(const usage_state& row) {
  const auto& counts = row.counts;
  return static_cast<std::size_t>(row.period) < usage_periods &&
         static_cast<std::size_t>(row.by) < usage_dimensions &&
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

// -- writing --------------------------------------------------------------------------------------

void usage_actor_state::take(const usage_batch_ptr& batch) {
  const auto size = batch->size();
  if (pending_entries_ + size > parts_.max_pending_entries) {
    parts_.metrics->lost.add(size);
    return;
  }
  parts_.metrics->entries.add(size);
  pending_entries_ += size;
  pending_.push_back(batch);
  if (parts_.pending) parts_.pending->add(size * bytes_per_pending_usage);
}

result<void> usage_actor_state::write() {
  if (pending_.empty()) return {};
  std::vector<usage_key> changed;
  const auto written = parts_.store->write(pending_, changed);
  note(written);
  if (!written) return written; // all of it again with the next
  if (copying_) copying_->changed(changed);
  pending_.clear();
  if (parts_.pending) parts_.pending->sub(pending_entries_ * bytes_per_pending_usage);
  pending_entries_ = 0;
  return {};
}

usage_written usage_actor_state::write_now(const usage_write& more) {
  auto done = write();
  std::vector<usage_key> changed;
  if (done && !more.batches.empty()) done = parts_.store->write(more.batches, changed);
  if (!done) return {false, done.error()};
  if (copying_) copying_->changed(changed);
  return {};
}

void usage_actor_state::trim() {
  for (int i = 0; i < max_usage_trims; ++i) {
    const auto more = parts_.store->trim(parts_.keep, parts_.wall_ms(), usage_trim_rows);
    if (!more) note(more.error());
    if (!more || !*more) break;
  }
  if (parts_.copies) trim_copies();
  parts_.metrics->rows.set(static_cast<std::int64_t>(parts_.store->rows()));
}

void usage_actor_state::trim_copies() {
  auto to_visit = parts_.copies->all().size();
  for (int i = 0; i < max_usage_trims && to_visit > 0; ++i) {
    const auto more = parts_.copies->trim(parts_.keep, parts_.wall_ms(), usage_trim_rows);
    if (!more) note(more.error());
    if (!more || !*more) --to_visit;
  }
}

void usage_actor_state::note(const result<void>& outcome) {
  if (outcome) {
    last_problem_.clear();
    return;
  }
  parts_.metrics->failures.add();
  if (outcome.error().message != last_problem_)
    spdlog::error("usage: can't be written, trying again: {}", outcome.error().message);
  last_problem_ = outcome.error().message;
}

usage_self::behavior_type usage_actor(usage_self::stateful_pointer<usage_actor_state> self,
                                      usage_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->delayed_send(self, usage_write_interval, caf::tick_atom::value);
  return {
      [self](const usage_batch_ptr& batch) { self->state.take(batch); },
      [self](const usage_write& more) { return self->state.write_now(more); },
      [self](const peer_up& peer) { self->state.peer_came(peer); },
      [self](const peer_down& peer) { self->state.peer_went(peer); },
      [self](const usage_greeting& by) {
        self->state.is_greeted(by, sender_as<usage_handle>(self));
      },
      [self](const usage_copy& theirs) {
        self->state.take_copy(theirs, sender_as<usage_handle>(self));
      },
      [self](const usage_copied& outcome) { self->state.is_copied(outcome); },
      [self](const usage_sources_question&) { return self->state.sources(); },
      [self](usage_hand_over) { return self->state.hand_over(); },
      [self](caf::tick_atom) {
        (void)self->state.write();
        self->state.trim();
        self->state.send_copies();
        self->state.show_copies();
        self->delayed_send(self, usage_write_interval, caf::tick_atom::value);
      },
      [self](const drain&) {
        (void)self->state.write();
        self->quit();
        return drained{};
      },
  };
}

// -- reading --------------------------------------------------------------------------------------

// -- other nodes --------------------------------------------------------------------------------

void usage_actor_state::peer_came(const peer_up& peer) {
  if (!copying_ || !peer.usage || peer.version < usage_wire_version) return;
  peers_[peer.member] = peer.usage;
  copying_->peer_came(peer.member, peer.address);
  // Who connected first greets before this node knows that it is linked.
  if (const auto early = early_greetings_.extract(peer.usage.address()))
    copying_->greeted(peer.member, early.mapped());
  self_->send(peer.usage, usage_greeting{parts_.store->about().origin, copying_->is_leaving()});
}

void usage_actor_state::peer_went(const peer_down& peer) {
  if (!copying_ || peers_.erase(peer.member) == 0) return;
  copying_->peer_went(peer.member, parts_.wall_ms());
  send_copies();
}

void usage_actor_state::is_greeted(const usage_greeting& by, const usage_handle& sender) {
  if (!copying_ || !sender) return;
  const auto known =
      std::ranges::find_if(peers_, [&](const auto& each) { return each.second == sender; });
  if (known != peers_.end())
    copying_->greeted(known->first, by);
  else if (early_greetings_.size() < max_early_greetings)
    early_greetings_.insert_or_assign(sender.address(), by);
  send_copies();
}

void usage_actor_state::take_copy(const usage_copy& theirs, const usage_handle& sender) {
  if (!sender) return;
  usage_copied outcome{theirs.number, true};
  // Who leaves would take it along.
  if (!copying_ || copying_->is_leaving() || !is_usable(theirs)) {
    outcome.ok = false;
  } else if (theirs.about.origin != parts_.store->about().origin) {
    outcome.ok = keep_copy(theirs);
  } // else it is this node's own, which has all of it
  self_->send(sender, outcome);
}

bool usage_actor_state::keep_copy(const usage_copy& theirs) {
  const auto kept = parts_.copies->raise(theirs.rows, theirs.about);
  if (!kept && kept.error().code == errc::unavailable) {
    parts_.metrics->copies_refused.add();
    if (!std::exchange(is_full_told_, true))
      spdlog::error("usage: {}; what a further one counted is kept by no second node",
                    kept.error().message);
    return false;
  }
  note(kept ? result<void>{} : result<void>{kept.error()});
  // What says nothing new is not passed on: else two nodes that keep it would tell each other for
  // ever.
  if (kept && *kept) copying_->copy_came(theirs.about.origin);
  return kept.has_value();
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

void usage_actor_state::show_copies() {
  if (!copying_) return;
  is_full_told_ = is_full_told_ && parts_.copies->is_full();
  parts_.metrics->copies.set(static_cast<std::int64_t>(parts_.copies->all().size()));
  parts_.metrics->copies_waiting.set(
      static_cast<std::int64_t>(copying_->waiting_copies(parts_.wall_ms())));
}

// What waits is written first, so that a report lacks nothing that was handed over here.
usage_sources usage_actor_state::sources() {
  (void)write();
  auto about = parts_.store->about();
  about.known_ms = parts_.wall_ms();
  usage_sources out;
  out.all.push_back({std::move(about), false, parts_.store->names()});
  if (!parts_.copies) return out;
  out.copy_names = parts_.copies->names();
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

void lower_thread_priority() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0) ::setpriority(PRIO_PROCESS, 0, 19);
}

namespace {

std::function<bool()> give_up_of(const usage_reader_parts& parts) {
  const auto deadline = std::chrono::steady_clock::now() + max_usage_report_time;
  return [&stopping = *parts.stopping, deadline] {
    return stopping.load(std::memory_order_relaxed) || std::chrono::steady_clock::now() >= deadline;
  };
}

usage_answer answer_to(const usage_reader_parts& parts, const usage_query& query) {
  auto report = parts.reader->run(query, give_up_of(parts));
  if (!report) return {false, report.error(), {}};
  return {true, {}, std::move(*report)};
}

// Ids as they are, or buckets where the query names an id.
using usage_sums = boost::unordered_flat_map<std::string, usage_row>;

usage_query query_of(const usage_part_question& question) {
  usage_query query{question.by, question.per, question.from_s, question.to_s};
  if (!question.id.empty()) query.id = question.id;
  return query;
}

result<void> add_part(const usage_reader_parts& parts, const usage_part_question& question,
                      usage_reader& from, usage_sums& to) {
  const auto query = query_of(question);
  auto rows = from.run_part(query, question.part, question.parts, give_up_of(parts));
  if (!rows) return rows.error();
  for (auto& row : *rows) {
    const auto key = query.id ? std::to_string(row.start_s) : row.id;
    const auto [at, fresh] = to.try_emplace(key, row);
    if (!fresh) at->second.counts += row.counts;
  }
  return {};
}

result<void> add_parts(const usage_reader_parts& parts, const usage_part_question& question,
                       usage_sums& to) {
  std::vector<std::string> copies;
  std::ranges::remove_copy(question.origins, std::back_inserter(copies), parts.origin);
  if (copies.size() < question.origins.size())
    if (auto added = add_part(parts, question, *parts.reader, to); !added) return added;
  if (copies.empty()) return {};
  if (!parts.open_copies) return error{errc::not_found, "this node has no such copy"};
  const auto opened = parts.open_copies(copies);
  if (!opened) return opened.error();
  return add_part(parts, question, **opened, to);
}

usage_part part_of(const usage_reader_parts& parts, const usage_part_question& question) {
  if (static_cast<std::size_t>(question.by) >= usage_dimensions ||
      static_cast<std::size_t>(question.per) >= usage_periods)
    return {false, true, "this node knows no such usage", {}};
  usage_sums sums;
  if (auto added = add_parts(parts, question, sums); !added)
    return {false, added.error().code == errc::invalid, told_to_clients(added.error()), {}};
  usage_part out{true, false, {}, {}};
  out.rows.reserve(sums.size());
  for (auto& [key, row] : sums)
    out.rows.push_back(std::move(row));
  return out;
}

void begin_reading(usage_reader_parts& parts) {
  // In the handler rather than at the start, where it might still be the thread that spawns.
  if (parts.yields) lower_thread_priority();
  parts.yields = false;
}

} // namespace

usage_reader_handle::behavior_type
usage_reader_actor(usage_reader_handle::stateful_pointer<usage_reader_state> self,
                   usage_reader_parts parts) {
  end_process_on_exception(self);
  self->state.parts = std::move(parts);
  return {
      [self](const usage_query_ptr& query) -> usage_answer_ptr {
        auto& own = self->state.parts;
        begin_reading(own);
        return std::make_shared<const usage_answer>(answer_to(own, *query));
      },
      [self](const usage_part_question& question) {
        begin_reading(self->state.parts);
        return part_of(self->state.parts, question);
      },
      [self](const drain&) { self->quit(); },
  };
}

} // namespace penstock
