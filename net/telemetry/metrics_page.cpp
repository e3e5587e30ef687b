#include "net/telemetry/metrics_page.hpp"

#include "actors/base/metrics.hpp"
#include "actors/base/unpublished.hpp"
#include "net/telemetry/journal_metrics_page.hpp"
#include "net/telemetry/limiter_metrics_page.hpp"
#include "net/telemetry/process_metrics.hpp"
#include "net/telemetry/prometheus_page.hpp"
#include "net/telemetry/registered_figures.hpp"
#include "net/telemetry/replica_metrics_page.hpp"
#include "net/telemetry/sink_metrics_page.hpp"

#include <algorithm>
#include <map>

namespace penstock {

namespace {

using page = prometheus_page;

/// The sum of one figure over sources of one kind.
template <class Sources, class Figure>
auto sum(const Sources& sources, Figure figure) {
  decltype(figure(*sources.front()).value()) total = 0;
  for (const auto& source : sources)
    total += figure(*source).value();
  return total;
}

void add_http(page& out, const std::vector<const front_end_metrics*>& all) {
  if (all.empty()) return;
  using m = front_end_metrics;
  out.counter("penstock_http_requests_total", "Requests answered, by status.");
  for (std::size_t i = 0; i < counted_statuses.size(); ++i) {
    const auto status = counted_statuses[i];
    const auto count = sum(all, [i](const m& f) -> auto& { return f.requests[i]; });
    if (count > 0 || status == 202 || status == 429 || status == 503)
      out.value(count, {{"status", status == 0 ? "other" : std::to_string(status)}});
  }
  std::vector<const latency_histogram*> latencies;
  for (const auto* front_end : all)
    latencies.push_back(&front_end->request_us);
  out.histogram(
         "penstock_http_request_seconds",
         "Time from a complete request to its answer, for requests that a limiter was asked for.")
      .value(microseconds_per_second, latencies);
  out.counter("penstock_http_received_bytes_total", "Bytes received on the ingest plane.")
      .value(sum(all, [](const m& f) -> auto& { return f.bytes_in; }));
  out.counter("penstock_http_sent_bytes_total", "Bytes sent on the ingest plane.")
      .value(sum(all, [](const m& f) -> auto& { return f.bytes_out; }));
  out.counter("penstock_http_events_total", "Events accepted and handed to the journal.")
      .value(sum(all, [](const m& f) -> auto& { return f.events; }));
  out.counter("penstock_received_lost_total",
              "Events of streams with ack = received whose commit failed after their 202.")
      .value(sum(all, [](const m& f) -> auto& { return f.received_lost; }));
  out.gauge("penstock_http_connections", "Connections open now.")
      .value(sum(all, [](const m& f) -> auto& { return f.connections; }));
  out.counter("penstock_http_connections_total", "Connections accepted.")
      .value(sum(all, [](const m& f) -> auto& { return f.connections_total; }));
  out.gauge("penstock_http_in_flight_bytes", "Bodies between the socket and the disk.")
      .value(sum(all, [](const m& f) -> auto& { return f.in_flight_bytes; }));
  out.gauge("penstock_http_memory_bytes",
            "What is held for clients and counts in http.max_in_flight, by part.");
  for (std::size_t i = 0; i < memory_part_names.size(); ++i)
    out.value(sum(all, [i](const m& f) -> auto& { return f.memory_bytes[i]; }),
              {{"part", memory_part_names[i]}});
  out.gauge("penstock_http_memory_max_bytes", "The bound of their sum.")
      .value(sum(all, [](const m& f) -> auto& { return f.memory_max_bytes; }));
  out.counter("penstock_http_timeouts_total", "Connections closed for being slow, by phase.");
  for (std::size_t i = 0; i < timeout_names.size(); ++i)
    out.value(sum(all, [i](const m& f) -> auto& { return f.timeouts[i]; }),
              {{"kind", timeout_names[i]}});
  out.counter("penstock_shed_total", "Requests turned away for the node's own sake, by reason.");
  for (std::size_t i = 0; i < shed_names.size(); ++i)
    out.value(sum(all, [i](const m& f) -> auto& { return f.shed[i]; }),
              {{"reason", shed_names[i]}});
  out.counter("penstock_barred_total", "Requests of clients that may not come in, by reason.");
  for (std::size_t i = 0; i < bar_names.size(); ++i)
    out.value(sum(all, [i](const m& f) -> auto& { return f.barred[i]; }),
              {{"reason", bar_names[i]}});
  out.gauge("penstock_publish_waits", "Requests that wait until sinks have their events.")
      .value(sum(all, [](const m& f) -> auto& { return f.publish_waits; }));
  out.counter("penstock_published_answers_total",
              "Requests of streams with ack = published, answered when the sinks had the events.")
      .value(sum(all, [](const m& f) -> auto& { return f.published; }));
  out.counter("penstock_unpublished_answers_total",
              "And those answered without that, as their events were durable, by reason.");
  for (std::size_t i = 1; i < unpublished_names.size(); ++i)
    out.value(sum(all, [i](const m& f) -> auto& { return f.unpublished_answers[i]; }),
              {{"reason", unpublished_names[i]}});
}

void add_limiters(page& out, const metrics_sources& from) {
  const auto& all = from.limiters;
  if (all.empty()) return;
  using m = limiter_metrics;
  out.counter("penstock_verdicts_total", "Verdicts of this node's limiters.")
      .value(sum(all, [](const m& l) -> auto& { return l.requests_admitted; }),
             {{"result", "admitted"}, {"reason", "none"}});
  constexpr std::pair<refusal, const char*> reasons[] = {{refusal::quota, "quota"},
                                                         {refusal::table_full, "table_full"},
                                                         {refusal::unknown_plan, "unknown_plan"},
                                                         {refusal::too_large, "too_large"}};
  for (const auto& [reason, name] : reasons) {
    const auto at = static_cast<std::size_t>(reason);
    out.value(sum(all, [at](const m& l) -> auto& { return l.refused_by_reason[at]; }),
              {{"result", "refused"}, {"reason", name}});
  }
  const auto names =
      from.limit_names ? from.limit_names->all() : std::vector<limit_labels::label>{};
  out.counter("penstock_limit_refusals_total", "Refusals by the limit that was used up.");
  for (std::size_t i = 0; i < names.size(); ++i)
    out.value(sum(all, [i](const m& l) -> auto& { return l.refused_by_limit[i]; }),
              {{"plan", names[i].plan}, {"limit", names[i].limit}});
  out.counter("penstock_limit_shadow_refusals_total",
              "Requests that a limit in shadow would have refused, wholly or in part.");
  for (std::size_t i = 0; i < names.size(); ++i)
    out.value(sum(all, [i](const m& l) -> auto& { return l.shadowed_by_limit[i]; }),
              {{"plan", names[i].plan}, {"limit", names[i].limit}});
  out.gauge("penstock_limiter_clients", "Clients that the limiters remember.")
      .value(sum(all, [](const m& l) -> auto& { return l.live_clients; }));
  out.gauge("penstock_limiter_bytes", "Memory of the limiters' tables.")
      .value(sum(all, [](const m& l) -> auto& { return l.table_bytes; }));
  out.counter("penstock_limiter_forgotten_total", "Idle clients forgotten.")
      .value(sum(all, [](const m& l) -> auto& { return l.clients_forgotten; }));
}

void add_names(page& out, const stream_names& names) {
  out.gauge("penstock_stream_names", "Names of streams in use that are not configured.")
      .value(names.used());
  out.gauge("penstock_stream_names_max", "As many of them as there may be.").value(names.places());
  out.counter("penstock_stream_names_forgotten_total",
              "Names forgotten, as nothing of them was owed or sent.")
      .value(names.forgotten());
}

void add_counters(page& out, const counters_metrics& c) {
  out.counter("penstock_limiter_saved_rows_total",
              "Counters of limits saved so that they survive a restart.")
      .value(c.rows.value());
  out.counter("penstock_limiter_saves_total", "Transactions that saved such counters.")
      .value(c.saves.value());
  out.counter("penstock_limiter_save_failures_total",
              "Such transactions that failed; each is tried again.")
      .value(c.failures.value());
  out.counter("penstock_limiter_removed_rows_total", "Saved counters deleted, being idle.")
      .value(c.removed.value());
}

// Of each sink the streams with the most.
std::vector<dead_letter_tally> shown_tallies(const std::vector<dead_letter_tally>& all,
                                             const stream_test& is_configured) {
  std::map<std::string, std::vector<dead_letter_tally>> by_sink;
  for (const auto& tally : all)
    by_sink[tally.sink].push_back(tally);
  std::vector<dead_letter_tally> out;
  for (auto& [sink, tallies] : by_sink)
    for (auto& tally : shown_streams(
             std::move(tallies), is_configured,
             [](const dead_letter_tally& t) {
               return event_volume{t.letters, t.bytes};
             },
             [](dead_letter_tally& sum, const dead_letter_tally& more) {
               sum.letters += more.letters;
               sum.bytes += more.bytes;
             }))
      out.push_back(std::move(tally));
  return out;
}

void add_dead_letters(page& out, const dead_letter_metrics& letters,
                      const stream_test& is_configured) {
  out.gauge("penstock_dead_letters", "Events that a sink refused for good and that are kept.");
  for (const auto& tally : shown_tallies(letters.tallies(), is_configured))
    out.value(tally.letters, {{"sink", tally.sink}, {"stream", tally.stream}});
  out.gauge("penstock_dead_letters_bytes", "What they take of dead_letters.max_size.")
      .value(letters.bytes.value());
  out.counter("penstock_dead_letters_buried_total", "Events that became dead letters.")
      .value(letters.stored.value());
  out.counter("penstock_dead_letters_failures_total",
              "Times that some could not be kept; their part of the sink waits and tries again.")
      .value(letters.store_failures.value());
  out.counter("penstock_dead_letters_retried_total", "Dead letters sent again, by the outcome.")
      .value(letters.retried.value(), {{"result", "sent"}})
      .value(letters.refused_again.value(), {{"result", "refused"}});
}

void add_key_moves(page& out, const std::vector<std::shared_ptr<const idempotency_metrics>>& all) {
  using m = idempotency_metrics;
  out.counter("penstock_idempotency_moved_keys_total",
              "Keys told to or by other nodes as shards changed their owner.")
      .value(sum(all, [](const m& i) -> auto& { return i.moved_away; }), {{"direction", "sent"}})
      .value(sum(all, [](const m& i) -> auto& { return i.moved_here; }),
             {{"direction", "received"}});
  out.counter("penstock_idempotency_moves_incomplete_total",
              "Shards whose keys did not come in time from who had them before.")
      .value(sum(all, [](const m& i) -> auto& { return i.moves_incomplete; }));
  out.gauge("penstock_idempotency_arriving_shards", "Shards whose keys are on their way here.")
      .value(sum(all, [](const m& i) -> auto& { return i.arriving; }));
  out.gauge("penstock_idempotency_parked_requests", "Requests that wait for keys to arrive.")
      .value(sum(all, [](const m& i) -> auto& { return i.parked; }));
}

void add_idempotency(page& out, const metrics_sources& from) {
  const auto& all = from.idempotency;
  if (all.empty()) return;
  using m = idempotency_metrics;
  out.counter("penstock_idempotency_total", "Requests and CloudEvents with a key, by what it told.")
      .value(sum(all, [](const m& i) -> auto& { return i.fresh; }), {{"result", "fresh"}})
      .value(sum(all, [](const m& i) -> auto& { return i.repeats; }), {{"result", "repeat"}})
      .value(sum(all, [](const m& i) -> auto& { return i.waited; }), {{"result", "waited"}})
      .value(sum(all, [](const m& i) -> auto& { return i.conflicts; }), {{"result", "conflict"}});
  out.gauge("penstock_idempotency_keys", "Keys that are remembered.")
      .value(sum(all, [](const m& i) -> auto& { return i.keys; }));
  add_key_moves(out, all);
  out.gauge("penstock_idempotency_bytes", "Memory of the keys.")
      .value(sum(all, [](const m& i) -> auto& { return i.bytes; }));
}

void add_queue(page& out, const queue_metrics& q, const stream_test& is_configured) {
  const auto streams = shown_queues(q, is_configured);
  out.gauge("penstock_queue_depth", "Events of the embedded queue not yet acknowledged.");
  for (const auto& s : streams)
    out.value(s.depth, {{"stream", s.stream}});
  out.gauge("penstock_queue_depth_bytes", "Bytes of their bodies.");
  for (const auto& s : streams)
    out.value(s.bytes, {{"stream", s.stream}});
  out.gauge("penstock_queue_in_flight", "Events that a consumer holds under a lease.");
  for (const auto& s : streams)
    out.value(s.in_flight, {{"stream", s.stream}});
  out.gauge("penstock_queue_oldest_seconds", "Age of the oldest event not acknowledged.");
  for (const auto& s : streams)
    out.value(static_cast<double>(s.oldest_ms) / 1e3, {{"stream", s.stream}});
  out.counter("penstock_queue_delivered_total", "Messages handed out, repeats included.")
      .value(q.delivered.value());
  out.counter("penstock_queue_redelivered_total", "Messages handed out again.")
      .value(q.redelivered.value());
  out.counter("penstock_queue_acked_total", "Messages acknowledged.").value(q.acked.value());
  out.counter("penstock_queue_nacked_total", "Messages given back.").value(q.nacked.value());
  out.counter("penstock_queue_stale_receipts_total",
              "Receipts refused because the message had gone to another consumer.")
      .value(q.stale.value());
  out.counter("penstock_queue_cursor_saves_total", "Durable saves of cursors.")
      .value(q.cursor_saves.value());
  out.counter("penstock_queue_cursor_failures_total", "Saves of cursors that failed.")
      .value(q.cursor_failures.value());
  out.counter("penstock_queue_expired_total",
              "Messages LOST, as their stream held too much and lets the oldest go.")
      .value(q.expired.value());
  out.gauge("penstock_queue_waiters", "Receives held open.").value(q.waiters.value());
}

void add_usage_copies(page& out, const usage_metrics& usage) {
  out.gauge("penstock_usage_copies", "Nodes whose usage this node has a copy of.")
      .value(usage.copies.value());
  out.gauge("penstock_usage_copies_waiting",
            "This node and nodes that are gone, whose usage no other node has taken whole yet.")
      .value(usage.copies_waiting.value());
  out.counter("penstock_usage_copies_refused_total",
              "Messages with usage of a further node, for which there was no room.")
      .value(usage.copies_refused.value());
}

void add_process(page& out) {
  const auto self = read_process_figures();
  out.counter("process_cpu_seconds_total", "User and system CPU time.").value(self.cpu_seconds);
  out.gauge("process_resident_memory_bytes", "Resident memory.").value(self.resident_bytes);
  out.gauge("process_open_fds", "Open file descriptors.").value(self.open_descriptors);
  out.gauge("process_threads", "Threads.").value(self.threads);
}

void add_memory(page& out, const memory_figures& from) {
  if (from.limit_bytes == 0) return;
  out.gauge("penstock_memory_limit_bytes",
            "What the node may use: node.memory, or what its cgroup or the machine has.")
      .value(from.limit_bytes);
  out.gauge("penstock_memory_bound_bytes", "What each use of memory may take at most.");
  for (const auto& one : from.uses)
    out.value(one.bound_bytes, {{"use", std::string{one.use}}});
  out.gauge("penstock_memory_used_bytes",
            "What each use of memory takes, by the node's own count.");
  for (const auto& one : from.uses)
    out.value(one.used_bytes(), {{"use", std::string{one.use}}});
}

} // namespace

std::string metrics_page(const metrics_sources& from) {
  page out;
  out.gauge("penstock_build_info", "Which build this is; the value is always 1.")
      .value(1, {{"version", from.version}, {"node", from.node_name}});
  add_http(out, from.front_ends);
  if (from.names) add_names(out, *from.names);
  add_limiters(out, from);
  add_limiter_clusters(out, from);
  add_replicas(out, from);
  if (from.counters) add_counters(out, *from.counters);
  add_idempotency(out, from);
  if (from.journal) add_journal(out, *from.journal, from.journal_max_bytes);
  if (from.queue) add_queue(out, *from.queue, from.is_configured);
  add_sinks(out, from.sinks, from.is_configured);
  if (from.keeper) add_retention(out, *from.keeper);
  if (from.usage) {
    out.gauge("penstock_usage_rows", "Rows in usage.db.").value(from.usage->rows.value());
    out.counter("penstock_usage_entries_total", "Ids and their counts, taken from front ends.")
        .value(from.usage->entries.value());
    out.counter("penstock_usage_entries_lost_total",
                "Those given up, as usage.db could not be written for too long.")
        .value(from.usage->lost.value());
    out.counter("penstock_usage_failures_total", "Writes to usage.db that failed; tried again.")
        .value(from.usage->failures.value());
    if (from.links) add_usage_copies(out, *from.usage);
  }
  if (from.links) {
    out.gauge("penstock_cluster_peers_up", "Peers within reach.")
        .value(from.links->links_up.value());
    out.counter("penstock_cluster_reconnects_total", "Times that a link came up again.")
        .value(from.links->reconnects.value());
    out.counter("penstock_cluster_failed_attempts_total",
                "Attempts to link to a peer that failed, refusals included.")
        .value(from.links->failed_attempts.value());
    out.counter("penstock_cluster_refusals_total",
                "Links refused because the peer has another cluster, version or authority.")
        .value(from.links->refusals.value());
  }
  if (from.gate) {
    const auto& turned_away = *from.gate;
    out.counter("penstock_cluster_nodes_refused_total",
                "Nodes that were refused at the cluster port, by the reason.")
        .value(turned_away.version.value(), {{"reason", "version"}})
        .value(turned_away.cluster.value(), {{"reason", "cluster"}})
        .value(turned_away.address.value(), {{"reason", "address"}})
        .value(turned_away.tls.value(), {{"reason", "tls"}});
  }
  if (from.dead_letters) add_dead_letters(out, *from.dead_letters, from.is_configured);
  if (from.replays) {
    out.counter("penstock_replay_events_total", "Events of replays, by what their sink did.")
        .value(from.replays->sent.value(), {{"result", "sent"}})
        .value(from.replays->refused.value(), {{"result", "refused"}});
    out.gauge("penstock_replays_running", "Replays that run.").value(from.replays->running.value());
  }
  if (!from.mailboxes.empty()) {
    out.gauge("penstock_mailbox_depth", "Messages that wait for an actor.");
    for (const auto& [actor, depth] : from.mailboxes)
      out.value(depth(), {{"actor", actor}});
  }
  if (from.dropped_log_lines)
    out.counter("penstock_log_dropped_total", "Log lines dropped because their queue was full.")
        .value(from.dropped_log_lines());
  for (const auto& actor : from.actors)
    add_registered(out, *actor);
  add_memory(out, from.memory);
  add_process(out);
  return out.text();
}

std::vector<queue_stats> shown_queues(const queue_metrics& queue,
                                      const stream_test& is_configured) {
  return shown_streams(
      queue.streams(), is_configured,
      [](const queue_stats& s) {
        return event_volume{s.depth, s.bytes};
      },
      [](queue_stats& sum, const queue_stats& more) {
        sum.depth += more.depth;
        sum.bytes += more.bytes;
        sum.in_flight += more.in_flight;
        sum.expired += more.expired;
        sum.oldest_ms = std::max(sum.oldest_ms, more.oldest_ms);
      });
}

node_totals totals_of(const metrics_sources& from) {
  node_totals out;
  for (const auto* front_end : from.front_ends) {
    for (std::size_t i = 0; i < counted_statuses.size(); ++i) {
      const auto count = front_end->requests[i].value();
      out.requests += count;
      if (counted_statuses[i] == 202) out.accepted += count;
      if (counted_statuses[i] == 429) out.refused += count;
    }
    for (const auto& shed : front_end->shed)
      out.shed += shed.value();
    out.connections += front_end->connections.value();
  }
  for (const auto& limiter : from.limiters)
    out.live_clients += limiter->live_clients.value();
  if (from.journal) {
    out.events = from.journal->events.value();
    out.journal_bytes = from.journal->bytes.value();
    out.durable_seq = from.journal->durable_seq.value();
    out.journal_scarce = from.journal->scarce.value() != 0;
    out.journal_full = from.journal->full.value() != 0;
    out.unconfigured_bytes = from.journal->unconfigured_bytes.value();
    out.full_streams = from.journal->refused();
  }
  if (from.links) out.peers_up = from.links->links_up.value();
  out.journal_max_bytes = from.journal_max_bytes;
  out.unconfigured_max_bytes = from.unconfigured_max_bytes;
  if (from.queue) out.queues = shown_queues(*from.queue, from.is_configured);
  return out;
}

} // namespace penstock
