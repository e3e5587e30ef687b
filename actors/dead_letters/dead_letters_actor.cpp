#include "actors/dead_letters/dead_letters_actor.hpp"

#include "actors/base/error_text.hpp"
#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "storage/base/checksum.hpp"
#include "storage/events/event_id.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

result<void> check_replay_sink(const sink_kinds& sinks, const std::string& sink,
                               const std::string& stream) {
  const auto found = sinks.find(sink);
  if (found == sinks.end()) {
    std::string names;
    for (const auto& [name, kind] : sinks)
      if (kind != "embedded") names += (names.empty() ? "" : ", ") + name;
    return error{errc::not_found, "there is no sink " + quote(sink) +
                                      (names.empty() ? "; the configuration has none to send to"
                                                     : "; there are " + names)};
  }
  if (found->second != "embedded") return {};
  return error{errc::invalid, quote(sink) +
                                  " is the embedded queue, which is the journal itself: nothing "
                                  "needs to be sent to it. Read again with 'penstock consume " +
                                  (stream.empty() ? "STREAM" : stream) + " --from ID|TIME'"};
}

void dead_letters_state::start(dead_letters_parts parts) {
  parts_ = std::move(parts);
  job_hooks hooks;
  hooks.list = [this] { return parts_.store->list_retries(); };
  hooks.find = [this](std::uint64_t number) { return parts_.store->find_retry(number); };
  hooks.next = [this](const delivery_job& job, std::size_t max) { return next(job, max); };
  hooks.settle = [this](const delivery_job& after, const job_chunk& chunk, const again_done& done,
                        const std::function<void(result<void>)>& then) {
    settle(after, chunk, done, then);
  };
  hooks.finish = [this](delivery_job& job) { return parts_.store->save(job); };
  hooks.save = [this](const delivery_job& job) { return parts_.store->save(job); };
  runner_.start(self_, job_kind::retry, std::move(hooks), parts_.wall_ms);
  publish();
}

// -- letters --------------------------------------------------------------------------------------

dead_letters_stored
dead_letters_state::store_dead_letters(const struct store_dead_letters& request) {
  const auto& share = parts_.unconfigured;
  const bool is_shared =
      share.counts && std::ranges::any_of(request.letters, [&](const auto& letter) {
        return share.counts(letter.stream);
      });
  const auto kept = parts_.store->add(request.letters, is_shared ? share : letter_share{});
  if (!kept) {
    parts_.metrics->store_failures.add();
    return {false, kept.error()};
  }
  parts_.metrics->stored.add(request.letters.size());
  changed();
  return {};
}

dead_letters_page_ptr dead_letters_state::list(const list_dead_letters& request) {
  auto page = std::make_shared<dead_letters_page>();
  const auto limit = std::min(request.limit, max_dead_letters_page);
  // One more than asked for tells whether there are more.
  auto found = parts_.store->list(request.filter, request.after, limit + 1, request.with_bodies);
  auto tallies = parts_.store->tallies();
  if (!found || !tallies) {
    page->ok = false;
    page->why = found ? tallies.error() : found.error();
    return page;
  }
  page->letters = std::move(*found);
  page->tallies = std::move(*tallies);
  std::uint64_t bytes = 0;
  for (const auto& kept : page->letters)
    bytes += kept.letter.body.size();
  const bool cut = page->letters.size() > limit;
  if (cut) page->letters.pop_back();
  if (cut || bytes > dead_letter_read_bytes) page->next = page->letters.back().number;
  return page;
}

dead_letters_dropped dead_letters_state::drop(const drop_dead_letters& request) {
  const auto dropped = parts_.store->remove(request.filter);
  if (!dropped) return {false, dropped.error(), 0};
  if (*dropped > 0) spdlog::info("dead letters: {} dropped on request", *dropped);
  changed();
  return {true, {}, *dropped};
}

void dead_letters_state::changed() {
  if (publishing_) return;
  publishing_ = true;
  self_->delayed_send(self_, dead_letters_publish_interval, caf::tick_atom::value);
}

void dead_letters_state::publish() {
  publishing_ = false;
  if (auto tallies = parts_.store->tallies()) parts_.metrics->publish(std::move(*tallies));
  parts_.metrics->bytes.set(static_cast<std::int64_t>(parts_.store->bytes()));
}

// -- retries --------------------------------------------------------------------------------------

