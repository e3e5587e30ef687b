#include "cli/node/publish_drain.hpp"

#include "actors/delivery/delivery_messages.hpp"
#include "actors/queue/queue_messages.hpp"
#include "cli/node/outgoing.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <set>
#include <thread>

namespace penstock {

namespace {

/// A sink whose breaker is open, and that took nothing for so long, is not waited for any more.
constexpr std::chrono::seconds dead_sink_patience{5};
/// How long a chunk of a replay may take to arrive; a sink may be down.
constexpr std::chrono::seconds jobs_drain_time{2};

std::int64_t drain_steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             node_drain::clock::now().time_since_epoch())
      .count();
}

} // namespace

void publish_drain::note_queue() {
  const auto queued = queue_debt();
  by_.board().change([&](drain_status::state& to) { to.queue_events = queued; });
}

void publish_drain::run(const replay_handle& replays, const dead_letters_handle& dead_letters) {
  const auto jobs_until = by_.soon(jobs_drain_time);
  for (const drainable_handle& jobs : {drainable_handle{replays}, drainable_handle{dead_letters}})
    (void)by_.ask_to_drain(jobs, jobs_until);
  stall_watch watch{dead_sink_patience};
  while (look_at_sinks(watch) && node_drain::clock::now() < by_.deadline())
    std::this_thread::sleep_for(drain_look_interval);
  tell_what_is_left();
}

/// True while something is worth waiting for.
bool publish_drain::look_at_sinks(stall_watch& watch) {
  owed_.clear();
  bool waits = false;
  std::set<std::string> given_up;
  for (const auto& [name, out] : sinks_.all()) {
    publish_left left{1, false}; // if it does not say
    caf::scoped_actor self{core_.system};
    self->request(out.publisher, debt_answer_time, publish_rest{})
        .receive([&](const publish_left& now) { left = now; }, [](caf::error&) {});
    watch.note(name, out.metrics->delivered.value() + out.metrics->refused.value(),
               drain_steady_ms());
    if (left.events == 0) continue;
    owed_.push_back({name, left.events});
    if (left.is_open && watch.has_stalled(name, drain_steady_ms()))
      given_up.insert(name);
    else
      waits = true;
  }
  const auto queued = queue_debt();
  if (queued > 0 && by_.board().request().wait_for_queue) waits = true;
  by_.board().change([&](drain_status::state& to) {
    to.given_up = std::move(given_up);
    to.queue_events = queued;
  });
  return waits;
}

/// What consumers have not acknowledged.
std::uint64_t publish_drain::queue_debt() {
  const auto sink = queue_name(core_.settings);
  if (sink.empty()) return 0;
  const auto feeds_it = feeds(core_.settings, sink);
  const auto until = node_drain::clock::now() + debt_answer_time;
  std::uint64_t events = 0;
  caf::scoped_actor self{core_.system};
  for (const auto& stream : events_.catalog()->streams())
    if (feeds_it(stream))
      self->request(queue_, time_until(until), queue_stats_request{stream})
          .receive([&](const queue_stats_reply& now) { events += now.stats.depth; },
                   [](caf::error&) {});
  return events;
}

void publish_drain::tell_what_is_left() {
  const auto& data_dir = core_.settings.data_dir;
  const auto stays = fmt::format("they stay in {} and are published when a node runs on it again, "
                                 "or by `penstock adopt {}`",
                                 data_dir, data_dir);
  for (const auto& debt : owed_) {
    const auto why = sinks_.all().at(debt.sink).metrics->status().last_error;
    by_.leave_over(fmt::format("sink {} is owed {} events; {}{}", debt.sink, debt.events, stays,
                               why.empty() ? "" : ". Its last error: " + why));
  }
  const auto queued = by_.board().get().queue_events.value_or(0);
  if (queued == 0) return;
  auto what = fmt::format("consumers of the queue have not acknowledged {} events; they stay in {} "
                          "for them, or go to another node by `penstock adopt {} --to URL`",
                          queued, data_dir, data_dir);
  if (by_.board().request().wait_for_queue)
    by_.leave_over(std::move(what));
  else
    spdlog::info("drain: {}", what);
}

} // namespace penstock
