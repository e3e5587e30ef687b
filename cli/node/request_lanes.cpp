#include "cli/node/request_lanes.hpp"

#include "actors/base/shards.hpp"
#include "actors/base/wall_clock.hpp"
#include "actors/cluster/cluster_clock.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/journal/journal_messages.hpp"
#include "cli/node/node_drain.hpp"
#include "net/base/boot_clock.hpp"
#include "net/base/wall_time.hpp"
#include "net/links/link_multiplexer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <future>

namespace penstock {

namespace {

// `began`: what the node was started with. Where events go can't change while it runs.
ingest_rules_ptr rules_of(const config& settings, const config& began, const identifier& identify) {
  ingest_rules rules;
  for (auto& [name, stream] : settings.streams) {
    const auto before = began.streams.find(name);
    auto& rule = rules.streams.emplace(name, stream).first->second;
    rule.sinks =
        (before != began.streams.end() ? before->second : began.streams.at("default")).sinks;
  }
  for (auto& [name, stream] : began.streams)
    if (!settings.streams.contains(name))
      rules.streams.emplace(name, settings.streams.at("default")).first->second.sinks =
          stream.sinks;
  std::vector<override_settings> overrides;
  for (auto& [name, entry] : settings.overrides)
    overrides.push_back(entry);
  rules.overrides = plan_overrides{overrides, identify};
  rules.others = settings.http.others;
  return std::make_shared<const ingest_rules>(std::move(rules));
}

/// What a gauge of several sources comes to.
template <class Sources, class Figure>
std::uint64_t sum_of_gauges(const Sources& sources, Figure figure) {
  std::int64_t total = 0;
  for (const auto& one : sources)
    total += figure(*one).value();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(total, 0));
}

} // namespace

// -- starting -------------------------------------------------------------------------------------

result<void> request_lanes::start() {
  const auto& settings = core_.settings;
  identify_ = std::make_shared<const identifier>(settings.identity, settings.http.trusted_proxies,
                                                 needs_.accounts.secret(),
                                                 settings.http.client_address_from);
  const auto rules = rules_of(settings, settings, *identify_);
  lanes_.resize(needs_.sockets.count());
  auto restored = restore_ledgers();
  if (!restored) return restored.error();
  if (auto marked = restore_marks(); !marked) return marked;
  counters_ = core_.system.spawn<caf::detached>(
      counters_actor,
      counters_parts{needs_.storage.counters(), counters_metrics_, needs_.seat.limits_clock()});
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    give_loop(i);
    start_limiter(i, restored->at(i));
  }
  start_front_ends(rules);
  if (const auto& replicas = needs_.replication.replicas())
    caf::anon_send(replicas, key_indexes{indexes()});
  if (const auto& replicator = needs_.replication.replicator())
    caf::anon_send(replicator, key_indexes{indexes()});
  return {};
}

// One ledger a lane, with what clients had used when it was saved last.
result<request_lanes::ledgers> request_lanes::restore_ledgers() {
  auto plans = limiters_plans(*needs_.accounts.book()->plans());
  const auto max_clients =
      std::max<std::uint64_t>(1, core_.settings.limiter.max_clients / lanes_.size());
  ledgers all;
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    all.push_back(std::make_shared<limit_ledger>(plans, max_clients, limit_labels_));
  // The time that limits are counted in is not known yet where members share one: see
  // cluster_clock.
  const auto now = wall_ns() - (needs_.seat.time() ? max_clock_difference_ns : 0);
  auto loaded = needs_.storage.counters()->load(now, [&](const counter_row& row) {
    all[shard_of(row.client) % lanes_.size()]->restore(row, now);
    saved_shards_.set(shard_of(row.client));
  });
  if (!loaded) return loaded.error();
  return all;
}

// Of shards that another node has by now, what was restored is old.
result<void> request_lanes::restore_marks() {
  auto marked = needs_.storage.counters()->handed_over();
  if (!marked) return marked.error();
  for (const auto shard : *marked)
    handed_over_shards_.set(shard);
  saved_shards_ &= ~handed_over_shards_;
  if (core_.has_peers() || marked->empty()) return {};
  // A node that is alone counts on with what it has.
  std::vector<shard_mark> here;
  for (const auto shard : *marked)
    here.push_back({shard, false});
  return needs_.storage.counters()->save({}, here);
}

// In a cluster the first lane shares its thread with the links: what two nodes ask each other then
// wakes one thread on each.
void request_lanes::give_loop(std::size_t lane) {
  auto& to = lanes_[lane];
  if (lane == 0 && core_.has_peers()) {
    to.loop = &link_multiplexer::of(core_.system).loop();
    return;
  }
  to.own_loop = std::make_unique<event_loop>(core_.system, "http-" + std::to_string(lane));
  to.loop = to.own_loop.get();
}

