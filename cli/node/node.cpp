#include "cli/node/node.hpp"

#include "actors/base/wall_clock.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/journal/journal_messages.hpp"
#include "cli/config/address.hpp"
#include "cli/config/node_memory.hpp"
#include "cli/node/logging.hpp"
#include "net/base/wall_time.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <future>

#include <unistd.h>

namespace penstock {

std::vector<plan> plans_of(const config& settings) {
  std::vector<plan> plans;
  for (auto& [name, rules] : settings.plans)
    plans.push_back(rules);
  return plans;
}

namespace {

using namespace std::chrono_literals;

// The storage actors block on the disk and have threads of their own; what is left for CAF's
// scheduler (links, gate, admin requests) is little.
constexpr std::size_t scheduler_threads = 1;
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

} // namespace

node::node(const config& settings, std::string memory_source)
    : settings_(settings), memory_source_(std::move(memory_source)),
      system_settings_(scheduler_threads, settings.cluster.directory != directory_kind::none),
      system_(system_settings_) {}

result<std::unique_ptr<node>> node::start(const config& settings, std::string memory_source) {
  std::unique_ptr<node> made{new node(settings, std::move(memory_source))};
  if (auto done = made->open_storage(); !done) return done.error();
  if (auto done = made->open_usage(); !done) return done.error();
  if (auto done = made->open_accounts(); !done) return done.error();
  if (auto done = made->open_listeners(); !done) return done.error();
  if (auto done = made->open_idempotency(); !done) return done.error();
  if (auto done = made->make_sinks(); !done) return done.error();
  if (auto done = made->open_replicas(); !done) return done.error();
  made->start_storage_actors();
  made->tell_replicated_streams(made->settings_);
  if (auto done = made->start_delivery_keepers(); !done) return done.error();
  made->start_queue();
  made->start_publishers();
  if (auto done = made->start_lanes(); !done) return done.error();
  if (auto done = made->open_directory(); !done) return done.error();
  made->start_accounts();
  made->start_usage_rebuilder();
  if (auto done = made->start_cluster(); !done) return done.error();
  if (auto done = made->start_admin(); !done) return done.error();
  made->join_cluster();
  made->start_threads();
  made->state_.ready.store(true);
  return made;
}

// -- starting -------------------------------------------------------------------------------------

result<void> node::open_listeners() {
  auto address = parse_host_port(settings_.http.listen);
  if (!address) return error{errc::config, "http.listen is no address: " + settings_.http.listen};
  if (auto free = require_free(address->host, address->port); !free) return free.error();
  lanes_.resize(lane_count(settings_.http, std::thread::hardware_concurrency()));
  http_port_ = address->port;
  for (auto& lane : lanes_) {
    auto socket = open_listener(address->host, http_port_);
    if (!socket) return socket.error();
    lane.socket = std::move(*socket);
    http_port_ = lane.socket.port(); // of port 0, what the first was given
  }
  bool v6 = address->host.find(':') != std::string::npos;
  http_address_ =
      (v6 ? "[" + address->host + "]" : address->host) + ":" + std::to_string(http_port_);
  return {};
}

// In a cluster the first lane shares its thread with the links: what two nodes ask each other then
// wakes one thread on each.
void node::give_loop(std::size_t lane) {
  auto& to = lanes_[lane];
  if (lane == 0 && settings_.cluster.directory != directory_kind::none) {
    to.loop = &link_multiplexer::of(system_).loop();
    return;
  }
  to.own_loop = std::make_unique<event_loop>(system_, "http-" + std::to_string(lane));
  to.loop = to.own_loop.get();
}

result<void> node::start_lanes() {
  identify_ = std::make_shared<const identifier>(settings_.identity, settings_.http.trusted_proxies,
                                                 secret_, settings_.http.client_address_from);
  auto rules = rules_of(settings_, settings_, *identify_);
  auto ledgers = restore_ledgers();
  if (!ledgers) return ledgers.error();
  start_names();
  counters_ = system_.spawn<caf::detached>(
      counters_actor, counters_parts{counter_store_, counters_metrics_, wall_ns});
  std::vector<caf::actor> limiters, indexes;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    auto& lane = lanes_[i];
    give_loop(i);
    lane.limiter = spawn_hosted<limiter_state>(
        system_, *lane.loop,
        [parts = limiter_parts{ledgers->at(i), wall_clock{}, lane.limiter_counts, counters_,
                               cluster_parts(i)}](auto* self) { return limiter(self, parts); },
        residence::with_sender);
    limiters.push_back(lane.limiter);
    if (!lane.keys) continue;
    lane.idempotency = spawn_hosted<idempotency_state>(
        system_, *lane.loop,
        [parts = idempotency_parts{lane.keys, wall_ms, lane.key_counts, key_moves_of(i)}](
            auto* self) { return idempotency_actor(self, parts); },
        residence::with_sender);
    indexes.push_back(lane.idempotency);
  }
  auto hash_keys = std::make_shared<const idempotency_hasher>(secret_);
  std::shared_ptr<address_counts> per_address;
  if (const auto most = settings_.http.max_connections_per_address; most > 0)
    per_address = std::make_shared<address_counts>(most);
  for (auto& lane : lanes_) {
    front_end_parts parts{*lane.loop,
                          settings_.http,
                          identify_,
                          rules,
                          account_book_->access(),
                          account_book_->plans(),
                          state_,
                          *lane.metrics,
                          journal_actor_,
                          limiters,
                          first_placement(),
                          self_member(),
                          settings_.cluster.verdict_timeout_ms,
                          usage_,
                          indexes,
                          hash_keys};
    parts.http.max_in_flight_bytes /= lanes_.size();
    for (const auto& [name, out] : sinks_)
      parts.publishers.emplace(name, out.publisher);
    parts.names = names_;
    parts.replicator = replicator_;
    parts.drain_timeout_ms = settings_.drain_timeout_ms;
    parts.per_address = per_address;
    lane.front_end = spawn_front_end(system_, std::move(parts), lane.socket.give());
    caf::anon_send(journal_actor_, watch_space{lane.front_end});
  }
  return {};
}

