// The end of a node's life: others take over, and what was promised is kept. See drain_stage.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/delivery/delivery_messages.hpp"
#include "actors/journal/journal_messages.hpp"
#include "actors/queue/queue_messages.hpp"
#include "cli/node/node.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

namespace penstock {

namespace {

using namespace std::chrono_literals;
using drain_clock = std::chrono::steady_clock;

/// How long the directory may take to note that this node leaves. When it is away nobody can take
/// over, and requests under way must not lose their time to it.
constexpr auto announce_time = 3s;
/// How long other nodes may take to confirm this one's shards: far more than they need.
constexpr auto hand_over_time = 10s;
/// A sink whose breaker is open, and that took nothing for so long, is not waited for any more.
constexpr auto dead_sink_patience = 5s;
/// How often it looks what sinks are still owed.
constexpr auto publish_look_interval = 50ms;
/// How long an actor may take to say how it stands.
constexpr auto debt_answer_time = 1s;
/// How long a chunk of a replay may take to arrive; a sink may be down.
constexpr auto jobs_drain_time = 2s;
/// How long the actors that save something get in the end, whatever the deadline.
constexpr auto storage_drain_time = 10s;
/// Who looked at the drain so lately is told how it ended: the admin plane answers on for a moment.
constexpr auto drain_reader_time = 2s;
constexpr auto drain_farewell_time = 1s;

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             drain_clock::now().time_since_epoch())
      .count();
}

std::chrono::milliseconds time_until(drain_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - drain_clock::now());
  return std::max(left, 1ms);
}

} // namespace

bool node::drain() {
  const auto deadline = begin_drain();
  const auto enter = [this](drain_stage stage) {
    drain_board_->change([stage](drain_board::state& to) { to.stage = stage; });
    spdlog::info("drain: {}", drain_stage_names[static_cast<std::size_t>(stage)]);
  };
  enter(drain_stage::announcing);
  const bool told = announce(deadline);
  enter(drain_stage::answering);
  answer_clients(deadline);
  enter(drain_stage::handing_over);
  hand_over_shards(deadline, told);
  commit_all();
  enter(drain_stage::publishing);
  publish_rest(deadline);
  enter(drain_stage::closing);
  close_all(drain_clock::now() + storage_drain_time);
  enter(drain_stage::ended);
  if (drain_board_->has_reader(drain_clock::now(), drain_reader_time))
    std::this_thread::sleep_for(drain_farewell_time);
  return drain_board_->get().left.empty();
}

node::deadline_t node::begin_drain() {
  drained_ = true;
  adoption_stops_->store(true);
  const auto timeout = drain_board_->wish().timeout_ms.value_or(settings_.drain_timeout_ms);
  const auto deadline = drain_clock::now() + settings_.drain_delay_ms + timeout;
  drain_board_->change([&](drain_board::state& to) { to.deadline = deadline; });
  state_.draining.store(true);
  return deadline;
}

void node::leave_over(std::string what) {
  spdlog::warn("drain: {}", what);
  drain_board_->change([&](drain_board::state& to) { to.left.push_back(std::move(what)); });
}

bool node::ask_to_drain(const caf::actor& who, deadline_t deadline) {
  return ask_in_time<drained>(who, deadline, penstock::drain{time_until(deadline)});
}

// -- the cluster and clients ----------------------------------------------------------------------

// First the others take over; requests that come meanwhile are decided by them. False: nobody was
// told.
bool node::announce(deadline_t deadline) {
  const auto served_until = drain_clock::now() + settings_.drain_delay_ms;
  const auto told =
      ask_in_time<left_cluster>(membership_, std::min(deadline, drain_clock::now() + announce_time),
                                penstock::leave_cluster{false});
  if (!told)
    leave_over("the directory can't be told that this node leaves; the others will miss it");
  std::this_thread::sleep_until(served_until);
  return told;
}

// All front ends at once: while one waits for a slow client the others must not go on taking new
// ones.
void node::answer_clients(deadline_t deadline) {
  for (auto& lane : lanes_)
    caf::anon_send(lane.front_end, penstock::drain{time_until(deadline)});
  bool all = true;
  for (auto& lane : lanes_)
    all = ask_to_drain(lane.front_end, deadline) && all;
  if (!all)
    leave_over(fmt::format("{} connections had requests under way and were cut off",
                           state_.connections.load()));
}

bool node::somebody_stays() const {
  const auto cluster = membership_board_->get();
  return std::ranges::any_of(cluster.members, [this](const membership_board::member& each) {
    return each.in_view && !each.record.leaving && each.record.address != settings_.cluster.listen;
  });
}

// Leases go back in any cluster; shards only where somebody can take them, and knows that.
void node::hand_over_shards(deadline_t deadline, bool others_know) {
  if (settings_.cluster.directory == directory_kind::none) return;
  caf::scoped_actor self{system_};
  for (auto& lane : lanes_)
    self->send(lane.limiter, leave_shards{});
  if (!membership_ || !others_know) return;
  const auto until = std::min(deadline, drain_clock::now() + hand_over_time);
  std::size_t gone = 0, asked = lanes_.size();
  for (auto& lane : lanes_) {
    if (!lane.idempotency) continue;
    self->send(lane.idempotency, leave_shards{});
    ++asked;
  }
  while (gone < asked && somebody_stays() && drain_clock::now() < until)
    self->receive([&](shards_gone) { ++gone; }, caf::after(publish_look_interval) >> [] {});
  std::int64_t shards = 0;
  for (const auto& lane : lanes_)
    shards += lane.cluster_counts->owned_shards.value() +
              lane.cluster_counts->waiting_shards.value() +
              lane.cluster_counts->leaving_shards.value();
  if (gone == asked || !somebody_stays()) return;
  if (shards > 0)
    leave_over(
        fmt::format("the counters of {} shards were not handed over; they are saved here", shards));
  else
    leave_over(
        "some idempotency keys were not handed over; repeats of their requests may be stored "
        "again until a node runs on this directory");
}

