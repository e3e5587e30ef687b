#include "cli/node/node_drain.hpp"

#include <spdlog/spdlog.h>

#include <thread>
#include <utility>

namespace penstock {

namespace {

/// Who looked at the drain so lately is told how it ended: the admin plane answers on for a moment.
constexpr std::chrono::seconds drain_reader_time{2};
constexpr std::chrono::seconds drain_farewell_time{1};

} // namespace

std::chrono::milliseconds time_until(std::chrono::steady_clock::time_point until) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds{1});
}

node_drain::node_drain(node_core& core, const std::vector<unit*>& units, drain_status& board)
    : core_(core), units_(units), board_(board) {}

//   serving ─ begin ─► announcing ─ announce, the delay ─► answering ─ answer ─► handing_over
//     ─ hand_over, pass_on, commit, count_backlog ─► publishing ─ publish ─► closing ─
//     tell_holders, leave, save_… ─► ended
bool node_drain::run() {
  begin();
  enter(drain_stage::announcing);
  // First the others take over; requests that come meanwhile are decided by them.
  const auto served_until = clock::now() + core_.settings.drain_delay_ms;
  take(drain_step::announce);
  std::this_thread::sleep_until(served_until);
  enter(drain_stage::answering);
  take(drain_step::answer);
  enter(drain_stage::handing_over);
  take(drain_step::hand_over);
  take(drain_step::pass_on);
  take(drain_step::commit);
  take(drain_step::count_backlog);
  enter(drain_stage::publishing);
  take(drain_step::publish);
  enter(drain_stage::closing);
  deadline_ = clock::now() + storage_drain_time;
  for (const auto step :
       {drain_step::tell_holders, drain_step::leave, drain_step::save_events,
        drain_step::save_deliveries, drain_step::save_replicas, drain_step::save_usage,
        drain_step::save_counters, drain_step::save_extensions})
    take(step);
  enter(drain_stage::ended);
  if (board_.has_reader(clock::now(), drain_reader_time))
    std::this_thread::sleep_for(drain_farewell_time);
  return board_.get().left.empty();
}

void node_drain::begin() {
  take(drain_step::begin);
  const auto timeout_ms = board_.request().timeout_ms.value_or(core_.settings.drain_timeout_ms);
  deadline_ = clock::now() + core_.settings.drain_delay_ms + timeout_ms;
  board_.change([&](drain_status::state& to) { to.deadline = deadline_; });
  core_.state.draining.store(true);
}

void node_drain::enter(drain_stage stage) {
  board_.change([stage](drain_status::state& to) { to.stage = stage; });
  for (auto* each : units_)
    each->on_stage(stage);
  spdlog::info("drain: {}", drain_stage_names[static_cast<std::size_t>(stage)]);
}

void node_drain::take(drain_step step) {
  for (auto* each : units_)
    each->drain(step, *this);
}

node_drain::clock::time_point node_drain::soon(std::chrono::milliseconds time) const {
  return std::min(deadline_, clock::now() + time);
}

void node_drain::leave_over(std::string what) {
  spdlog::warn("drain: {}", what);
  board_.change([&](drain_status::state& to) { to.left.push_back(std::move(what)); });
}

bool node_drain::ask_to_drain(const drainable_handle& who, clock::time_point until) {
  return ask<drained>(who, until, drain{time_until(until)});
}

void node_drain::save(const drainable_handle& who, const std::string& what) {
  if (!ask_to_drain(who, deadline_)) leave_over("not all could be saved in time: " + what);
}

} // namespace penstock
