#include "net/telemetry/journal_metrics_page.hpp"

#include "actors/base/metrics.hpp"

namespace penstock {

void add_journal(prometheus_page& out, const journal_metrics& j, std::uint64_t max_bytes) {
  out.counter("penstock_journal_events_total", "Events made durable.").value(j.events.value());
  out.counter("penstock_journal_commits_total", "Transactions committed.").value(j.commits.value());
  out.counter("penstock_journal_appended_bytes_total", "Bytes of bodies made durable.")
      .value(j.appended_bytes.value());
  out.counter("penstock_journal_failures_total", "Transactions rolled back.")
      .value(j.failures.value());
  out.histogram("penstock_journal_fsync_seconds", "Time of a commit until its data is on the disk.")
      .value<latency_histogram>(microseconds_per_second, {&j.fsync_us});
  out.histogram("penstock_journal_group_events", "Events in one commit.")
      .value<group_size_histogram>(1, {&j.group_size});
  out.gauge("penstock_journal_durable_seq", "The last durable sequence number.")
      .value(j.durable_seq.value());
  out.gauge("penstock_journal_bytes", "Size of all segment files.").value(j.bytes.value());
  if (max_bytes > 0)
    out.gauge("penstock_journal_max_bytes", "The cap on the size of all segment files.")
        .value(max_bytes);
  out.gauge("penstock_journal_scarce", "1 while expendable streams are refused.")
      .value(j.scarce.value());
  out.gauge("penstock_journal_full", "1 while the journal takes nothing more.")
      .value(j.full.value());
  out.gauge("penstock_journal_failed", "1 while the journal can store nothing.")
      .value(j.failed.value());
  const auto refused = j.refused();
  out.gauge("penstock_journal_refused_streams", "Streams that hold as much as they may.")
      .value(refused ? refused->names.size() : 0);
  out.gauge("penstock_journal_unconfigured_bytes",
            "What the streams that are not configured hold together.")
      .value(j.unconfigured_bytes.value());
  out.gauge("penstock_journal_unconfigured_full", "1 while nothing more of those is taken.")
      .value(j.unconfigured_full.value());
  out.gauge("penstock_journal_queued_batches", "Batches waiting for a commit.")
      .value(j.queued_batches.value());
  out.gauge("penstock_journal_damaged_segments", "Segments set aside or cut short at this start.")
      .value(j.damaged.value());
  out.gauge("penstock_damaged_stores", "Damage to stores beside the journal, found at this start.")
      .value(j.damaged_stores.value());
}

void add_retention(prometheus_page& out, const retention_metrics& k) {
  out.counter("penstock_journal_segments_retired_total", "Segments retired.")
      .value(k.retired.value());
  out.counter("penstock_journal_segments_moved_total",
              "Segments whose rest was put into a smaller one.")
      .value(k.moved.value());
  out.counter("penstock_journal_moved_bytes_total", "Bytes written by that.")
      .value(k.moved_bytes.value());
  out.counter("penstock_keeper_failures_total", "Segments that could not be made or retired.")
      .value(k.failures.value());
}

} // namespace penstock
