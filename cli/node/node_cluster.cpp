// The part of a node that only nodes with peers have.
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/handshake_acceptor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/cluster/placement.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "actors/directory/directory_writer.hpp"
#include "cli/node/node.hpp"
#include "net/base/boot_clock.hpp"
#include "net/directory/nats_directory.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/loop/tcp_probe.hpp"

#include <caf/io/middleman.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>

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

} // namespace

std::string node::new_incarnation() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

std::vector<std::string> node::members() const {
  if (settings_.cluster.directory == directory_kind::none) return {settings_.cluster.listen};
  auto result = settings_.cluster.peers;
  result.push_back(settings_.cluster.listen);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::uint16_t node::self_member() const {
  if (settings_.cluster.directory == directory_kind::nats) return 0; // see membership_actor
  const auto all = members();
  return static_cast<std::uint16_t>(std::ranges::find(all, settings_.cluster.listen) - all.begin());
}

// With a directory shards are placed once it has let this node in.
placement_ptr node::first_placement() const {
  if (settings_.cluster.directory == directory_kind::none) return nullptr;
  if (settings_.cluster.directory == directory_kind::nats) {
    placement nobody;
    for (auto& shard : nobody.shards)
      shard = {.owner = no_member};
    nobody.confirmed = false;
    return std::make_shared<const placement>(nobody);
  }
  return std::make_shared<const placement>(fixed_placement(members()));
}

std::optional<limiter_cluster_parts> node::cluster_parts(std::size_t lane) {
  if (settings_.cluster.directory == directory_kind::none) return std::nullopt;
  limiter_cluster_parts parts;
  parts.self = self_member();
  parts.lane = lane;
  parts.lanes = lanes_.size();
  parts.on_unreachable = settings_.cluster.on_owner_unreachable;
  parts.verdict_timeout_ms = settings_.cluster.verdict_timeout_ms;
  parts.steady_ns = boot_ns;
  parts.holder = holder_of(incarnation_);
  parts.metrics = lanes_[lane].cluster_counts = std::make_shared<limiter_cluster_metrics>();
  if (settings_.cluster.directory == directory_kind::nats)
    parts.decides_until_ns = decides_until_ns_;
  else
    parts.places = first_placement();
  return parts;
}

std::optional<key_moves_parts> node::key_moves_of(std::size_t lane) {
  if (settings_.cluster.directory == directory_kind::none) return std::nullopt;
  key_moves_parts parts;
  parts.self = self_member();
  parts.lane = lane;
  parts.lanes = lanes_.size();
  parts.tag = journal_->tag();
  parts.steady_ns = boot_ns;
  if (settings_.cluster.directory == directory_kind::nats)
    parts.decides_until_ns = decides_until_ns_;
  else
    parts.places = first_placement();
  return parts;
}

// -- who is in it ---------------------------------------------------------------------------------

result<void> node::open_directory() {
  if (settings_.cluster.directory != directory_kind::nats) return {};
  auto made = make_nats_directory(settings_.cluster.nats, settings_.cluster.name,
                                  "penstock " + settings_.node_name);
  if (!made) return made.error();
  directory_writer_ =
      system_.spawn<caf::detached>(directory_writer, std::shared_ptr<directory>{std::move(*made)});
  return {};
}

void node::start_membership(const welcome& here) {
  membership_parts parts;
  parts.self.address = settings_.cluster.listen;
  parts.self.incarnation = incarnation_;
  parts.self.node = settings_.node_name;
  parts.self.version = PENSTOCK_VERSION;
  parts.self.wire_version = settings_.cluster.max_wire_version;
  parts.figures = [this, before = std::uint64_t{0}, at = boot_ns(),
                   began = boot_ns()](member_record& self) mutable {
    const auto now = boot_ns();
    // A rate over less than this is noise. And at first the sources are still being put together.
    if (!state_.ready.load() || now - at < figures_interval_ns) return;
    const auto totals = totals_of(metrics_);
    self.requests_per_s = static_cast<std::uint32_t>(static_cast<double>(totals.requests - before) *
                                                     1e9 / static_cast<double>(now - at));
    self.journal_bytes =
        static_cast<std::uint64_t>(std::max<std::int64_t>(totals.journal_bytes, 0));
    self.lag_events = largest_lag(metrics_.sinks);
    self.uptime_s = static_cast<std::uint64_t>((now - began) / 1'000'000'000);
    before = totals.requests;
    at = now;
  };
  parts.steady_ns = boot_ns;
  parts.decides_until_ns = decides_until_ns_;
  parts.placed = here.front_ends;
  parts.placed.insert(parts.placed.end(), here.limiters.begin(), here.limiters.end());
  for (auto& lane : lanes_)
    if (lane.idempotency) parts.placed.push_back(lane.idempotency);
  parts.limiters = here.limiters;
  parts.metrics = membership_metrics_;
  parts.board = membership_board_;
  membership_ = system_.spawn(membership_actor, std::move(parts));
}

result<void> node::start_transport() {
  auto& links = link_multiplexer::of(system_);
  links.limit_unsent_bytes(settings_.memory.link_unsent_bytes);
  // The longest that nodes send each other is a block of events; other nodes may take larger bodies.
  constexpr std::uint64_t largest_block_bytes = 32 << 20, memory_part = 4;
  const auto longest = std::max(settings_.memory.total_bytes / memory_part,
                                2 * settings_.http.max_body_bytes + largest_block_bytes);
  if (settings_.memory.total_bytes > 0)
    links.limit_message_bytes(
        std::min<std::uint64_t>(longest, link_multiplexer::max_message_bytes));
  const auto files = tls_files_of(settings_.cluster);
  if (!files.given()) {
    transport_ = cluster_transport::start_plain(system_);
    return {};
  }
  auto tls = cluster_tls::start(system_, files, gate_metrics_);
  if (!tls) return tls.error();
  tls_ = tls->get();
  transport_ = std::move(*tls);
  return {};
}

result<void> node::start_cluster() {
  if (settings_.cluster.directory == directory_kind::none) return {};
  const bool is_fixed = settings_.cluster.directory == directory_kind::static_peers;
  welcome here;
  here.version = settings_.cluster.max_wire_version;
  here.accounts = accounts_;
  here.replicas = replicas_;
  for (auto& lane : lanes_) {
    here.limiters.push_back(lane.limiter);
    here.front_ends.push_back(lane.front_end);
  }
  if (!is_fixed) {
    start_membership(here);
    here.directory = membership_;
  }
  if (auto started = start_transport(); !started) return started;
  const auto& transport = transport_->middleman();
  gate_ = system_.spawn(gate, settings_.cluster.name,
                        is_fixed ? members() : std::vector<std::string>{}, here, gate_metrics_);
  if (auto port = publish_gate(gate_, settings_.cluster.listen, transport); !port)
    return port.error();
  auto told_of_peers = here.front_ends;
  told_of_peers.insert(told_of_peers.end(), here.limiters.begin(), here.limiters.end());
  for (auto& lane : lanes_)
    if (lane.idempotency) told_of_peers.push_back(lane.idempotency);
  told_of_peers.push_back(accounts_);
  told_of_peers.push_back(replicator_);
  if (membership_) told_of_peers.push_back(membership_);
  links_ = system_.spawn(peer_links, settings_.cluster,
                         is_fixed ? members() : std::vector<std::string>{}, told_of_peers,
                         probe_tcp, link_metrics_, transport);
  caf::anon_send(gate_, caf::put_atom_v, links_);
  if (membership_) {
    caf::anon_send(directory_writer_, membership_, accounts_);
    caf::anon_send(membership_, directory_writer_, links_);
  }
  return {};
}

// Who starts while the directory is away serves all the same, as on_owner_unreachable says.
void node::join_cluster() {
  if (!membership_) return;
  caf::scoped_actor self{system_};
  self->request(membership_, join_time, await_join{})
      .receive([](joined_cluster) {},
               [](caf::error&) { spdlog::warn("cluster: not let in yet; going on without"); });
}

// -- while running --------------------------------------------------------------------------------

void node::reload_certificate() {
  if (!tls_) return;
  // The same paths as at the start: what may change is what the files hold.
  if (auto done = tls_->reload(tls_files_of(settings_.cluster)); !done)
    spdlog::error("the certificate between nodes stays as it was: {}", done.error().message);
}

} // namespace penstock
