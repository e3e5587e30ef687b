// Streams with ack = "published" or "replicated": what is durable is answered when the stream's
// sinks, or a second node, have it, or when that is not to be waited for any longer.
#include "actors/base/unpublished.hpp"
#include "actors/streams/stream_settings.hpp"
#include "net/base/retry_after.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/ingest/front_end.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>

namespace penstock {

namespace {

// Of a drain's time, for the answers to what waits until its end to reach the clients.
constexpr std::chrono::milliseconds max_drain_margin_ms{1'000};

std::string_view why_unreplicated(unpublished lack) {
  switch (lack) {
  case unpublished::alone:
    return "no other node is in reach that could hold them, too; they will be published.";
  case unpublished::draining:
    return "this node is ending, and no second one has said that it has them, too.";
  case unpublished::too_many:
    return "more requests wait for a second node than this one lets wait; they will be published.";
  default:
    return "no second node confirmed within the stream's replicate_timeout that it has them, too; "
           "they will be published.";
  }
}

std::string_view why_unpublished(unpublished lack) {
  switch (lack) {
  case unpublished::dead_letter:
    return "a sink of the stream refused one for good, which is kept as a dead letter and can be "
           "sent again by an operator.";
  case unpublished::draining:
    return "this node is ending, and they will be published when it runs again.";
  case unpublished::too_many:
    return "more requests wait for the stream's sinks than this node lets wait; they will be "
           "published.";
  default:
    return "the stream's sinks did not confirm them within its publish_timeout; they will be "
           "published.";
  }
}

} // namespace

bool front_end::feeds_publisher(const stream_settings& settings) const {
  return std::any_of(settings.sinks.begin(), settings.sinks.end(),
                     [this](auto& sink) { return parts_.publishers.contains(sink); });
}

// An embedded queue has what is durable, as it is the journal; and a claim is settled by what is
// on the disk, not by what is in memory.
ack_level front_end::ack_of(const incoming& in) const {
  const auto& settings = stream_settings_of(in.stream);
  if (settings.ack == ack_level::published)
    return feeds_publisher(settings) ? ack_level::published : ack_level::journaled;
  if (settings.ack == ack_level::replicated) return ack_level::replicated;
  return in.is_keyed ? ack_level::journaled : settings.ack;
}

// -- waiting --------------------------------------------------------------------------------------

// What a request's answer needs, without its batch.
std::unique_ptr<publish_wait> front_end::take_out(turn_batch& batch, waiting_request& r) {
  auto wait = std::make_unique<publish_wait>();
  wait->request = r;
  wait->plans = batch.plans;
  if (batch.details_of(r)) wait->details = std::move(batch.details[r.details]);
  return wait;
}

// The requests of a batch that is durable. Who has gone is not waited for.
void front_end::await_sinks(turn_batch& batch) {
  for (std::size_t i = 0; i < batch.requests.size(); ++i) {
    auto& r = batch.requests[i];
    if (r.answered || !waits_beyond_disk(r.ack) || !still_there(r)) continue;
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
void front_end::await_claimed(std::unique_ptr<turn_batch> batch) {
  auto& r = batch->requests[0];
  auto wait = take_out(*batch, r);
  const auto& claims = *wait->details.claims;
  wait->policy = claims.policy;
  await_published::item events{.client = batch->items[0].client};
  for (const auto& one : claims.all) {
    if (one.state != claim_state::accepted || one.member != parts_.self_member) continue;
    if (events.first_seq == 0) events.first_seq = one.seq;
    events.last_seq = one.seq + one.count - 1;
  }
  if (events.first_seq != 0)
    begin_wait(batch->blocks[r.block]->stream, events, std::move(wait));
  else
    end_wait(*wait, unpublished::no);
  release(std::move(batch));
}

void front_end::begin_wait(const std::string& stream, await_published::item events,
                           std::unique_ptr<publish_wait> wait) {
  const auto& settings = stream_settings_of(stream);
  const auto level = wait->request.ack;
  wait->policy = settings.on_timeout(level);
  if (level == ack_level::replicated) {
    if (!parts_.replicator) return end_wait(*wait, unpublished::alone);
    wait->sinks = 1;
  } else {
    for (const auto& sink : settings.sinks)
      wait->sinks += parts_.publishers.contains(sink);
    if (wait->sinks == 0) return end_wait(*wait, unpublished::no);
  }
  if (waits_.size() >= parts_.max_publish_waits) return end_wait(*wait, unpublished::too_many);
  if (draining_ && !still_there(wait->request)) return end_wait(*wait, unpublished::draining);
  wait->deadline_ns =
      parts_.loop.now_ns() + std::chrono::nanoseconds{settings.wait_ms(level)}.count();
  events.token = next_token_++;
  auto question = std::find_if(to_ask_.begin(), to_ask_.end(), [&](auto& one) {
    return one.level == level && one.what->stream == stream;
  });
  if (question == to_ask_.end()) {
    question = to_ask_.insert(to_ask_.end(), {level, std::make_shared<await_published>()});
    question->what->stream = stream;
    question->what->timeout_ms = settings.wait_ms(level);
    question->what->front_end = caf::actor_cast<caf::actor>(self_);
  }
  question->what->items.push_back(events);
  const auto bytes_before = waits_.bytes();
  waits_.add(events.token, std::move(wait));
  note_waits(bytes_before);
}

// One message a turn, stream and sink, or for the node's replicator.
void front_end::ask_whom_they_wait_for() {
  for (auto& question : to_ask_) {
    std::sort(question.what->items.begin(), question.what->items.end(),
              [](auto& a, auto& b) { return a.first_seq < b.first_seq; });
    const await_published_ptr message = std::move(question.what);
    if (question.level == ack_level::replicated) {
      self_->send(parts_.replicator, message);
      continue;
    }
    for (const auto& sink : stream_settings_of(message->stream).sinks)
      if (auto to = parts_.publishers.find(sink); to != parts_.publishers.end())
        self_->send(to->second, message);
  }
  to_ask_.clear();
}

// They count against max_in_flight as the bodies did before.
void front_end::note_waits(std::size_t bytes_before) {
  memory_.change(memory_part::waits, bytes_before, waits_.bytes());
  show_in_flight();
  parts_.metrics.publish_waits.set(static_cast<std::int64_t>(waits_.size()));
}

// -- the end of it --------------------------------------------------------------------------------

void front_end::on_published(const published_news& news) {
  parts_.loop.refresh_now();
  const auto bytes_before = waits_.bytes();
  for (const auto& item : news.items) {
    auto* wait = waits_.find(item.token);
    if (!wait || (item.published && --wait->sinks > 0)) continue;
    const auto lack =
        wait->request.ack == ack_level::replicated ? unpublished::alone : unpublished::dead_letter;
    end_wait(*waits_.take(item.token), item.published ? unpublished::no : lack);
  }
  note_waits(bytes_before);
}

void front_end::end_late_waits() {
  const auto bytes_before = waits_.bytes();
  const auto why = draining_ ? unpublished::draining : unpublished::late;
  while (auto wait = waits_.take_due(parts_.loop.now_ns()))
    end_wait(*wait, why);
  note_waits(bytes_before);
  if (!waits_.empty()) parts_.loop.wake_at(waits_.next_deadline_ns());
}

// A drain waits for sinks as long as it lasts, but for nobody who has gone; nor do peers, who have
// drains of their own.
void front_end::hurry_waits() {
  const auto margin = std::min(max_drain_margin_ms, parts_.drain_timeout_ms / 2);
  waits_.end_by(parts_.loop.now_ns() +
                std::chrono::nanoseconds{parts_.drain_timeout_ms - margin}.count());
  const auto bytes_before = waits_.bytes();
  for (auto token : waits_.tokens_if([this](auto& wait) { return !still_there(wait.request); }))
    end_wait(*waits_.take(token), unpublished::draining);
  note_waits(bytes_before);
}

void front_end::end_wait(publish_wait& wait, unpublished lack) {
  auto& r = wait.request;
  const auto* claims = wait.details.claims.get();
  bool stored = !claims;
  if (claims) {
    if (lack == unpublished::no) lack = claims->lack;
    for (const auto& one : claims->all) {
      stored = stored || one.state == claim_state::accepted || one.state == claim_state::repeat;
      if (one.state == claim_state::repeat && lack == unpublished::no) lack = unpublished::earlier;
    }
  }
  r.lack = lack;
  if (claims && claims->origin) { // counted where the client is
    if (lack == unpublished::no && r.ack == ack_level::replicated) r.lack = unpublished::replicated;
    return answer_origin(r, *claims);
  }
  if (stored) count_wait(r.ack, lack);
  if (claims) return answer_claimed(r, wait.details);
  const auto* details = r.details == waiting_request::no_details ? nullptr : &wait.details;
  if (lack == unpublished::no) return answer_stored(r, details, wait.first_seq, parts_.node.tag);
  answer_unpublished(r, stored_members(r, details, wait.first_seq, parts_.node.tag), wait.policy,
                     false);
}

void front_end::count_wait(ack_level level, unpublished lack) {
  auto& m = parts_.metrics;
  const bool replicated = level == ack_level::replicated;
  if (lack == unpublished::no)
    (replicated ? m.replicated : m.published).add();
  else
    (replicated ? m.unreplicated_answers : m.unpublished_answers)[static_cast<std::size_t>(lack)]
        .add();
}

// The members of an answer that says what is stored, without braces.
std::string front_end::stored_members(const waiting_request& r, const request_details* details,
                                      std::uint64_t first_seq, std::string_view tag) {
  if (details && details->is_batch) return batch_summary(r, *details, first_seq, tag);
  return "\"id\":\"" + event_id(first_seq, tag) + '"';
}

// What is true: the events are durable. A repeat is told no more and no worse than that.
void front_end::answer_unpublished(waiting_request& r, std::string members,
                                   unpublished_policy policy, bool has_key) {
  members += R"(,"ack":"journaled")";
  if (policy == unpublished_policy::accept || r.lack == unpublished::earlier)
    return answer(r, 202, [&](std::string& out) {
      writer_.json(out, context_of(r), 202, "{" + members + "}");
    });
  problem what{503, "The events are stored under the ids given here, but "};
  what.detail +=
      r.ack == ack_level::replicated ? why_unreplicated(r.lack) : why_unpublished(r.lack);
  what.detail += has_key ? " A repeat with the same key does not store them again."
                         : " To send them again would store them twice; a request with an "
                           "Idempotency-Key can be repeated safely.";
  what.members = std::move(members);
  answer(r, what.status, [&](std::string& out) {
    writer_.error(out, context_of(r), what, retry_when_unpublished_s);
  });
}

} // namespace penstock