void request_lanes::start_limiter(std::size_t lane, std::shared_ptr<limit_ledger> ledger) {
  auto& to = lanes_[lane];
  to.limiter = spawn_hosted<limiter_state, limiter_self::base>(
      core_.system, *to.loop,
      [parts = limiter_parts{std::move(ledger), needs_.seat.limits_clock(), to.limiter_counts,
                             counters_, cluster_parts(lane)}](auto* self) {
        return limiter(self, parts);
      },
      residence::with_sender);
  auto keys = needs_.keys.index(lane);
  if (!keys) return;
  to.idempotency = spawn_hosted<idempotency_state, idempotency_self::base>(
      core_.system, *to.loop,
      [parts = idempotency_parts{std::move(keys), wall_ms, to.key_counts, key_moves_of(lane)}](
          auto* self) { return idempotency_actor(self, parts); },
      residence::with_sender);
}

void request_lanes::start_front_ends(const ingest_rules_ptr& rules) {
  const auto& settings = core_.settings;
  auto hash_keys = std::make_shared<const idempotency_hasher>(needs_.accounts.secret());
  std::shared_ptr<address_counts> per_address;
  if (const auto most = settings.http.max_connections_per_address; most > 0)
    per_address = std::make_shared<address_counts>(most);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    auto& lane = lanes_[i];
    front_end_parts parts{*lane.loop,
                          settings.http,
                          identify_,
                          rules,
                          needs_.accounts.book()->access(),
                          needs_.accounts.book()->plans(),
                          core_.state,
                          *lane.metrics,
                          needs_.journal.writer(),
                          limiters(),
                          needs_.seat.first_placement(),
                          needs_.seat.self_member(),
                          settings.cluster.verdict_timeout_ms,
                          needs_.usage.writer(),
                          indexes(),
                          hash_keys};
    parts.http.max_in_flight_bytes /= lanes_.size();
    for (const auto& [name, out] : needs_.sinks.all())
      parts.publishers.emplace(name, out.publisher);
    parts.names = needs_.names.table();
    parts.replicator = needs_.replication.replicator();
    parts.drain_timeout_ms = settings.drain_timeout_ms;
    parts.per_address = per_address;
    lane.front_end = spawn_front_end(core_.system, std::move(parts), needs_.sockets.give(i));
    caf::anon_send(needs_.journal.writer(), watch_space{lane.front_end});
  }
}

std::optional<limiter_cluster_parts> request_lanes::cluster_parts(std::size_t lane) {
  if (!core_.has_peers()) return std::nullopt;
  const auto& cluster = core_.settings.cluster;
  limiter_cluster_parts parts;
  parts.self = needs_.seat.self_member();
  parts.lane = lane;
  parts.lanes = lanes_.size();
  parts.on_unreachable = cluster.on_owner_unreachable;
  parts.verdict_timeout_ms = cluster.verdict_timeout_ms;
  parts.steady_ns = boot_ns;
  parts.holder = holder_of(needs_.seat.incarnation());
  parts.saved = saved_shards_;
  parts.handed_over = handed_over_shards_;
  parts.metrics = lanes_[lane].cluster_counts = std::make_shared<limiter_cluster_metrics>();
  if (cluster.directory == directory_kind::nats)
    parts.decides_until_ns = needs_.seat.decides_until_ns();
  else
    parts.places = needs_.seat.first_placement();
  return parts;
}

std::optional<key_moves_parts> request_lanes::key_moves_of(std::size_t lane) const {
  if (!core_.has_peers()) return std::nullopt;
  key_moves_parts parts;
  parts.self = needs_.seat.self_member();
  parts.lane = lane;
  parts.lanes = lanes_.size();
  parts.tag = needs_.storage.events()->tag();
  parts.steady_ns = boot_ns;
  if (core_.settings.cluster.directory == directory_kind::nats)
    parts.decides_until_ns = needs_.seat.decides_until_ns();
  else
    parts.places = needs_.seat.first_placement();
  return parts;
}

void request_lanes::serve() {
  for (auto& lane : lanes_) {
    if (lane.own_loop) lane.thread = std::thread([&loop = *lane.loop] { loop.run(); });
    caf::anon_send(lane.front_end, caf::open_atom_v);
  }
}

// -- while running --------------------------------------------------------------------------------

void request_lanes::reload(const config& settings) {
  auto rules = rules_of(settings, core_.settings, *identify_);
  for (auto& lane : lanes_)
    caf::anon_send(lane.front_end, rules_changed{rules});
}

std::vector<limiter_handle> request_lanes::limiters() const {
  std::vector<limiter_handle> all;
  for (const auto& lane : lanes_)
    all.push_back(lane.limiter);
  return all;
}

std::vector<ingest_handle> request_lanes::front_ends() const {
  std::vector<ingest_handle> all;
  for (const auto& lane : lanes_)
    all.push_back(lane.front_end);
  return all;
}

std::vector<idempotency_handle> request_lanes::indexes() const {
  std::vector<idempotency_handle> all;
  for (const auto& lane : lanes_)
    if (lane.idempotency) all.push_back(lane.idempotency);
  return all;
}