job_answer dead_letters_state::retry(const retry_dead_letters& request) {
  if (!request.filter.sink.empty())
    if (auto known = check_replay_sink(parts_.sinks, request.filter.sink, request.filter.stream);
        !known)
      return {false, known.error(), {}};
  if (runner_.running() >= max_running_jobs)
    return {
        false, {errc::unavailable, "as many retries run as may; wait for one or cancel it"}, {}};
  delivery_job job;
  job.sink = request.filter.sink;
  job.stream = request.filter.stream;
  job.rate = request.rate;
  job.created_ms = job.changed_ms = parts_.wall_ms();
  const auto made = parts_.store->begin_retry(request.filter, std::move(job));
  if (!made) return {false, made.error(), {}};
  job_answer answer{true, {}, *made};
  if (made->number == 0)
    answer.job.state = job_state::done;
  else
    runner_.add(*made);
  return answer;
}

result<job_chunk> dead_letters_state::next(const delivery_job& job, std::size_t max_events) {
  for (;;) {
    auto read = parts_.store->next_chunk(job.number, max_events, max_again_bytes);
    if (!read) return read.error();
    for (const auto& id : read->damaged)
      spdlog::error("job {}: what is stored of the dead letter {} is damaged; it is not sent",
                    job_id(job), event_id(id.seq, readable_name(id.tag)));
    job_chunk chunk;
    if (read->letters.empty()) return chunk;
    const auto sink = parts_.sinks.find(read->sink);
    if (sink == parts_.sinks.end() || sink->second == "embedded") {
      if (auto left = leave_out(*read, job); !left) return left.error();
      continue;
    }
    chunk.sink = read->sink;
    chunk.batch.stream = read->stream;
    chunk.batch.tag = read->tag;
    for (const auto& kept : read->letters)
      chunk.batch.events.push_back({block_of(kept.letter), 0});
    chunk.letters = std::move(read->letters);
    return chunk;
  }
}

/// Letters of a sink that was taken out of the configuration stay as they are.
result<void> dead_letters_state::leave_out(const retry_chunk& chunk, const delivery_job& job) {
  spdlog::warn("job {}: {} dead letters stay: there is no sink {} to send to", job_id(job),
               chunk.letters.size(), quote(chunk.sink));
  return parts_.store->settle({{}, chunk.letters}, job);
}

void dead_letters_state::settle(const delivery_job& after, const job_chunk& chunk,
                                const again_done& done,
                                const std::function<void(result<void>)>& then) {
  retry_outcome outcome;
  std::size_t refusal = 0;
  for (std::size_t i = 0; i < chunk.letters.size(); ++i) {
    const auto& kept = chunk.letters[i];
    if (done.events[i] == settled_as::delivered) {
      outcome.delivered.push_back(kept.number);
      continue;
    }
    auto again = kept;
    if (refusal < done.reasons.size()) again.letter.reason = done.reasons[refusal];
    ++refusal;
    ++again.letter.tries;
    again.letter.died_ms = parts_.wall_ms();
    outcome.refused.push_back(std::move(again));
  }
  const auto settled = parts_.store->settle(outcome, after);
  if (settled) {
    parts_.metrics->retried.add(outcome.delivered.size());
    parts_.metrics->refused_again.add(outcome.refused.size());
    changed();
  }
  then(settled);
}

dead_letters_self::behavior_type
dead_letters_actor(dead_letters_self::stateful_pointer<dead_letters_state> self,
                   dead_letters_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  return {
      [self](const store_dead_letters_ptr& request) {
        return self->state.store_dead_letters(*request);
      },
      [self](const list_dead_letters& request) { return self->state.list(request); },
      [self](const drop_dead_letters& request) { return self->state.drop(request); },
      [self](const retry_dead_letters& request) { return self->state.retry(request); },
      [self](list_jobs) { return self->state.runner().list(); },
      [self](get_job which) { return self->state.runner().get(which.number); },
      [self](cancel_job which) { return self->state.runner().cancel(which.number); },
      [self](resume_job which) {
        auto answer = self->state.runner().get(which.number);
        if (!answer.ok || answer.job.state == job_state::running) return answer;
        return job_answer{false,
                          {errc::invalid, "a retry that ended can't go on; start another: what it "
                                          "did not send still is a dead letter"},
                          {}};
      },
      [self](const publishers_known& update) { self->state.runner().on_publishers(update); },
      [self](job_step due) { self->state.runner().on_step(due); },
      [self](caf::tick_atom) { self->state.publish(); },
      [self](const drain&) -> caf::result<drained> {
        self->state.runner().drain(self->make_response_promise());
        return caf::delegated<drained>{};
      },
  };
}

} // namespace penstock
