#include "cli/node/storage_unit.hpp"

#include "cli/node/outgoing.hpp"
#include "storage/base/files.hpp"
#include "storage/base/node_name.hpp"
#include "storage/journal/journal_place.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

result<void> storage_unit::start() {
  const std::filesystem::path dir{core_.settings.data_dir};
  if (auto made = make_directory(dir); !made) return made;
  keep_contents_private(dir);
  if (is_open_to_others(dir))
    spdlog::warn("node.data_dir {} is open to other users of this machine; 'chmod 700' closes it",
                 dir.string());
  options_.dir = dir / "journal";
  options_.max_bytes = core_.settings.journal.max_size_bytes;
  options_.segment_max_bytes = core_.settings.journal.segment_size_bytes;
  if (auto there = miss_journal(dir); !there) return there;
  recovery_report report;
  auto opened = journal::open(options_, &report);
  for (auto& sentence :
       report.damaged) // also before an error: what was put right is not found again
    spdlog::error("journal: {}", sentence);
  for (auto& sentence : report.torn)
    spdlog::warn("journal: {}", sentence);
  if (!opened) return opened.error();
  note_journal(dir);
  journal_ = std::move(*opened);
  metrics_->damaged.set(static_cast<std::int64_t>(report.damaged.size()));
  journal_lost_some_ = !report.damaged.empty() || has_damaged_files(options_.dir);
  if (report.events > 0)
    spdlog::info("journal: {} events in {} segments, {} bytes", report.events, report.segments,
                 report.bytes);
  if (auto done = open_cursors(); !done) return done;
  store_report found;
  auto counters = counter_store::open(dir, {}, &found);
  tell_damage(found);
  if (!counters) return counters.error();
  counters_ = std::move(*counters);
  keep_node_name(dir, core_.settings.node_name);
  core_.state.tag = journal_->tag();
  core_.state.next_ticket.store(journal_->next_seq());
  return {};
}

result<void> storage_unit::open_cursors() {
  store_report found;
  auto cursors =
      cursor_store::open(core_.settings.data_dir, default_cursor_reserve_bytes, {}, &found);
  auto saved =
      cursors ? (*cursors)->load(&found.damaged) : result<std::vector<cursor>>{cursors.error()};
  tell_damage(found); // also before an error: what was put right is not found again
  if (!saved) return saved.error();
  const auto beyond = go_beyond_cursors(*journal_, *saved);
  if (!beyond) return beyond.error();
  if (!beyond->empty()) {
    spdlog::error("journal: {}", *beyond);
    metrics_->damaged_stores.add(1);
  }
  cursors_ = std::move(*cursors);
  saved_cursors_ = std::move(*saved);
  return {};
}

void storage_unit::tell_damage(const store_report& found) {
  for (const auto& sentence : found.damaged)
    spdlog::error("stores: {}", sentence);
  for (const auto& sentence : found.torn)
    spdlog::warn("stores: {}", sentence);
  metrics_->damaged_stores.add(static_cast<std::int64_t>(found.damaged.size()));
}

void storage_unit::add_figures(metrics_sources& to) {
  to.journal = metrics_;
  to.journal_max_bytes = core_.settings.journal.max_size_bytes;
  to.unconfigured_max_bytes = unconfigured_max_bytes(core_.settings);
}

} // namespace penstock