// Of the configuration that the node started with.
stream_test node::is_configured() const {
  return [streams = settings_.streams](const std::string& stream) {
    return streams.contains(stream);
  };
}

// What the journal has events of was taken before: it goes on.
void node::start_names() {
  std::size_t left_out = 0;
  for (const auto& stream : journal_->catalog()->streams())
    if (!settings_.streams.contains(stream) && !names_->adopt(names_->hash_of(stream))) ++left_out;
  if (left_out > 0)
    spdlog::warn("streams: the journal has {} more names than the {} that are served beside the "
                 "configured ones; new events of those are answered 404 until others are forgotten",
                 left_out, names_->places());
  names_keeper_parts parts;
  parts.names = names_;
  std::vector<std::shared_ptr<const sink_metrics>> sinks;
  for (const auto& [name, out] : sinks_)
    sinks.push_back(out.metrics);
  parts.owed = [queue = queue_metrics_, sinks = std::move(sinks)] {
    std::vector<std::string> owed;
    for (const auto& one : queue->streams())
      if (one.depth > 0) owed.push_back(one.stream);
    for (const auto& sink : sinks)
      for (const auto& lag : sink->lags())
        if (lag.events > 0) owed.push_back(lag.stream);
    return owed;
  };
  names_keeper_ = system_.spawn(names_keeper, std::move(parts));
}

