#include "net/ingest/ack_waits.hpp"

#include "net/http/front_end_metrics.hpp"
#include "storage/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

// Of a drain's time, for the answers to what waits until its end to reach the clients.
constexpr std::chrono::milliseconds max_drain_margin_ms{1'000};

} // namespace

// What a request's answer needs, without its batch.
std::unique_ptr<publish_wait> ack_waits::take_out(turn_batch& batch, waiting_request& r) {
  auto wait = std::make_unique<publish_wait>();
  wait->request = r;
  wait->plans = batch.plans;
  if (batch.details_of(r)) wait->details = std::move(batch.details[r.details]);
  return wait;
}

// The requests of a batch that is durable. Who has gone is not waited for.
void ack_waits::await_sinks(turn_batch& batch) {
  for (std::size_t i = 0; i < batch.requests.size(); ++i) {
    auto& r = batch.requests[i];
    if (r.answered || !waits_beyond_disk(r.ack) || !responder_.still_there(r)) continue;
    const auto& block = *batch.blocks[r.block];
    const auto first = block.first_seq + r.first;
    auto wait = take_out(batch, r);
    wait->first_seq = first;
    begin_wait(block.stream, {0, batch.items[i].client, first, first + r.count - 1},
               std::move(wait));
    r.answered = true;
  }
}

// A request with claims, all of which are settled. What was stored before, or by another node, is
// not asked about here.
void ack_waits::await_claimed(std::unique_ptr<turn_batch> batch) {
  auto& r = batch->requests[0];
  auto wait = take_out(*batch, r);
  const auto& claims = *wait->details.claims;
  wait->policy = claims.policy;
  await_published::item events{.client = batch->items[0].client};
  for (const auto& one : claims.all) {
    if (one.state != claim_state::accepted || one.member != settings_.self_member) continue;
    if (events.first_seq == 0) events.first_seq = one.seq;
    events.last_seq = one.seq + one.count - 1;
  }
  if (events.first_seq != 0)
    begin_wait(batch->blocks[r.block]->stream, events, std::move(wait));
  else
    end_wait(*wait, unpublished::no);
  pool_.release(std::move(batch));
}

void ack_waits::begin_wait(const std::string& stream, await_published::item events,
                           std::unique_ptr<publish_wait> wait) {
  const auto& settings = rules_.settings_of(stream);
  const auto level = wait->request.ack;
  wait->policy = settings.on_timeout(level);
  if (level == ack_level::replicated) {
    if (!settings_.replicator) return end_wait(*wait, unpublished::alone);
    wait->sinks = 1;
  } else {
    for (const auto& sink : settings.sinks)
      wait->sinks += settings_.publishers.contains(sink);
    if (wait->sinks == 0) return end_wait(*wait, unpublished::no);
  }
  if (waits_.size() >= settings_.max_waits) return end_wait(*wait, unpublished::too_many);
  if (lane_.draining && !responder_.still_there(wait->request))
    return end_wait(*wait, unpublished::draining);
  wait->deadline_ns =
      lane_.loop.now_ns() + std::chrono::nanoseconds{settings.wait_ms(level)}.count();
  events.token = lane_.take_token();
  const auto token = events.token;
  add_question(stream, level, events);
  const auto bytes_before = waits_.bytes();
  waits_.add(token, std::move(wait));
  note_waits(bytes_before);
}

void ack_waits::add_question(const std::string& stream, ack_level level,
                             await_published::item events) {
  auto question = std::find_if(to_ask_.begin(), to_ask_.end(), [&](auto& one) {
    return one.level == level && one.what->stream == stream;
  });
  if (question == to_ask_.end()) {
    question = to_ask_.insert(to_ask_.end(), {level, std::make_shared<await_published>()});
    question->what->stream = stream;
    question->what->timeout_ms = rules_.settings_of(stream).wait_ms(level);
    question->what->front_end = lane_.address();
  }
  question->what->items.push_back(events);
}

