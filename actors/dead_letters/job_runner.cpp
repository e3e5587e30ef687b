#include "actors/dead_letters/job_runner.hpp"

#include "actors/base/error_text.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/dead_letters/pacing.hpp"
#include "storage/base/told.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

void job_runner::start(tools with, job_kind kind, job_hooks hooks,
                       std::function<std::int64_t()> wall_ms) {
  with_ = std::move(with);
  kind_ = kind;
  hooks_ = std::move(hooks);
  wall_ms_ = std::move(wall_ms);
  const auto kept = hooks_.list();
  if (!kept) return spdlog::error("the jobs of before can't be read: {}", kept.error().message);
  for (const auto& job : *kept)
    if (job.state == job_state::running) add(job);
}

std::int64_t job_runner::now_us() const {
  const auto now = with_.now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

void job_runner::add(const delivery_job& job) {
  auto& of = jobs_[job.number];
  of.job = job; // a chunk of its former life may still be under way
  of.due_us = std::max(of.due_us, now_us());
  step(of);
}

void job_runner::on_publishers(const publishers_known& update) {
  publishers_ = update.publishers;
  publishers_known_ = true;
  // A step may end its job.
  for (auto next = jobs_.begin(); next != jobs_.end();)
    step((next++)->second);
}

void job_runner::on_step(const job_step& due) {
  const auto found = jobs_.find(due.number);
  if (found == jobs_.end()) return;
  found->second.waking = false;
  step(found->second);
}

const delivery_job* job_runner::find(std::uint64_t number) const {
  const auto found = jobs_.find(number);
  return found == jobs_.end() ? nullptr : &found->second.job;
}

std::size_t job_runner::running() const {
  return static_cast<std::size_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& one) {
    return one.second.job.state == job_state::running;
  }));
}

job_list_ptr job_runner::list() const {
  auto list = std::make_shared<job_list>();
  auto kept = hooks_.list();
  list->ok = kept.has_value();
  if (!kept) list->why = kept.error();
  if (kept) list->jobs = std::move(*kept);
  for (auto& job : list->jobs)
    if (const auto* now = find(job.number)) job = *now;
  return list;
}

job_answer job_runner::get(std::uint64_t number) const {
  if (const auto* job = find(number)) return {true, {}, *job};
  const auto kept = hooks_.find(number);
  if (!kept) return {false, kept.error(), {}};
  if (*kept) return {true, {}, **kept};
  delivery_job wanted;
  wanted.kind = kind_;
  wanted.number = number;
  return {false, {errc::not_found, "there is no job " + job_id(wanted)}, {}};
}

job_answer job_runner::cancel(std::uint64_t number) {
  auto answer = get(number);
  if (!answer.ok || answer.job.state != job_state::running) return answer;
  auto& of = jobs_.at(number);
  auto ended = of.job;
  ended.state = job_state::cancelled;
  ended.why.clear();
  ended.changed_ms = wall_ms_();
  if (auto saved = hooks_.save(ended); !saved) return {false, saved.error(), {}};
  of.job = ended;
  if (!of.under_way) jobs_.erase(number);
  return {true, {}, ended};
}

void job_runner::drain(caf::response_promise promise) {
  draining_ = true;
  drained_.push_back(std::move(promise));
  tell_drained();
}

void job_runner::tell_drained() {
  const bool busy =
      std::any_of(jobs_.begin(), jobs_.end(), [](const auto& one) { return one.second.under_way; });
  if (!draining_ || busy) return;
  for (auto& promise : drained_)
    promise.deliver(drained{});
  drained_.clear();
}

// -- sending --------------------------------------------------------------------------------------

void job_runner::step(running_job& of) {
  if (draining_ || !publishers_known_ || of.under_way || of.waking ||
      of.job.state != job_state::running)
    return;
  const auto now = now_us();
  if (now < of.due_us) return wake(of, of.due_us);
  if (!of.chunk) {
    auto next = hooks_.next(of.job, paced_chunk(of.job.rate));
    if (!next) {
      const auto code = next.error().code;
      const bool final = code == errc::not_found || code == errc::invalid;
      return final ? fail(of, told(of, next.error())) : try_again(of, told(of, next.error()));
    }
    if (next->batch.events.empty()) return end(of);
    of.chunk = std::make_shared<const job_chunk>(std::move(*next));
  }
  of.due_us = next_due_us(of.due_us, now, of.chunk->batch.events.size(), of.job.rate);
  send(of);
}

