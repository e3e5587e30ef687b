#include "actors/dead_letters/replay_actor.hpp"

#include "actors/base/error_text.hpp"
#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/base/utc_time.hpp"
#include "storage/events/event_id.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

/// The oldest segment that holds events.
std::optional<segment_info> journal_begin(const segment_catalog& catalog) {
  for (auto& segment : catalog.list())
    if (segment.first_seq > 0) return segment;
  return std::nullopt;
}

} // namespace

void replay_state::start(replay_parts parts) {
  parts_ = std::move(parts);
  job_hooks hooks;
  hooks.list = [this] { return parts_.store->list(); };
  hooks.find = [this](std::uint64_t number) { return parts_.store->find(number); };
  hooks.next = [this](const delivery_job& job, std::size_t max) { return next(job, max); };
  hooks.settle = [this](const delivery_job& after, const job_chunk& chunk, const again_done& done,
                        const std::function<void(result<void>)>& then) {
    settle(after, chunk, done, then);
  };
  hooks.finish = [this](delivery_job& job) { return finish(job); };
  hooks.save = [this](const delivery_job& job) {
    if (job.state != job_state::running) readings_.erase(job.number);
    return parts_.store->save(job);
  };
  runner_.start(self_, job_kind::replay, std::move(hooks), parts_.wall_ms);
  note_running();
}

void replay_state::note_running() {
  parts_.metrics->running.set(static_cast<std::int64_t>(runner_.running()));
}

// -- starting -------------------------------------------------------------------------------------

error replay_state::retired(const segment_info& begin) const {
  return {errc::not_found,
          "'from': the journal begins at " + event_id(begin.first_seq, parts_.tag) + ", accepted " +
              utc_time(begin.first_time_ms) +
              "; what came before was retired when every sink had it (journal.retention keeps it "
              "longer). Leave 'from' out to replay all that there is"};
}

result<std::uint64_t> replay_state::first_seq(const start_replay& request,
                                              const segment_info& begin) {
  const bool some_retired = begin.first_seq > 1;
  if (request.from.seq) {
    if (some_retired && *request.from.seq < begin.first_seq) return retired(begin);
    return std::max(*request.from.seq, begin.first_seq);
  }
  if (!request.from.time_ms) return begin.first_seq;
  if (some_retired && *request.from.time_ms < begin.first_time_ms) return retired(begin);
  const auto before = parts_.reader->seq_before_time(request.stream, *request.from.time_ms);
  if (!before) return before.error();
  return std::max(*before + 1, begin.first_seq);
}

result<replay_state::range> replay_state::resolve(const start_replay& request) {
  range out{1, 0};
  const auto begin = journal_begin(*parts_.catalog);
  if (!begin) return out;
  out.last = parts_.catalog->durable_seq();
  const auto first = first_seq(request, *begin);
  if (!first) return first.error();
  out.first = *first;
  if (request.to.seq) out.last = std::min(out.last, *request.to.seq);
  if (request.to.time_ms) {
    const auto up_to = parts_.reader->seq_before_time(request.stream, *request.to.time_ms + 1);
    if (!up_to) return up_to.error();
    out.last = std::min(out.last, *up_to);
  }
  return out;
}

job_answer replay_state::begin(const start_replay& request) {
  const auto refuse = [](error why) { return job_answer{false, std::move(why), {}}; };
  if (auto known = check_replay_sink(parts_.sinks, request.sink, request.stream); !known)
    return refuse(known.error());
  if (!request.dry_run && runner_.running() >= max_running_jobs)
    return refuse({errc::unavailable, "as many replays run as may; wait for one or cancel it"});
  const auto where = resolve(request);
  if (!where) return refuse(where.error());
  delivery_job job;
  if (where->first <= where->last) {
    const auto count = parts_.reader->count_between(request.stream, where->first - 1, where->last);
    if (!count) return refuse(count.error());
    job.total = *count;
  }
  parts_.reader->release();
  job.stream = request.stream;
  job.sink = request.sink;
  job.from_seq = job.next_seq = where->first;
  job.to_seq = where->last;
  job.rate = request.rate;
  job.created_ms = job.changed_ms = parts_.wall_ms();
  if (request.dry_run) return {true, {}, std::move(job)};
  if (job.total == 0)
    return refuse({errc::not_found, "the journal has no events of stream " + quote(request.stream) +
                                        " in this range"});
  const auto made = parts_.store->add(std::move(job));
  if (!made) return refuse(made.error());
  runner_.add(*made);
  note_running();
  return {true, {}, *made};
}

// -- sending --------------------------------------------------------------------------------------