// One message a turn, stream and sink, or for the node's replicator.
void ack_waits::ask_whom_they_wait_for() {
  for (auto& question : to_ask_) {
    std::sort(question.what->items.begin(), question.what->items.end(),
              [](auto& a, auto& b) { return a.first_seq < b.first_seq; });
    const await_published_ptr message = std::move(question.what);
    if (question.level == ack_level::replicated) {
      lane_.self->send(settings_.replicator, message);
      continue;
    }
    for (const auto& sink : rules_.settings_of(message->stream).sinks)
      if (auto to = settings_.publishers.find(sink); to != settings_.publishers.end())
        lane_.self->send(to->second, message);
  }
  to_ask_.clear();
}

// They count against max_in_flight as the bodies did before.
void ack_waits::note_waits(std::size_t bytes_before) {
  lane_.memory.change(memory_part::waits, bytes_before, waits_.bytes());
  lane_.show_in_flight();
  lane_.metrics.publish_waits.set(static_cast<std::int64_t>(waits_.size()));
}

void ack_waits::on_published(const published_update& update) {
  lane_.loop.refresh_now();
  const auto bytes_before = waits_.bytes();
  for (const auto& item : update.items) {
    auto* wait = waits_.find(item.token);
    if (!wait) continue;
    PENSTOCK_ASSERT(wait->sinks > 0);
    if (item.published && --wait->sinks > 0) continue;
    const auto shortfall =
        wait->request.ack == ack_level::replicated ? unpublished::alone : unpublished::dead_letter;
    end_wait(*waits_.take(item.token), item.published ? unpublished::no : shortfall);
  }
  note_waits(bytes_before);
}

void ack_waits::end_late_waits() {
  if (waits_.empty()) return;
  const auto bytes_before = waits_.bytes();
  const auto why = lane_.draining ? unpublished::draining : unpublished::late;
  while (auto wait = waits_.take_due(lane_.loop.now_ns()))
    end_wait(*wait, why);
  note_waits(bytes_before);
  if (!waits_.empty()) lane_.loop.wake_at(waits_.next_deadline_ns());
}

// A drain waits for sinks as long as it lasts, but for nobody who has gone; nor do peers, who have
// drains of their own.
void ack_waits::hurry(std::chrono::milliseconds drain_timeout_ms) {
  const auto margin = std::min(max_drain_margin_ms, drain_timeout_ms / 2);
  waits_.end_by(lane_.loop.now_ns() + std::chrono::nanoseconds{drain_timeout_ms - margin}.count());
  const auto bytes_before = waits_.bytes();
  for (auto token :
       waits_.tokens_if([this](auto& wait) { return !responder_.still_there(wait.request); }))
    end_wait(*waits_.take(token), unpublished::draining);
  note_waits(bytes_before);
}

void ack_waits::end_wait(publish_wait& wait, unpublished shortfall) {
  auto& r = wait.request;
  const auto* claims = wait.details.claims.get();
  bool stored = !claims;
  if (claims) {
    if (shortfall == unpublished::no) shortfall = claims->shortfall;
    for (const auto& one : claims->all) {
      stored = stored || one.state == claim_state::accepted || one.state == claim_state::repeat;
      if (one.state == claim_state::repeat && shortfall == unpublished::no)
        shortfall = unpublished::earlier;
    }
  }
  r.shortfall = shortfall;
  if (claims && claims->origin) { // counted where the client is
    if (shortfall == unpublished::no && r.ack == ack_level::replicated)
      r.shortfall = unpublished::replicated;
    return claim_answers_.answer_origin(r, *claims);
  }
  if (stored) count_wait(r.ack, shortfall);
  if (claims) return claim_answers_.answer_claimed(r, wait.details);
  const auto* details = r.details == waiting_request::no_details ? nullptr : &wait.details;
  if (shortfall == unpublished::no)
    return responder_.answer_stored(r, details, wait.first_seq, lane_.node.tag);
  responder_.answer_unpublished(
      r, responder_.stored_members(r, details, wait.first_seq, lane_.node.tag), wait.policy, false);
}

void ack_waits::count_wait(ack_level level, unpublished shortfall) {
  auto& m = lane_.metrics;
  const bool replicated = level == ack_level::replicated;
  if (shortfall == unpublished::no)
    (replicated ? m.replicated : m.published).add();
  else
    (replicated ? m.unreplicated_answers
                : m.unpublished_answers)[static_cast<std::size_t>(shortfall)]
        .add();
}

} // namespace penstock
