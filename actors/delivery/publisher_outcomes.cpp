// The publisher's other half: what became of batches.
#include "actors/delivery/publisher.hpp"
#include "actors/delivery/sink_metrics.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

dead_letter letter_of(const lane_feed::dead_event& dead, const std::string& sink,
                      const std::string& tag, std::int64_t now_ms) {
  auto out = letter_of(*dead.event.block, dead.event.index);
  out.sink = sink;
  out.tag = tag;
  out.reason = dead.reason;
  out.tries = dead.tries;
  out.died_ms = now_ms;
  return out;
}

std::uint64_t delivered_of(const delivery& outcome) {
  return static_cast<std::uint64_t>(
      std::count(outcome.events.begin(), outcome.events.end(), settled_as::delivered));
}

} // namespace

// -- batches --------------------------------------------------------------------------------------

void publisher_state::on_delivered(const lane_delivered& news) {
  if (news.lane >= lanes_.size() || lanes_[news.lane].token != news.token) return;
  auto& from = lanes_[news.lane];
  auto outcome = news.outcome;
  outcome.events.resize(from.events, settled_as::failed);
  from.token = 0;
  const auto source_of = std::exchange(from.busy_with, {});
  if (source_of.of) --source_of.of->in_flight;
  const bool was_probe = source_of.of && source_of.of == probed_;
  if (was_probe) {
    probed_ = nullptr;
    budget_.on_done(now_ms());
  }
  parts_.metrics->inflight_batches.add(-1);
  parts_.metrics->batch_us.observe(news.took_us);
  judge(news, source_of, was_probe);
  if (source_of.of)
    settle_stream(news.lane, *source_of.of, outcome);
  else
    settle_again(news.lane, *source_of.job, outcome);
  dispatch();
  save_if_due();
  finish_drain_if_idle();
}

void publisher_state::note_error(const delivery& outcome, std::uint64_t taken,
                                 std::uint64_t refused) {
  if (taken + refused < outcome.events.size() || outcome.events.empty()) {
    parts_.metrics->failures.add();
    last_error_ = outcome.failure;
    last_error_ms_ = parts_.wall_ms();
  } else if (refused > 0) {
    last_error_ = outcome.refusal;
    last_error_ms_ = parts_.wall_ms();
  }
}

/// It is there, whatever it said: what waits for it may go.
void publisher_state::sink_answered() {
  if (!breaker_.on_success()) return;
  for (auto& [key, of] : streams_) {
    pump(of);
    for (std::uint32_t i = 0; i < of.feed.lanes(); ++i)
      of.feed.lane(i).retry_now(now_ms());
  }
}

// What the batch says of the sink, and of its stream.
void publisher_state::judge(const lane_delivered& news, const source& from, bool was_probe) {
  const auto& events = news.outcome.events;
  const auto count = [&](settled_as how) {
    return static_cast<std::uint64_t>(std::count(events.begin(), events.end(), how));
  };
  const auto taken = count(settled_as::delivered), refused = count(settled_as::refused);
  parts_.metrics->delivered.add(taken);
  note_error(news.outcome, taken, refused);
  if (news.outcome.is_final) return breaker_.on_nothing(); // nobody was asked
  if (taken + refused > 0) {
    taken_ += taken;
    sink_answered();
    if (from.of) release(*from.of);
    return set_state(taken + refused == events.size() ? sink_state::ok : sink_state::retrying);
  }
  if (news.outcome.scope != failure_scope::sink) {
    sink_answered();
    if (from.of) hold_back(*from.of, news.outcome, was_probe);
    if (is_all_held()) return set_state(sink_state::open);
    if (state_ == sink_state::open) set_state(sink_state::retrying);
    return;
  }
  // A stream that is held says nothing of the sink, unless that is away as well.
  const bool counts = !was_probe || breaker_.is_open();
  const bool opened = counts && breaker_.on_failure(now_ms(), parts_.random());
  if (from.of) hold_back(*from.of, news.outcome, was_probe);
  if (counts) set_state(opened || breaker_.is_open() ? sink_state::open : sink_state::retrying);
}