void job_runner::send(running_job& of) {
  const auto number = of.job.number;
  const auto to = publishers_.find(of.chunk->sink);
  if (to == publishers_.end())
    return fail(of, "there is no sink " + quote(of.chunk->sink) +
                        " that is published to; see [sinks] in the configuration");
  of.under_way = true;
  auto request = std::make_shared<const deliver_again>(deliver_again{of.chunk->batch});
  with_.deliver(to->second, request,
                [this, number](const again_done& done) { on_done(number, done); });
}

void job_runner::on_done(std::uint64_t number, const again_done& done) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  auto& of = found->second;
  const auto& events = of.chunk->batch.events;
  const auto failed = std::count(done.events.begin(), done.events.end(), settled_as::failed);
  if (!done.ok || done.events.size() != events.size() || failed > 0)
    return try_again(of, done.ok ? "the publisher gave some events back" : told(of, done.why));
  auto after = of.job;
  const auto refused = static_cast<std::uint64_t>(
      std::count(done.events.begin(), done.events.end(), settled_as::refused));
  after.sent += events.size() - refused;
  after.refused += refused;
  after.next_seq = of.chunk->next_seq;
  after.changed_ms = wall_ms_();
  hooks_.settle(after, *of.chunk, done, [this, number, after](const result<void>& outcome) {
    on_settled(number, after, outcome);
  });
}

void job_runner::on_settled(std::uint64_t number, const delivery_job& after,
                            const result<void>& outcome) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  auto& of = found->second;
  // What the sink has is sent again, with the same ids, until it could be noted.
  if (!outcome) return try_again(of, told(of, outcome.error()));
  of.under_way = false;
  of.chunk = nullptr;
  of.job.sent = after.sent;
  of.job.refused = after.refused;
  of.job.next_seq = after.next_seq;
  of.job.changed_ms = after.changed_ms;
  of.job.why.clear();
  if (of.job.state != job_state::running) { // cancelled meanwhile
    if (auto saved = hooks_.save(of.job); !saved)
      spdlog::error("job {}: {}", job_id(of.job), saved.error().message);
    jobs_.erase(found);
  } else {
    // Not straight on: other messages have their turn, and no stack grows.
    wake(of, of.due_us);
  }
  tell_drained();
}

// -- ends -----------------------------------------------------------------------------------------

// Why a job stands still is shown to whoever asks the admin plane for it.
std::string job_runner::told(const running_job& of, const error& why) {
  auto text = told_to_clients(why);
  if (text != why.message && text != of.job.why)
    spdlog::warn("job {}: {}", job_id(of.job), why.message);
  return text;
}

void job_runner::try_again(running_job& of, const std::string& why) {
  of.under_way = false;
  if (of.job.state != job_state::running || draining_) {
    if (of.job.state != job_state::running) jobs_.erase(of.job.number);
    return tell_drained();
  }
  if (of.job.why != why) spdlog::warn("job {}: {}; trying again", job_id(of.job), why);
  of.job.why = why;
  of.due_us = now_us() + std::chrono::microseconds{job_retry_interval}.count();
  wake(of, of.due_us);
}

void job_runner::fail(running_job& of, const std::string& why) {
  auto ended = of.job;
  ended.state = job_state::failed;
  ended.why = why;
  ended.changed_ms = wall_ms_();
  if (auto saved = hooks_.save(ended); !saved) return try_again(of, told(of, saved.error()));
  spdlog::error("job {}: {}", job_id(ended), why);
  jobs_.erase(ended.number);
}

void job_runner::end(running_job& of) {
  of.job.state = job_state::done;
  of.job.changed_ms = wall_ms_();
  if (auto saved = hooks_.finish(of.job); !saved) {
    of.job.state = job_state::running;
    return try_again(of, told(of, saved.error()));
  }
  spdlog::info("job {}: {}, {} events sent, {} refused", job_id(of.job), name_of(of.job.state),
               of.job.sent, of.job.refused);
  jobs_.erase(of.job.number);
}

void job_runner::wake(running_job& of, std::int64_t at_us) {
  if (of.waking) return;
  of.waking = true;
  const auto delay = std::chrono::microseconds{std::max<std::int64_t>(at_us - now_us(), 0)};
  with_.remind(delay, job_step{of.job.number});
}

} // namespace penstock
