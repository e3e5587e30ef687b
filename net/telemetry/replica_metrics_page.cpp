#include "net/telemetry/replica_metrics_page.hpp"

#include "actors/base/unpublished.hpp"

namespace penstock {

namespace {

void add_replicated_answers(prometheus_page& out, const metrics_sources& from) {
  std::uint64_t replicated = 0;
  std::array<std::uint64_t, unpublished_names.size()> others{};
  for (const auto* one : from.front_ends) {
    replicated += one->replicated.value();
    for (std::size_t i = 1; i < others.size(); ++i)
      others[i] += one->unreplicated_answers[i].value();
  }
  out.counter("penstock_replicated_answers_total",
              "Requests of streams with ack = replicated, answered when a second node had the "
              "events.")
      .value(replicated);
  out.counter("penstock_unreplicated_answers_total",
              "And those answered without that, as their events were durable here, by reason.");
  for (std::size_t i = 1; i < others.size(); ++i)
    if (static_cast<unpublished>(i) != unpublished::dead_letter)
      out.value(others[i], {{"reason", unpublished_names[i]}});
}

void add_replicator(prometheus_page& out, const replicator_metrics& m) {
  constexpr double us_a_second = 1e6;
  out.counter("penstock_replication_sent_events_total",
              "Events sent to the node that holds them, those sent again among them.")
      .value(m.events.value());
  out.counter("penstock_replication_sent_bytes_total", "Bytes of their bodies.")
      .value(m.bytes.value());
  out.counter("penstock_replication_batches_total", "Messages that carried them.")
      .value(m.batches.value());
  out.counter("penstock_replication_reads_total",
              "Rows read from the journal to be sent, as after a change of the holder.")
      .value(m.read_blocks.value());
  out.counter("penstock_replication_holder_changes_total", "Times that a holder was chosen.")
      .value(m.holder_changes.value());
  out.gauge("penstock_replication_has_holder", "1 while another node holds this one's events.")
      .value(m.has_holder.value());
  out.gauge("penstock_replication_waiting_bytes", "Sent, and not known to be held.")
      .value(m.waiting_bytes.value());
  out.gauge("penstock_replication_waits", "Requests that wait for a second node.")
      .value(m.waits.value());
  out.gauge("penstock_replication_lag_seconds",
            "Age of the oldest batch that is not known to be held.")
      .value(static_cast<double>(m.lag_us.value()) / us_a_second);
}

void add_single(prometheus_page& out, const replicator_metrics& origin,
                const replica_metrics* holder) {
  out.gauge("penstock_replication_single_events",
            "Events of ack = replicated, not published yet, that no other node is known to hold: "
            "this node's, and those that it holds for nodes that are away. At most so many; where "
            "all nodes say 0 any one of them may be lost.")
      .value(origin.single_events.value() + (holder ? holder->single_events.value() : 0));
}

void add_held(prometheus_page& out, const replica_metrics& m) {
  out.gauge("penstock_replica_origins", "Nodes whose events are held here.")
      .value(m.origins.value());
  out.gauge("penstock_replica_held_bytes", "Size of the segments that hold them.")
      .value(m.held_bytes.value());
  out.counter("penstock_replica_events_total", "Events taken from other nodes to be held.")
      .value(m.events.value());
  out.counter("penstock_replica_bytes_total", "Bytes of their bodies.").value(m.bytes.value());
  out.counter("penstock_replica_commits_total", "Transactions that made them durable.")
      .value(m.commits.value());
  out.counter("penstock_replica_refusals_total", "Batches of other nodes that were not kept.")
      .value(m.refusals.value());
  out.counter("penstock_replica_moved_bytes_total",
              "Bytes written to make room, with what is owed of segments that were given up.")
      .value(m.moved_bytes.value());
  out.counter("penstock_replica_passed_events_total",
              "Events held for nodes that are away, sent to another node to be held there, too.")
      .value(m.passed_events.value());
  out.counter("penstock_replica_passed_bytes_total", "Bytes of their bodies.")
      .value(m.passed_bytes.value());
  out.counter("penstock_replica_adopted_total",
              "Nodes that did not come back, and whose events were published here.")
      .value(m.adopted.value());
}

} // namespace

void add_replicas(prometheus_page& out, const metrics_sources& from) {
  if (!from.replicator) return;
  add_replicated_answers(out, from);
  add_replicator(out, *from.replicator);
  add_single(out, *from.replicator, from.replicas.get());
  if (from.replicas) add_held(out, *from.replicas);
}

} // namespace penstock
