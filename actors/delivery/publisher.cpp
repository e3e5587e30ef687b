#include "actors/delivery/publisher.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace penstock {

publisher_state::publisher_state(self_ptr self)
    : context_{self}, streams_(context_), answers_(context_), saver_(context_, streams_),
      letters_(context_, answers_,
               [this](unstored_dead_letters& from, const dead_letters_stored& update) {
                 on_dead_letters_stored(from, update);
               }),
      health_(context_), lanes_(context_, health_), holds_(context_, streams_, health_, lanes_),
      dispatcher_(context_, health_, lanes_, holds_),
      reader_(context_, streams_, health_, dispatcher_, letters_),
      expiry_(context_, answers_, saver_, letters_, reader_),
      again_(context_, lanes_, dispatcher_) {}

void publisher_state::start(publisher_parts parts) {
  context_.start(std::move(parts));
  health_.start();
  lanes_.start();
  const auto newest = newest_of(context_.parts.catalog->list());
  streams_.start(context_.parts.saved, newest);
  for (const auto& [key, last] : newest)
    on_stream_seen(key);
  context_.self->send(context_.parts.journal, watch_streams{});
  context_.self->send(context_.self, upkeep_tick{});
}

void publisher_state::on_stream_seen(const std::string& seen) {
  if (auto* const of = streams_.find_or_add(seen)) reader_.pump(*of);
}

// -- batches --------------------------------------------------------------------------------------

void publisher_state::on_delivered(const lane_delivered& update) {
  const auto answer = lanes_.take_answer(update);
  if (!answer) return;
  const auto& from = answer->from;
  judge(update, from.stream, holds_.end_probe(from.stream));
  if (from.stream)
    settle(update.lane, *from.stream, answer->outcome);
  else
    again_.settle(update.lane, *from.job, answer->outcome);
  dispatcher_.dispatch();
  saver_.save_if_due();
  finish_drain_if_idle();
}

// What the batch says of the sink, and of its stream.
void publisher_state::judge(const lane_delivered& update, publisher_stream* of, bool was_probe) {
  const auto& outcome = update.outcome;
  const auto taken = outcome.count(settled_as::delivered);
  const auto refused = outcome.count(settled_as::refused);
  context_.parts.metrics->delivered.add(taken);
  health_.note_error(outcome, taken, refused);
  auto& breaker = health_.breaker();
  if (outcome.is_final) return breaker.on_nothing(); // nobody was asked
  if (taken + refused > 0) {
    health_.note_taken(taken);
    sink_answered();
    if (of) holds_.release(*of);
    const bool is_all = taken + refused == outcome.events.size();
    return change_state(is_all ? sink_state::ok : sink_state::retrying);
  }
  if (outcome.scope != failure_scope::sink) {
    sink_answered();
    if (of) holds_.hold_back(*of, outcome, was_probe);
    if (holds_.are_all_held()) return change_state(sink_state::open);
    if (health_.state() == sink_state::open) change_state(sink_state::retrying);
    return;
  }
  // A stream that is held says nothing of the sink, unless that is away as well.
  const bool counts = !was_probe || breaker.is_open();
  const bool opened = counts && breaker.on_failure(context_.now_ms(), context_.parts.random());
  if (of) holds_.hold_back(*of, outcome, was_probe);
  if (counts) change_state(opened || breaker.is_open() ? sink_state::open : sink_state::retrying);
}

/// It is there, whatever it said: what waits for it may go.
void publisher_state::sink_answered() {
  if (!health_.breaker().on_success()) return;
  for (auto& [key, of] : streams_) {
    reader_.pump(of);
    for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
      of.feed.lane(i).retry_now(context_.now_ms());
  }
}

void publisher_state::change_state(sink_state to) {
  if (health_.change_state(to)) publish_status();
}

void publisher_state::settle(std::uint32_t lane, publisher_stream& of, const delivery& outcome) {
  of.deliveries += outcome.count(settled_as::delivered);
  const auto settled =
      of.feed.settle(lane, outcome, context_.now_ms(), of.deliveries, context_.parts.random());
  if (!settled.delivered.empty()) saver_.note_moved(of);
  std::vector<publish_watches::answer> answers;
  for (const auto& dead : settled.dead)
    letters_.add(of, lane, dead, answers);
  answers_.tell(answers);
  letters_.send();
  answers_.advance(of, lane);
  holds_.shrink(of);
  dispatcher_.enqueue(lane, {&of, nullptr});
  letters_.condemn(of);
  reader_.pump(of);
}

// -- dead letters ---------------------------------------------------------------------------------

void publisher_state::on_dead_letters_stored(unstored_dead_letters& from,
                                             const dead_letters_stored& update) {
  const auto letters = letters_.take_answer(from, update);
  // Fewer then; a single one waits for the next upkeep.
  if (letters.empty()) return letters_.send(from);
  for (const auto& letter : letters) {
    letters_.tell_death(letter);
    auto* const of = streams_.find(letter.stream);
    if (!of) continue;
    of->feed.dead_letter_done(letter.seq, letter.client);
    saver_.note_moved(*of);
    answers_.advance(*of, of->feed.lane_of(letter.client));
    reader_.pump(*of);
  }
  letters_.send(from);
  condemn_all();
  dispatcher_.dispatch();
  saver_.save_if_due();
}

void publisher_state::condemn_all() {
  for (auto& [key, of] : streams_)
    letters_.condemn(of);
}

// -- who waits ------------------------------------------------------------------------------------

void publisher_state::on_await(const await_published_ptr& request) {
  auto* const of = streams_.find_or_add(request->stream);
  if (!of) return; // fed to others since a reload: the front end's deadline tells
  answers_.await(*of, *request);
  reader_.pump(*of);
}

