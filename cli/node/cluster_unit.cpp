#include "cli/node/cluster_unit.hpp"

#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/cluster/peer_handles.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "cli/node/client_secret.hpp"
#include "cli/node/node_drain.hpp"
#include "net/base/boot_clock.hpp"
#include "net/base/wall_time.hpp"
#include "net/links/link_multiplexer.hpp"
#include "net/loop/tcp_probe.hpp"

#include <caf/io/middleman.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

namespace penstock {

namespace {

// How long a start waits until the directory has let the node in.
constexpr std::chrono::seconds join_time{5};
// What a node says of its load is renewed this often.
constexpr std::int64_t figures_interval_ns = 1'000'000'000;

std::uint64_t largest_lag(const std::vector<std::shared_ptr<const sink_metrics>>& sinks) {
  std::uint64_t largest = 0;
  for (const auto& sink : sinks) {
    std::uint64_t events = 0;
    for (const auto& lag : sink->lags())
      events += lag.events;
    largest = std::max(largest, events);
  }
  return largest;
}

tls_files tls_files_of(const cluster_settings& cluster) {
  return {cluster.tls_cert, cluster.tls_key, cluster.tls_ca};
}

// What a node says of its load; called on membership's thread.
std::function<void(member_record&)> load_of(const metrics_sources& figures,
                                            const node_state& state) {
  return [&figures, &state, before = std::uint64_t{0}, at = boot_ns(),
          began = boot_ns()](member_record& self) mutable {
    const auto now = boot_ns();
    // A rate over less than this is noise. And at first the sources are still being put together.
    if (!state.ready.load() || now - at < figures_interval_ns) return;
    const auto totals = totals_of(figures);
    self.requests_per_s = static_cast<std::uint32_t>(static_cast<double>(totals.requests - before) *
                                                     1e9 / static_cast<double>(now - at));
    self.journal_bytes =
        static_cast<std::uint64_t>(std::max<std::int64_t>(totals.journal_bytes, 0));
    self.lag_events = largest_lag(figures.sinks);
    self.uptime_s = static_cast<std::uint64_t>((now - began) / 1'000'000'000);
    before = totals.requests;
    at = now;
  };
}

template <class To, class From>
void append(std::vector<To>& to, const std::vector<From>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

} // namespace

cluster_unit::cluster_unit(node_core& core, const cluster_needs& needs)
    : core_(core), needs_(needs) {
  if (!core_.has_peers() || core_.settings.cluster.ready_without) return;
  core_.state.is_refused =
      std::shared_ptr<const std::atomic<bool>>(link_metrics_, &link_metrics_->is_refused);
}

// -- starting -------------------------------------------------------------------------------------

result<void> cluster_unit::start() {
  if (!core_.has_peers()) return {};
  const auto& cluster = core_.settings.cluster;
  const bool is_fixed = cluster.directory == directory_kind::static_peers;
  peer_up here;
  here.version = cluster.max_wire_version;
  here.accounts = needs_.accounts.actor();
  here.replicas = needs_.replication.replicas();
  here.usage = needs_.usage.writer();
  here.usage_reader = needs_.usage.reader();
  here.limiters = needs_.lanes.limiters();
  append(here.front_ends, needs_.lanes.front_ends());
  if (!is_fixed) {
    start_membership(here);
    here.directory = membership_;
  }
  if (auto started = start_transport(); !started) return started;
  const auto fixed = is_fixed ? needs_.seat.members() : std::vector<std::string>{};
  auto answer = welcome_of(here);
  answer.secret_check = secret_check_of(needs_.accounts.secret());
  gate_ = core_.system.spawn(handshake_acceptor, cluster.name, fixed, std::move(answer),
                             handshake_metrics_);
  if (auto port = publish_handshake_acceptor(gate_, cluster.listen, transport_->middleman()); !port)
    return port.error();
  start_links(here, fixed);
  return {};
}

void cluster_unit::start_membership(const peer_up& here) {
  membership_parts parts;
  parts.self.address = core_.settings.cluster.listen;
  parts.self.incarnation = needs_.seat.incarnation();
  parts.self.node = core_.settings.node_name;
  parts.self.version = PENSTOCK_VERSION;
  parts.self.wire_version = core_.settings.cluster.max_wire_version;
  parts.self.secret_check = secret_check_of(needs_.accounts.secret());
  parts.figures = load_of(needs_.figures, core_.state);
  parts.settled_epoch = [&lanes = needs_.lanes] { return lanes.settled_epoch(); };
  parts.steady_ns = boot_ns;
  parts.system_ns = wall_ns;
  parts.time = needs_.seat.time();
  if (!core_.settings.cluster.ready_without) {
    core_.state.standing.store(cluster_standing::no_directory);
    parts.standing = &core_.state.standing;
  }
  parts.decides_until_ns = needs_.seat.decides_until_ns();
  append(parts.placed, here.front_ends);
  append(parts.placed, here.limiters);
  append(parts.placed, needs_.lanes.indexes());
  append(parts.placed, needs_.extensions.wanting_members());
  if (needs_.usage.gatherer()) parts.placed.push_back(needs_.usage.gatherer());
  parts.limiters = here.limiters;
  parts.metrics = membership_metrics_;
  parts.board = board_;
  membership_ = core_.system.spawn(membership_actor, std::move(parts));
}

result<void> cluster_unit::start_transport() {
  const auto& settings = core_.settings;
  auto& links = link_multiplexer::of(core_.system);
  links.limit_unsent_bytes(settings.memory.link_unsent_bytes);
  // The longest that nodes send each other is a block of events; other nodes may take larger
  // bodies.
  constexpr std::uint64_t largest_block_bytes = 32 << 20, memory_part = 4;
  const auto longest = std::max(settings.memory.total_bytes / memory_part,
                                2 * settings.http.max_body_bytes + largest_block_bytes);
  if (settings.memory.total_bytes > 0)
    links.limit_message_bytes(
        std::min<std::uint64_t>(longest, link_multiplexer::max_message_bytes));
  const auto files = tls_files_of(settings.cluster);
  if (!files.given()) {
    transport_ = cluster_transport::start_plain(core_.system);
    return {};
  }
  auto tls = cluster_tls::start(core_.system, files, handshake_metrics_);
  if (!tls) return tls.error();
  tls_ = tls->get();
  transport_ = std::move(*tls);
  return {};
}

void cluster_unit::start_links(const peer_up& here, const std::vector<std::string>& fixed) {
  std::vector<peer_listener_handle> told_of_peers;
  append(told_of_peers, here.front_ends);
  append(told_of_peers, here.limiters);
  append(told_of_peers, needs_.lanes.indexes());
  told_of_peers.push_back(here.accounts);
  told_of_peers.push_back(needs_.replication.replicator());
  told_of_peers.push_back(needs_.replication.replicas());
  if (needs_.usage.writer()) told_of_peers.push_back(needs_.usage.writer());
  if (needs_.usage.gatherer()) told_of_peers.push_back(needs_.usage.gatherer());
  if (membership_) told_of_peers.push_back(membership_);
  append(told_of_peers, needs_.extensions.wanting_members());
  auto settings = core_.settings.cluster;
  settings.secret_check = secret_check_of(needs_.accounts.secret());
  links_ = core_.system.spawn(peer_connector, std::move(settings), fixed, told_of_peers, probe_tcp,
                              link_metrics_, transport_->middleman());
  caf::anon_send(gate_, links_known{links_});
  if (membership_) {
    caf::anon_send(needs_.directory.writer(), directory_listeners{membership_, here.accounts});
    caf::anon_send(membership_, membership_partners{needs_.directory.writer(), links_});
  }
}

void cluster_unit::join_cluster() {
  if (!membership_) return;
  caf::scoped_actor self{core_.system};
  self->request(membership_, join_time, await_join{})
      .receive([](joined_cluster) {},
               [](caf::error&) { spdlog::warn("cluster: not let in yet; going on without"); });
}

// -- while running --------------------------------------------------------------------------------

void cluster_unit::reload_certificate() {
  if (!tls_) return;
  // The same paths as at the start: what may change is what the files hold.
  if (auto done = tls_->reload(tls_files_of(core_.settings.cluster)); !done)
    spdlog::error("the certificate between nodes stays as it was: {}", done.error().message);
}

void cluster_unit::add_figures(metrics_sources& to) {
  const auto& cluster = core_.settings.cluster;
  to.cluster = {cluster.directory, cluster.name, cluster.listen};
  if (membership_) to.membership = membership_metrics_;
  if (membership_) to.members = board_;
  if (gate_) to.gate = handshake_metrics_;
  if (!links_) return;
  to.links = link_metrics_;
  add_memory_use(to, core_.settings, memory_use::links,
                 [&links = link_multiplexer::of(core_.system)] { return links.unsent_bytes(); });
}

// -- ending ---------------------------------------------------------------------------------------

void cluster_unit::drain(drain_step step, node_drain& by) {
  if (step == drain_step::announce) announce(by);
  if (step == drain_step::hand_over) hand_over(by);
  if (step == drain_step::leave) leave(by);
}

void cluster_unit::announce(node_drain& by) {
  others_know_ = by.ask<left_cluster>(membership_, by.soon(announce_time), leave_cluster{false});
  if (!others_know_)
    by.leave_over("the directory can't be told that this node leaves; the others will miss it");
}

bool cluster_unit::somebody_stays() const {
  const auto cluster = board_->get();
  const auto& self = core_.settings.cluster.listen;
  return std::ranges::any_of(cluster.members, [&self](const membership_status::member& each) {
    return each.in_view && !each.record.leaving && each.record.address != self;
  });
}

// Leases go back in any cluster; shards only where somebody can take them, and knows that.
void cluster_unit::hand_over(node_drain& by) {
  if (!core_.has_peers() || all_gone(by) || !somebody_stays()) return;
  if (const auto shards = needs_.lanes.shards_here(); shards > 0)
    by.leave_over(
        fmt::format("the counters of {} shards were not handed over; they are saved here", shards));
  else
    by.leave_over(
        "some idempotency keys were not handed over; repeats of their requests may be stored "
        "again until a node runs on this directory");
}

// Also true where nobody is to take them.
bool cluster_unit::all_gone(node_drain& by) {
  caf::scoped_actor self{core_.system};
  std::size_t asked = 0;
  for (const auto& limiter : needs_.lanes.limiters()) {
    self->send(limiter, leave_shards{});
    ++asked;
  }
  if (!membership_ || !others_know_) return true;
  const auto until = by.soon(hand_over_time);
  for (const auto& index : needs_.lanes.indexes()) {
    self->send(index, leave_shards{});
    ++asked;
  }
  std::size_t gone = 0;
  while (gone < asked && somebody_stays() && node_drain::clock::now() < until)
    self->receive([&](shards_gone) { ++gone; }, caf::after(drain_look_interval) >> [] {});
  return gone == asked;
}

void cluster_unit::leave(node_drain& by) {
  if (membership_) {
    (void)by.ask<left_cluster>(membership_, by.soon(announce_time), leave_cluster{true});
    spdlog::info("left the cluster");
  }
  if (links_) caf::anon_send(links_, penstock::drain{});
  if (gate_) caf::anon_send(gate_, penstock::drain{});
}

void cluster_unit::stop() {
  end_actor(gate_);
  end_actor(links_);
  end_actor(membership_);
}

} // namespace penstock