std::int64_t request_lanes::shards_here() const {
  std::int64_t shards = 0;
  for (const auto& lane : lanes_)
    if (lane.cluster_counts)
      shards += lane.cluster_counts->owned_shards.value() +
                lane.cluster_counts->waiting_shards.value() +
                lane.cluster_counts->leaving_shards.value();
  return shards;
}

std::uint64_t request_lanes::settled_epoch() const {
  auto out = INT64_MAX;
  for (const auto& lane : lanes_)
    if (lane.cluster_counts) out = std::min(out, lane.cluster_counts->settled_epoch.value());
  return out == INT64_MAX ? 0 : static_cast<std::uint64_t>(out);
}

void request_lanes::add_figures(metrics_sources& to) {
  for (auto& lane : lanes_) {
    to.front_ends.push_back(lane.metrics.get());
    to.limiters.push_back(lane.limiter_counts);
    if (lane.cluster_counts) to.limiter_clusters.push_back(lane.cluster_counts);
    if (lane.idempotency) to.idempotency.push_back(lane.key_counts);
  }
  to.limit_names = limit_labels_;
  to.counters = counters_metrics_;
  add_memory(to);
  // A mailbox's depth is what was sent to it less what was taken from it: two counters that are
  // kept anyway.
  to.mailboxes.emplace_back("journal", [&to] {
    std::uint64_t sent = 0;
    for (auto* one : to.front_ends)
      sent += one->journal_messages.value();
    const auto taken = to.journal->messages.value();
    return sent > taken ? sent - taken : 0;
  });
  to.mailboxes.emplace_back("limiters", [&to] {
    std::uint64_t taken = 0, sent = 0;
    for (auto& one : to.limiters)
      taken += one->messages.value();
    for (auto* one : to.front_ends)
      sent += one->limiter_messages.value();
    return sent > taken ? sent - taken : 0;
  });
}

// What is told of it is what its owners count anyway.
void request_lanes::add_memory(metrics_sources& to) const {
  const auto& settings = core_.settings;
  add_memory_use(to, settings, memory_use::in_flight, [&to] {
    std::int64_t total = 0;
    for (const auto* one : to.front_ends)
      for (const auto& part : one->memory_bytes)
        total += part.value();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(total, 0));
  });
  const auto each_bytes = settings.http.max_header_bytes + bytes_per_connection;
  add_memory_use(to, settings, memory_use::connections, [&to, each_bytes] {
    return each_bytes *
           sum_of_gauges(to.front_ends, [](auto& m) -> auto& { return m.connections; });
  });
  add_memory_use(to, settings, memory_use::limits, [&to] {
    return sum_of_gauges(to.limiters, [](auto& m) -> auto& { return m.table_bytes; });
  });
  add_memory_use(to, settings, memory_use::keys, [&to] {
    return sum_of_gauges(to.idempotency, [](auto& m) -> auto& { return m.bytes; });
  });
}

// -- ending ---------------------------------------------------------------------------------------

void request_lanes::drain(drain_step step, node_drain& by) {
  if (step == drain_step::answer) answer_clients(by);
  if (step != drain_step::save_counters) return;
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    by.save(lanes_[i].limiter, fmt::format("counters of limits of lane {}", i));
  by.save(counters_, "the store of counters");
}

// All front ends at once: while one waits for a slow client the others must not go on taking new
// ones.
void request_lanes::answer_clients(node_drain& by) {
  for (auto& lane : lanes_)
    caf::anon_send(lane.front_end, penstock::drain{time_until(by.deadline())});
  bool all = true;
  for (auto& lane : lanes_)
    all = by.ask_to_drain(lane.front_end, by.deadline()) && all;
  if (!all)
    by.leave_over(fmt::format("{} connections had requests under way and were cut off",
                              core_.state.connections.load()));
}

void request_lanes::stop() {
  end_actor(counters_);
  for (auto& lane : lanes_) {
    if (!lane.loop) continue;
    tell_to_end(lane.limiter);
    tell_to_end(lane.idempotency);
    tell_to_end(lane.front_end);
    // Its actors end on their own thread; a node that never started its threads runs them here.
    if (lane.own_loop && !lane.thread.joinable())
      lane.thread = std::thread([&loop = *lane.loop] { loop.run(); });
  }
}

void request_lanes::join() {
  for (auto& lane : lanes_) {
    if (!lane.loop) continue;
    caf::scoped_actor self{core_.system};
    if (lane.front_end) self->wait_for(lane.front_end);
    if (lane.limiter) self->wait_for(lane.limiter);
    if (lane.idempotency) self->wait_for(lane.idempotency);
    if (lane.own_loop) {
      lane.loop->stop();
      lane.thread.join();
      continue;
    }
    // The loop runs on, for the links; but no turn that began before.
    std::promise<void> turned;
    lane.loop->post([&turned] { turned.set_value(); });
    turned.get_future().wait();
  }
}

} // namespace penstock