// What is told of it is what its owners count anyway.
memory_figures node::memory_sources() {
  const auto& plan = settings_.memory;
  const auto sum = [](const auto& all, auto figure) {
    return [&all, figure] {
      std::int64_t total = 0;
      for (const auto& one : all)
        total += figure(*one).value();
      return static_cast<std::uint64_t>(std::max<std::int64_t>(total, 0));
    };
  };
  const auto connections = sum(metrics_.front_ends, [](auto& m) -> auto& { return m.connections; });
  const auto a_connection = settings_.http.max_header_bytes + bytes_per_connection;
  memory_figures out{plan.total_bytes, memory_source_, plan.head_room_bytes, {}, {}};
  out.bounds = memory_bounds(settings_);
  const auto add = [&](memory_use use, std::function<std::uint64_t()> used) {
    const auto number = static_cast<std::size_t>(use);
    if (plan.bytes[number] > 0)
      out.uses.push_back({memory_use_names[number], plan.bytes[number], std::move(used)});
  };
  add(memory_use::in_flight, [all = &metrics_.front_ends] {
    std::int64_t total = 0;
    for (const auto& one : *all)
      for (const auto& part : one->memory_bytes)
        total += part.value();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(total, 0));
  });
  add(memory_use::connections, [=] { return connections() * a_connection; });
  add(memory_use::limits, sum(metrics_.limiters, [](auto& m) -> auto& { return m.table_bytes; }));
  add(memory_use::keys, sum(metrics_.idempotency, [](auto& m) -> auto& { return m.bytes; }));
  add(memory_use::recent, [budget = recent_budget_] { return budget->used_bytes(); });
  add(memory_use::delivery, [budget = delivery_budget_] { return budget->used_bytes(); });
  add(memory_use::batches, [this, each = plan.max_batch_bytes * copies_per_batch] {
    std::int64_t under_way = 0;
    for (const auto& [name, one] : sinks_)
      under_way += one.metrics->inflight_batches.value();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(under_way, 0)) * each;
  });
  add(memory_use::queue, [budget = queue_budget_] { return budget->used_bytes(); });
  if (links_)
    add(memory_use::links, [&links = link_multiplexer::of(system_)] { return links.unsent_bytes(); });
  if (usage_) add(memory_use::usage, [budget = usage_budget_] { return budget->used_bytes(); });
  return out;
}

void node::start_accounts() {
  accounts_parts parts{account_store_, account_book_, key_hasher{secret_}, {}, wall_us};
  for (auto& lane : lanes_) {
    parts.limiters.push_back(lane.limiter);
    parts.subscribers.push_back(lane.front_end);
  }
  parts.directory = directory_writer_;
  accounts_ = system_.spawn<caf::detached>(accounts_actor, std::move(parts));
}

result<void> node::start_admin() {
  auto& m = metrics_;
  m.node_name = settings_.node_name;
  m.version = PENSTOCK_VERSION;
  m.started_ms = wall_ms();
  std::uint64_t (*sent_to_journal)(const std::vector<const front_end_metrics*>&) = [](auto& all) {
    std::uint64_t sum = 0;
    for (auto* one : all)
      sum += one->journal_messages.value();
    return sum;
  };
  for (auto& lane : lanes_) {
    m.front_ends.push_back(lane.metrics.get());
    m.limiters.push_back(lane.limiter_counts);
    if (lane.cluster_counts) m.limiter_clusters.push_back(lane.cluster_counts);
    if (lane.idempotency) m.idempotency.push_back(lane.key_counts);
  }
  m.journal = journal_metrics_;
  m.journal_max_bytes = settings_.journal.max_size_bytes;
  m.unconfigured_max_bytes = unconfigured_max_bytes(settings_);
  m.queue = queue_metrics_;
  for (auto& [name, out] : sinks_)
    m.sinks.push_back(out.metrics);
  m.keeper = keeper_metrics_;
  if (usage_) m.usage = usage_metrics_;
  if (links_) m.links = link_metrics_;
  if (replicator_) m.replicator = replicator_metrics_;
  if (replicas_) m.replicas = replica_metrics_;
  if (membership_) m.membership = membership_metrics_;
  if (membership_) m.members = membership_board_;
  m.cluster = {settings_.cluster.directory, settings_.cluster.name, settings_.cluster.listen};
  if (gate_) m.gate = gate_metrics_;
  m.dead_letters = dead_letter_metrics_;
  m.replays = replay_metrics_;
  m.dropped_log_lines = dropped_log_messages;
  m.limit_names = limit_labels_;
  m.counters = counters_metrics_;
  m.names = names_;
  m.is_configured = is_configured();
  m.memory = memory_sources();
  // A mailbox's depth is what was sent to it less what was taken from it: two counters that are
  // kept anyway.
  m.mailboxes.emplace_back("journal", [&m, sent_to_journal] {
    auto taken = m.journal->messages.value();
    auto sent = sent_to_journal(m.front_ends);
    return sent > taken ? sent - taken : 0;
  });
  m.mailboxes.emplace_back("limiters", [&m] {
    std::uint64_t taken = 0, sent = 0;
    for (auto& one : m.limiters)
      taken += one->messages.value();
    for (auto* one : m.front_ends)
      sent += one->limiter_messages.value();
    return sent > taken ? sent - taken : 0;
  });
  auto started = admin_server::start({settings_.admin, system_, queue_, state_, metrics_, accounts_,
                                      usage_reader_, usage_rebuilder_, usage_rebuild_board_,
                                      // A drain that is asked for is one that a signal asks for.
                                      dead_letters_, replays_, drain_board_,
                                      [] { ::kill(::getpid(), SIGTERM); }});
  if (!started) return started.error();
  admin_ = std::move(*started);
  return {};
}