result<job_chunk> replay_state::next(const delivery_job& job, std::size_t max_events) {
  auto& from = readings_[job.number];
  if (from.next_seq != job.next_seq) from = {}; // it went back to what is kept on disk
  job_chunk chunk;
  chunk.sink = job.sink;
  chunk.batch.stream = job.stream;
  chunk.batch.tag = parts_.tag;
  chunk.batch.again = "-" + job_id(job);
  chunk.next_seq = job.next_seq;
  if (from.block == from.blocks.size() && job.next_seq <= job.to_seq) {
    std::vector<std::string> damage;
    auto read = parts_.reader->read(job.stream, job.next_seq - 1, replay_read_bytes, &damage);
    parts_.reader->release();
    for (const auto& sentence : damage)
      spdlog::error("job {}: {}", job_id(job), sentence);
    if (!read) return read.error();
    from.blocks = std::move(*read);
    from.block = 0;
  }
  std::uint64_t bytes = 0;
  while (from.block < from.blocks.size() && chunk.batch.events.size() < max_events &&
         bytes < max_again_bytes) {
    const auto& block = from.blocks[from.block];
    const auto seq = std::max(chunk.next_seq, block->first_seq);
    if (seq > job.to_seq) break;
    if (seq > block->last_seq()) {
      ++from.block;
      continue;
    }
    const auto index = static_cast<std::uint32_t>(seq - block->first_seq);
    bytes += block->body(index).size();
    if (bytes > max_again_bytes && !chunk.batch.events.empty()) break;
    chunk.batch.events.push_back({block, index});
    chunk.next_seq = seq + 1;
  }
  from.next_seq = chunk.next_seq;
  return chunk;
}

void replay_state::settle(const delivery_job& after, const job_chunk& chunk, const again_done& done,
                          const std::function<void(result<void>)>& then) {
  auto request = std::make_shared<store_dead_letters>();
  for (std::size_t i = 0; i < done.events.size(); ++i) {
    if (done.events[i] != settled_as::refused) continue;
    const auto nth = request->letters.size();
    auto letter = letter_of(*chunk.batch.events[i].block, chunk.batch.events[i].index);
    letter.sink = chunk.sink;
    letter.tag = chunk.batch.tag;
    if (nth < done.reasons.size()) letter.reason = done.reasons[nth];
    letter.tries = 1;
    letter.died_ms = parts_.wall_ms();
    request->letters.push_back(std::move(letter));
  }
  const auto sent = done.events.size() - request->letters.size();
  const auto refused = request->letters.size();
  auto save = [this, after, sent, refused, then] {
    const auto saved = parts_.store->save(after);
    if (saved) parts_.metrics->sent.add(sent);
    if (saved) parts_.metrics->refused.add(refused);
    then(saved);
    note_running();
  };
  if (request->letters.empty()) return save();
  self_->request(parts_.dead_letters, caf::infinite, store_dead_letters_ptr{request})
      .then(
          [save, then](const dead_letters_stored& kept) {
            if (kept.ok) return save();
            then(kept.why);
          },
          [then](const caf::error&) {
            then(error{errc::unavailable, "the keeper of dead letters is gone"});
          });
}

result<void> replay_state::finish(delivery_job& job) {
  const auto settled = job.sent + job.refused;
  if (settled < job.total) {
    const auto begin = journal_begin(*parts_.catalog);
    job.state = job_state::failed;
    job.why = std::to_string(job.total - settled) + " of " + std::to_string(job.total) +
              " events were retired from the journal before they were replayed, or can't be read";
    if (begin) job.why += "; it begins at " + event_id(begin->first_seq, parts_.tag) + " now";
  }
  readings_.erase(job.number);
  auto saved = parts_.store->save(job);
  note_running();
  return saved;
}

// -- jobs -----------------------------------------------------------------------------------------

job_answer replay_state::cancel(std::uint64_t number) {
  auto answer = runner_.cancel(number);
  note_running();
  return answer;
}

job_answer replay_state::resume(std::uint64_t number) {
  auto answer = runner_.get(number);
  if (!answer.ok || answer.job.state == job_state::running) return answer;
  if (answer.job.state == job_state::done)
    return {
        false, {errc::invalid, "it is done; start another replay to send its events again"}, {}};
  if (runner_.running() >= max_running_jobs)
    return {
        false, {errc::unavailable, "as many replays run as may; wait for one or cancel it"}, {}};
  answer.job.state = job_state::running;
  answer.job.why.clear();
  answer.job.changed_ms = parts_.wall_ms();
  if (auto saved = parts_.store->save(answer.job); !saved) return {false, saved.error(), {}};
  runner_.add(answer.job);
  note_running();
  return answer;
}

replay_self::behavior_type replay_actor(replay_self::stateful_pointer<replay_state> self,
                                        replay_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  return {
      [self](const start_replay& request) { return self->state.begin(request); },
      [self](list_jobs) { return self->state.runner().list(); },
      [self](get_job which) { return self->state.runner().get(which.number); },
      [self](cancel_job which) { return self->state.cancel(which.number); },
      [self](resume_job which) { return self->state.resume(which.number); },
      [self](const publishers_known& update) { self->state.runner().on_publishers(update); },
      [self](job_step due) { self->state.runner().on_step(due); },
      [self](const drain&) -> caf::result<drained> {
        self->state.runner().drain(self->make_response_promise());
        return caf::delegated<drained>{};
      },
  };
}

} // namespace penstock