// -- sinks ----------------------------------------------------------------------------------------

// Behind all that front ends sent. An actor on its way out answers nobody, and the journal's would
// have nothing for publishers then: so it stays for now.
void node::commit_all() {
  caf::scoped_actor self{system_};
  self->request(journal_actor_, debt_answer_time, commit_due{}).receive([] {}, [](caf::error&) {});
  const auto queued = queue_debt();
  drain_board_->change([&](drain_board::state& to) { to.queue_events = queued; });
}

// What is not published by the deadline stays in the journal.
void node::publish_rest(deadline_t deadline) {
  const auto soon = drain_clock::now() + jobs_drain_time;
  for (const auto* jobs : {&replays_, &dead_letters_})
    (void)ask_to_drain(*jobs, std::min(soon, deadline));
  stall_watch watch{dead_sink_patience};
  std::vector<sink_debt> owed;
  while (look_at_sinks(watch, owed) && drain_clock::now() < deadline)
    std::this_thread::sleep_for(publish_look_interval);
  tell_what_is_left(owed);
}

/// True while something is worth waiting for.
bool node::look_at_sinks(stall_watch& watch, std::vector<sink_debt>& owed) {
  owed.clear();
  bool waits = false;
  std::set<std::string> given_up;
  for (const auto& [name, out] : sinks_) {
    publish_left left{1, false}; // if it does not say
    caf::scoped_actor self{system_};
    self->request(out.publisher, debt_answer_time, penstock::publish_rest{})
        .receive([&](const publish_left& now) { left = now; }, [](caf::error&) {});
    watch.note(name, out.metrics->delivered.value() + out.metrics->refused.value(), steady_ms());
    if (left.events == 0) continue;
    owed.push_back({name, left.events});
    if (left.is_open && watch.has_stalled(name, steady_ms()))
      given_up.insert(name);
    else
      waits = true;
  }
  const auto queued = queue_debt();
  if (queued > 0 && drain_board_->wish().wait_for_queue) waits = true;
  drain_board_->change([&](drain_board::state& to) {
    to.given_up = std::move(given_up);
    to.queue_events = queued;
  });
  return waits;
}

/// What consumers have not acknowledged.
std::uint64_t node::queue_debt() {
  const auto queue = queue_name(settings_);
  if (queue.empty()) return 0;
  const auto feeds_it = feeds(settings_, queue);
  const auto until = drain_clock::now() + debt_answer_time;
  std::uint64_t events = 0;
  caf::scoped_actor self{system_};
  for (const auto& stream : journal_->catalog()->streams())
    if (feeds_it(stream))
      self->request(queue_, time_until(until), queue_stats_request{stream})
          .receive([&](const queue_stats_reply& now) { events += now.stats.depth; },
                   [](caf::error&) {});
  return events;
}

void node::tell_what_is_left(const std::vector<sink_debt>& owed) {
  const auto stays = fmt::format("they stay in {} and are published when a node runs on it again, "
                                 "or by `penstock adopt {}`",
                                 settings_.data_dir, settings_.data_dir);
  for (const auto& debt : owed) {
    const auto why = sinks_.at(debt.sink).metrics->status().last_error;
    leave_over(fmt::format("sink {} is owed {} events; {}{}", debt.sink, debt.events, stays,
                           why.empty() ? "" : ". Its last error: " + why));
  }
  const auto queued = drain_board_->get().queue_events.value_or(0);
  if (queued == 0) return;
  auto what = fmt::format("consumers of the queue have not acknowledged {} events; they stay in {} "
                          "for them, or go to another node by `penstock adopt {} --to URL`",
                          queued, settings_.data_dir, settings_.data_dir);
  if (drain_board_->wish().wait_for_queue)
    leave_over(std::move(what));
  else
    spdlog::info("drain: {}", what);
}

// -- the end --------------------------------------------------------------------------------------

void node::leave_cluster(deadline_t deadline) {
  if (membership_) {
    (void)ask_in_time<left_cluster>(membership_, deadline, penstock::leave_cluster{true});
    spdlog::info("left the cluster");
  }
  if (links_) caf::anon_send(links_, penstock::drain{});
  if (gate_) caf::anon_send(gate_, penstock::drain{});
}

void node::close_all(deadline_t deadline) {
  // What is published by now need not be held for this node.
  if (!ask_to_drain(replicator_, std::min(deadline, drain_clock::now() + announce_time)))
    leave_over("holders of this node's events were not told which of them are published");
  leave_cluster(std::min(deadline, drain_clock::now() + announce_time));
  std::vector<std::pair<std::string, caf::actor>> savers{{"the journal", journal_actor_},
                                                         {"the queue's cursors", queue_}};
  for (const auto& [name, out] : sinks_)
    savers.emplace_back("cursors of sink " + name, out.publisher);
  // Dead letters after publishers, who bury what their sinks refuse.
  savers.emplace_back("replays", replays_);
  savers.emplace_back("dead letters", dead_letters_);
  savers.emplace_back("other nodes' events", replicas_);
  savers.emplace_back("usage", usage_);
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    savers.emplace_back(fmt::format("counters of limits of lane {}", i), lanes_[i].limiter);
  savers.emplace_back("the store of counters", counters_);
  for (const auto& [what, saver] : savers)
    if (!ask_to_drain(saver, deadline)) leave_over("not all could be saved in time: " + what);
}

} // namespace penstock