// -- time -----------------------------------------------------------------------------------------

void publisher_state::on_wake(const wake_up& wake) {
  if (!context_.is_awake(wake)) return;
  dispatcher_.dispatch();
  saver_.save_if_due();
}

void publisher_state::on_upkeep() {
  streams_.note_moves();
  const auto [segments, durable] = context_.parts.catalog->snapshot();
  const auto newest = newest_of(segments);
  streams_.find_new(newest);
  for (auto& [key, of] : streams_) {
    of.read_failed = false;
    reader_.refresh_unread(of);
    of.watches.forget_expired(context_.now_ms());
    expiry_.expire_old(of);
    reader_.pump(of);
  }
  forget_idle(durable, newest);
  saver_.tell_keeper(durable);
  publish_status();
  letters_.tell_rest();
  holds_.tell_rest();
  context_.parts.reader->release(); // an open segment can't be retired
  letters_.send();
  condemn_all();
  saver_.save_if_due();
  dispatcher_.dispatch();
  context_.self->delayed_send(context_.self, publisher_upkeep_interval, upkeep_tick{});
}

/// Lets go the streams of which nothing is owed. `newest` is what there was at `durable`.
void publisher_state::forget_idle(std::uint64_t durable,
                                  const publisher_streams::newest_map& newest) {
  for (auto* const of : streams_.idle(durable)) {
    lanes_.drop({of, nullptr}); // it has nothing there, but may still stand in a queue
    holds_.drop(*of);
    streams_.forget(*of, durable, newest);
  }
  streams_.forget_gone(newest);
}

void publisher_state::publish_status() {
  const auto& parts = context_.parts;
  std::vector<sink_lag> lags;
  auto told = std::make_shared<sink_backlog>();
  told->sink = parts.sink;
  for (const auto& [key, of] : streams_) {
    sink_lag lag{.sink = parts.sink, .kind = parts.kind, .stream = key};
    lag.events = of.lag().events;
    lag.bytes = of.lag().bytes;
    if (const auto oldest = of.feed.oldest_time_ms())
      lag.oldest_ms = std::max<std::int64_t>(0, parts.wall_ms() - *oldest);
    lag.expired = of.expired;
    told->streams.push_back(
        {key, {lag.events, lag.bytes}, lag.oldest_ms, of.unread.appended(), of.is_stuck});
    lags.push_back(std::move(lag));
  }
  context_.self->send(parts.journal, sink_backlog_ptr{std::move(told)});
  holds_.tell(lags);
  health_.publish(std::move(lags));
}

// -- the end --------------------------------------------------------------------------------------

// What is left is counted anew, not looked up in the status, which may be a second old.
publish_left publisher_state::on_publish_rest() {
  auto& breaker = health_.breaker();
  breaker.hurry(context_.now_ms(), max_drain_pause.count());
  holds_.hurry();
  streams_.find_new(newest_of(context_.parts.catalog->list()));
  publish_left out{0, breaker.is_open()};
  std::uint64_t held = 0; // of out.events
  for (auto& [key, of] : streams_) {
    of.read_failed = false;
    reader_.refresh_unread(of);
    // At least one where nobody has counted.
    const auto left = of.lag().events + (of.unread.is_exact() ? 0 : 1);
    out.events += left;
    if (of.hold.is_held()) held += left;
    // The breaker alone paces the probes; a lane may be told to wait while it is closed.
    for (std::uint32_t i = 0; breaker.is_open() && i < of.feed.lanes(); ++i)
      of.feed.lane(i).retry_now(context_.now_ms());
    reader_.pump(of);
  }
  out.is_open = out.is_open || (held > 0 && held == out.events);
  publish_status();
  dispatcher_.dispatch();
  return out;
}

void publisher_state::on_drain(caf::response_promise promise) {
  context_.is_draining = true;
  drained_ = std::move(promise);
  context_.self->delayed_send(context_.self, publisher_drain_time, caf::tick_atom::value);
  finish_drain_if_idle();
}

void publisher_state::finish_drain_if_idle() {
  if (!context_.is_draining || !lanes_.all_idle()) return;
  if (saver_.is_dirty()) saver_.save();
  if (saver_.is_dirty())
    spdlog::error("sink {}: the last cursors could not be saved; their events will be sent again, "
                  "with the same ids",
                  context_.parts.sink);
  again_.give_up();
  context_.parts.stop_sink();
  lanes_.stop();
  drained_.deliver(drained{});
  context_.self->quit();
}

publisher_self::behavior_type publisher(publisher_self::stateful_pointer<publisher_state> self,
                                        publisher_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  return {
      [self](const fetch_reply& reply) { self->state.on_fetched(reply); },
      [self](const stream_seen& update) { self->state.on_stream_seen(update.stream); },
      [self](const lane_delivered& update) { self->state.on_delivered(update); },
      [self](const deliver_again_ptr& request) -> caf::result<again_done> {
        self->state.on_again(request, self->make_response_promise());
        return caf::delegated<again_done>{};
      },
      [self](const await_published_ptr& request) { self->state.on_await(request); },
      [self](publish_rest) { return self->state.on_publish_rest(); },
      [self](const wake_up& wake) { self->state.on_wake(wake); },
      [self](const space_rules_changed& update) { self->state.change_rules(update.rule_of); },
      [self](const upkeep_tick&) { self->state.on_upkeep(); },
      [self](caf::tick_atom) { self->state.give_up(); },
      [self](const drain&) -> caf::result<drained> {
        self->state.on_drain(self->make_response_promise());
        return caf::delegated<drained>{};
      },
  };
}

} // namespace penstock