void node::start_threads() {
  for (auto& lane : lanes_) {
    if (lane.own_loop) lane.thread = std::thread([&loop = *lane.loop] { loop.run(); });
    caf::anon_send(lane.front_end, caf::open_atom_v);
  }
  serves_ = true;
}

// -- while running --------------------------------------------------------------------------------

void node::reload(const config& settings) {
  auto rules = rules_of(settings, settings_, *identify_);
  for (auto& lane : lanes_)
    caf::anon_send(lane.front_end, rules_changed{rules});
  tell_space_rules(settings);
  tell_replicated_streams(settings);
  caf::anon_send(accounts_, plans_configured{plans_of(settings)});
  set_log_level(settings.log.level);
  reload_certificate();
}

void node::tell_space_rules(const config& settings) {
  const space_rules_changed news{space_rule(settings)};
  caf::anon_send(journal_actor_, news);
  if (queue_) caf::anon_send(queue_, news);
  for (const auto& [name, out] : sinks_)
    if (out.publisher) caf::anon_send(out.publisher, news);
}

// -- ending ---------------------------------------------------------------------------------------

node::~node() {
  if (!drained_ && serves_) drain();
  stopping_->store(true);
  adoption_stops_->store(true);
  admin_.reset();
  const auto all = {&journal_actor_, &queue_,
                    &keeper_,        &usage_,
                    &usage_reader_,  &usage_rebuilder_,
                    &accounts_,      &counters_,
                    &gate_,          &links_,
                    &replays_,       &dead_letters_,
                    &membership_,    &directory_writer_,
                    &replicator_,    &replicas_,
                    &adopter_,       &names_keeper_};
  for (auto* actor : all)
    if (*actor) caf::anon_send_exit(*actor, caf::exit_reason::user_shutdown);
  for (auto& [name, out] : sinks_) {
    out.to->stop();
    if (out.publisher) caf::anon_send_exit(out.publisher, caf::exit_reason::user_shutdown);
    out.publisher = nullptr;
  }
  end_lanes();
  for (auto* actor : all)
    *actor = nullptr;
}

void node::end_lanes() {
  for (auto& lane : lanes_) {
    if (!lane.loop) continue;
    for (const auto& actor : {lane.limiter, lane.idempotency, lane.front_end})
      if (actor) caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    // Its actors end on their own thread; a node that never started its threads runs them here.
    if (lane.own_loop && !lane.thread.joinable())
      lane.thread = std::thread([&loop = *lane.loop] { loop.run(); });
  }
  for (auto& lane : lanes_) {
    if (!lane.loop) continue;
    caf::scoped_actor self{system_};
    self->wait_for(lane.front_end, lane.limiter);
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