void publisher_state::set_state(sink_state state) {
  if (state == state_) return;
  if (state == sink_state::open)
    spdlog::warn("sink {}: takes nothing; its events stay in the journal, and it is tried now and "
                 "then: {}",
                 parts_.sink, last_error_);
  else if (state == sink_state::retrying && state_ == sink_state::ok &&
           parts_.wall_ms() >= quiet_until_ms_) {
    spdlog::info("sink {}: a batch was not taken, trying again: {}", parts_.sink, last_error_);
    quiet_until_ms_ = parts_.wall_ms() + retrying_told_interval.count();
  } else if (state_ == sink_state::open)
    spdlog::info("sink {}: takes events again", parts_.sink);
  const bool matters = state == sink_state::open || state_ == sink_state::open;
  state_ = state;
  if (matters) publish_status();
}

void publisher_state::settle_stream(std::uint32_t lane_number, stream& of,
                                    const delivery& outcome) {
  of.deliveries += delivered_of(outcome);
  const auto settled =
      of.feed.settle(lane_number, outcome, now_ms(), of.deliveries, parts_.random());
  if (!settled.delivered.empty()) of.dirty = dirty_ = true;
  std::vector<publish_watches::answer> answers;
  for (const auto& dead : settled.dead)
    bury_event(lane_number, of, dead, answers);
  tell_front_ends(answers);
  send_bury();
  advance_watches(of, lane_number);
  shrink(of);
  enqueue(lane_number, {&of, nullptr});
  condemn(of);
  pump(of);
}

void publisher_state::bury_event(std::uint32_t lane_number, stream& of,
                                 const lane_feed::dead_event& dead,
                                 std::vector<publish_watches::answer>& answers) {
  burials_of(of.feed.stream()).add(
      letter_of(dead, parts_.sink, parts_.tag, parts_.wall_ms()));
  of.watches.died(lane_number, dead.event.seq(), answers);
}

// -- dead letters ---------------------------------------------------------------------------------

void publisher_state::tell_death(const dead_letter& letter) {
  if (++dead_since_upkeep_ > max_deaths_told) return;
  spdlog::warn("sink {}: event {:016x}-{} of stream '{}' is a dead letter{}: {}", parts_.sink,
               letter.seq, parts_.tag, letter.stream,
               letter.tries > 0 ? fmt::format(" after {} tries", letter.tries) : "", letter.reason);
}

burial_queue& publisher_state::burials_of(const std::string& stream_name) {
  const bool is_configured = !parts_.is_configured || parts_.is_configured(stream_name);
  return is_configured ? burials_ : unconfigured_burials_;
}

void publisher_state::send_bury() {
  send_bury(burials_);
  send_bury(unconfigured_burials_);
}

void publisher_state::send_bury(burial_queue& from) {
  auto letters = from.next(now_ms());
  if (letters.empty()) return;
  auto message = std::make_shared<bury>();
  message->letters = std::move(letters);
  self_->request(parts_.dead_letters, caf::infinite, bury_ptr{std::move(message)})
      .then([this, &from](const buried& news) { on_buried(from, news); },
            [this, &from](const caf::error& why) {
              on_buried(from, {false, {errc::unavailable, to_string(why)}});
            });
}

void publisher_state::on_buried(burial_queue& from, const buried& news) {
  if (!news.ok) {
    if (const auto told = from.failed(news.why, now_ms()))
      spdlog::error("sink {}: dead letters can't be kept, so their lanes' cursors stay: {}",
                    parts_.sink, *told);
    return send_bury(from); // fewer; a single one waits for the next upkeep
  }
  const auto letters = from.kept();
  parts_.metrics->refused.add(letters.size());
  for (const auto& letter : letters) {
    tell_death(letter);
    const auto at = streams_.find(letter.stream);
    if (at == streams_.end()) continue;
    auto& of = at->second;
    of.feed.bury_done(letter.seq, letter.client);
    of.dirty = dirty_ = true;
    advance_watches(of, of.feed.lane_of(letter.client));
    pump(of);
  }
  send_bury(from);
  condemn_all();
  dispatch();
  save_if_due();
}

// -- who waits ------------------------------------------------------------------------------------

