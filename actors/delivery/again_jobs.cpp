#include "actors/delivery/again_jobs.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace penstock {

void again_jobs::begin(const deliver_again_ptr& request, caf::response_promise promise) {
  const auto refuse = [&](error why) {
    again_done out;
    out.ok = false;
    out.why = std::move(why);
    promise.deliver(std::move(out));
  };
  const auto& events = request->batch.events;
  if (context_.is_draining) return refuse({errc::unavailable, "the node is draining"});
  if (events.size() > max_again_events)
    return refuse({errc::invalid, "more than " + std::to_string(max_again_events) + " events"});
  if (jobs_.size() >= max_again_requests)
    return refuse({errc::unavailable, "the sink " + context_.parts.sink + " sends " +
                                          std::to_string(max_again_requests) +
                                          " requests again already, as many as may be"});
  auto& job = jobs_.emplace_back();
  job.request = request;
  job.promise = std::move(promise);
  job.lanes.assign(lanes_.size(), lane_feed{context_.rules});
  job.out.events.assign(events.size(), settled_as::failed);
  job.reasons.resize(events.size());
  job.open = events.size();
  for (std::uint32_t i = 0; i < events.size(); ++i)
    job.lanes[events[i].client() % lanes_.size()].add(events[i], i, context_.now_ms());
  if (job.open == 0) return finish(job);
  dispatcher_.enqueue({nullptr, &job});
  dispatcher_.dispatch();
}

// Who asks for events to be sent learns soon that their target is missing.
void again_jobs::settle(std::uint32_t lane, again_job& job, delivery outcome) {
  auto& feed = job.lanes[lane];
  if (outcome.scope == failure_scope::missing) {
    std::replace(outcome.events.begin(), outcome.events.end(), settled_as::failed,
                 settled_as::refused);
    outcome.refusal = outcome.failure;
  }
  job.deliveries += outcome.count(settled_as::delivered);
  const auto settled =
      feed.settle(outcome, context_.now_ms(), job.deliveries, context_.parts.random());
  for (const auto& done : settled.delivered)
    job.out.events[done.ref] = settled_as::delivered;
  for (const auto& dead : settled.dead) {
    job.out.events[dead.ref] = settled_as::refused;
    job.reasons[dead.ref] = dead.reason;
    feed.dead_letter_done(dead.event.seq());
  }
  PENSTOCK_ASSERT(job.open >= settled.delivered.size() + settled.dead.size());
  job.open -= settled.delivered.size() + settled.dead.size();
  if (job.open == 0) return finish(job);
  dispatcher_.enqueue(lane, {nullptr, &job});
}

void again_jobs::finish(again_job& job) {
  for (std::size_t i = 0; i < job.out.events.size(); ++i)
    if (job.out.events[i] == settled_as::refused)
      job.out.reasons.push_back(std::move(job.reasons[i]));
  job.promise.deliver(std::move(job.out));
  lanes_.drop({nullptr, &job});
  jobs_.remove_if([&](const again_job& other) { return &other == &job; });
}

void again_jobs::give_up() {
  for (auto& job : jobs_) {
    job.out.ok = false;
    job.out.why = {errc::unavailable, "the node is draining"};
    job.promise.deliver(std::move(job.out));
  }
  jobs_.clear();
}

} // namespace penstock
