#include "net/telemetry/limiter_metrics_page.hpp"

namespace penstock {

namespace {

using cluster_figures = limiter_cluster_metrics;
using cluster_sources = std::vector<std::shared_ptr<const limiter_cluster_metrics>>;

template <class Figure>
auto sum_of(const cluster_sources& all, Figure cluster_figures::*figure) {
  decltype(((*all.front()).*figure).value()) total = 0;
  for (const auto& one : all)
    total += ((*one).*figure).value();
  return total;
}

void add_leases(prometheus_page& out, const cluster_sources& all) {
  using m = cluster_figures;
  out.counter("penstock_limiter_peer_messages_total", "Messages between limiters of nodes.")
      .value(sum_of(all, &m::requests_sent), {{"kind", "asked"}})
      .value(sum_of(all, &m::requests_answered), {{"kind", "answered"}});
  out.counter("penstock_limiter_asked_again_total",
              "Questions that were sent again, as the shard was moving.")
      .value(sum_of(all, &m::asked_again));
  out.counter("penstock_lease_requests_total",
              "Requests decided here for another node's shard without asking it, by result.")
      .value(sum_of(all, &m::leased_requests), {{"result", "admitted"}})
      .value(sum_of(all, &m::leased_refusals), {{"result", "refused"}});
  out.counter("penstock_lease_units_total", "Units that this node set aside for others.")
      .value(sum_of(all, &m::units_leased));
  out.counter("penstock_lease_units_returned_total", "And those that came back unspent.")
      .value(sum_of(all, &m::units_returned));
  out.counter("penstock_lease_units_reclaimed_total",
              "Of leases of nodes that died, half: at most so many may have been spent after all.")
      .value(sum_of(all, &m::units_reclaimed));
  out.counter("penstock_leases_withheld_total",
              "Leases that were not given since no backup confirmed them in time.")
      .value(sum_of(all, &m::leases_withheld));
  out.gauge("penstock_lease_held_units", "Units that this node may spend without asking.")
      .value(sum_of(all, &m::leased_units));
}

void add_moves(prometheus_page& out, const cluster_sources& all) {
  using m = cluster_figures;
  out.gauge("penstock_shards", "Shards of limits that are this node's, by state.")
      .value(sum_of(all, &m::owned_shards), {{"state", "owned"}})
      .value(sum_of(all, &m::waiting_shards), {{"state", "arriving"}})
      .value(sum_of(all, &m::leaving_shards), {{"state", "leaving"}});
  out.gauge("penstock_limiter_held_requests",
            "Requests that wait for a shard's counters or for its owner to be found.")
      .value(sum_of(all, &m::held_requests));
  out.counter("penstock_shard_moves_total", "Shards that came or went, by how.")
      .value(sum_of(all, &m::shards_sent), {{"kind", "sent"}})
      .value(sum_of(all, &m::shards_received), {{"kind", "received"}})
      .value(sum_of(all, &m::shards_taken_over), {{"kind", "taken_over"}})
      .value(sum_of(all, &m::moves_incomplete), {{"kind", "incomplete"}});
  out.counter("penstock_limiter_backup_rows_total",
              "Counters streamed to the node that would take over.")
      .value(sum_of(all, &m::backup_rows_sent));
  out.gauge("penstock_limiter_unsent_units",
            "Units charged that no backup has confirmed: what may be admitted again if this node "
            "dies now.")
      .value(sum_of(all, &m::unsent_units));
}

void add_membership(prometheus_page& out, const membership_metrics& m) {
  out.gauge("penstock_cluster_members", "Members of the view that this node goes by.")
      .value(m.members.value());
  out.gauge("penstock_cluster_epoch", "That view's number.").value(m.epoch.value());
  out.gauge("penstock_directory_up", "1 while the directory takes this node's renewals.")
      .value(m.directory_up.value());
  out.gauge("penstock_cluster_clock_ahead_seconds",
            "How far this node's clock is ahead of the time that the cluster counts limits in.")
      .value(static_cast<double>(m.clock_ahead_ms.value()) / 1e3);
  out.counter("penstock_directory_renewals_total", "Renewals of this node's record, by result.")
      .value(m.renewals.value(), {{"result", "ok"}})
      .value(m.failed_renewals.value(), {{"result", "failed"}});
  out.counter("penstock_directory_forgotten_total",
              "Records of nodes long dead that this node took out of the directory.")
      .value(m.forgotten.value());
  out.counter("penstock_cluster_views_total", "Views, by what this node did with them.")
      .value(m.views.value(), {{"what", "taken"}})
      .value(m.proposals.value(), {{"what", "proposed"}});
}

} // namespace

void add_limiter_clusters(prometheus_page& out, const metrics_sources& from) {
  const auto& all = from.limiter_clusters;
  if (from.membership) add_membership(out, *from.membership);
  if (all.empty()) return;
  using m = cluster_figures;
  out.counter("penstock_limiter_fallback_total",
              "Requests whose shard's owner was out of reach, by what was done with them.")
      .value(sum_of(all, &m::fallback_local), {{"policy", "local"}})
      .value(sum_of(all, &m::fallback_refused), {{"policy", "refuse"}});
  add_leases(out, all);
  add_moves(out, all);
}

} // namespace penstock