void publisher_state::on_await(const await_published_ptr& request) {
  auto front_end = std::find(front_ends_.begin(), front_ends_.end(), request->front_end);
  if (front_end == front_ends_.end())
    front_end = front_ends_.insert(front_ends_.end(), request->front_end);
  const auto number = static_cast<std::uint32_t>(front_end - front_ends_.begin());
  std::vector<publish_watches::answer> answers;
  auto* of = find(request->stream);
  if (!of) return; // fed to others since a reload: the front end's deadline tells
  for (const auto& item : request->items) {
    const auto lane_number = of->feed.lane_of(item.client);
    const auto confirmed = of->feed.confirmed(lane_number);
    of->watches.add(
        lane_number,
        {item.token, item.first_seq, item.last_seq, number, now_ms() + request->timeout_ms.count()},
        confirmed, answers);
  }
  tell_front_ends(answers);
  pump(*of);
}

void publisher_state::advance_watches(stream& of, std::uint32_t lane_number) {
  if (of.watches.size() == 0) return;
  std::vector<publish_watches::answer> answers;
  of.watches.advance(lane_number, of.feed.confirmed(lane_number), answers);
  tell_front_ends(answers);
}

void publisher_state::tell_front_ends(const std::vector<publish_watches::answer>& answers) {
  std::map<std::uint32_t, published_news> messages;
  for (const auto& one : answers)
    messages[one.front_end].items.push_back({one.token, one.published});
  for (auto& [number, message] : messages)
    self_->send(front_ends_[number], std::move(message));
}

// -- sending again --------------------------------------------------------------------------------

void publisher_state::on_again(const deliver_again_ptr& request, caf::response_promise promise) {
  const auto refuse = [&](error why) {
    again_done out;
    out.ok = false;
    out.why = std::move(why);
    promise.deliver(std::move(out));
  };
  const auto& events = request->batch.events;
  if (draining_) return refuse({errc::unavailable, "the node is draining"});
  if (events.size() > max_again_events)
    return refuse({errc::invalid, "more than " + std::to_string(max_again_events) + " events"});
  if (jobs_.size() >= max_again_requests)
    return refuse({errc::unavailable, "the sink " + parts_.sink + " sends " +
                                          std::to_string(max_again_requests) +
                                          " requests again already, as many as may be"});
  auto& job = jobs_.emplace_back();
  job.request = request;
  job.promise = std::move(promise);
  job.lanes.assign(lanes_.size(), lane_feed{rules_});
  job.out.events.assign(events.size(), settled_as::failed);
  job.reasons.resize(events.size());
  job.open = events.size();
  for (std::uint32_t i = 0; i < events.size(); ++i)
    job.lanes[events[i].client() % lanes_.size()].add(events[i], i, now_ms());
  if (job.open == 0) return finish_again(job);
  for (std::uint32_t i = 0; i < lanes_.size(); ++i)
    enqueue(i, {nullptr, &job});
  dispatch();
}

// Who asks for events to be sent learns soon that their target is missing.
void publisher_state::settle_again(std::uint32_t lane_number, again_job& job, delivery outcome) {
  auto& feed = job.lanes[lane_number];
  if (outcome.scope == failure_scope::missing) {
    std::replace(outcome.events.begin(), outcome.events.end(), settled_as::failed,
                 settled_as::refused);
    outcome.refusal = outcome.failure;
  }
  job.deliveries += delivered_of(outcome);
  const auto settled = feed.settle(outcome, now_ms(), job.deliveries, parts_.random());
  for (const auto& done : settled.delivered)
    job.out.events[done.ref] = settled_as::delivered;
  for (const auto& dead : settled.dead) {
    job.out.events[dead.ref] = settled_as::refused;
    job.reasons[dead.ref] = dead.reason;
    feed.bury_done(dead.event.seq());
  }
  job.open -= settled.delivered.size() + settled.dead.size();
  if (job.open == 0) return finish_again(job);
  enqueue(lane_number, {nullptr, &job});
}

void publisher_state::finish_again(again_job& job) {
  for (std::size_t i = 0; i < job.out.events.size(); ++i)
    if (job.out.events[i] == settled_as::refused)
      job.out.reasons.push_back(std::move(job.reasons[i]));
  job.promise.deliver(std::move(job.out));
  for (auto& one : lanes_)
    std::erase(one.queue, source{nullptr, &job});
  jobs_.remove_if([&](const again_job& other) { return &other == &job; });
}

} // namespace penstock
