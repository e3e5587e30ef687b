#include "storage/journal/journal.hpp"

#include "storage/base/assert.hpp"
#include "storage/journal/journal_writer.hpp"
#include "storage/sqlite/wal_vfs.hpp"

#include <algorithm>
#include <chrono>

namespace penstock {

namespace {

/// A journal has at least this many segments' worth of room, so that confirmed ones can go while
/// others fill.
constexpr std::uint64_t min_segments_per_journal = 8;
/// full() is told before the last block that would fit: at most this much stays unused.
constexpr std::uint64_t max_headroom_bytes = 256u << 10;
/// Pages that a row dirties beside those that its own bytes fill: the leaf it shares with others,
/// its last overflow page, the b-tree above it and the database header.
constexpr std::uint64_t extra_pages_per_row = 3;

std::uint64_t wal_bytes_for(std::uint64_t row_bytes) {
  return (row_bytes / page_bytes + extra_pages_per_row) * wal_frame_bytes;
}

} // namespace

result<std::unique_ptr<journal>> journal::open(const journal_options& options,
                                               recovery_report* report) {
  auto settings = options;
  if (settings.dir.has_relative_path() && !settings.dir.has_filename())
    settings.dir = settings.dir.parent_path();
  if (auto made = make_directory(settings.dir); !made) return made.error();
  auto lock = lock_file(settings.dir / "lock");
  if (!lock) return lock.error();
  settings.segment_max_bytes =
      std::min(settings.segment_max_bytes, settings.max_bytes / min_segments_per_journal);
  recovery_report unused;
  auto writer = std::make_unique<journal_writer>(settings, std::move(*lock));
  if (auto started = writer->start(report != nullptr ? *report : unused); !started)
    return started.error();
  return std::unique_ptr<journal>{std::move(writer)};
}

result<void> journal_writer::start(recovery_report& report) {
  vfs_ = wal_vfs(options_.vfs, options_.sync);
  auto found = recover(options_, vfs_, *catalog_, report);
  if (!found) return found.error();
  tag_ = found->tag;
  listed_ = found->listed;
  ids_ = std::move(found->ids);
  last_seq_ = catalog_->durable_seq();
  auto supply_options = options_;
  supply_options.vfs = vfs_;
  supply_ = std::make_shared<segment_supply>(std::move(supply_options), catalog_, tag_,
                                             found->next_number);
  unopened_ = std::move(found->active);
  unopened_wal_bytes_ = found->active_wal_bytes;
  // On a full disk the node starts all the same: it can deliver, and append() tries again.
  auto activated = activate();
  if (!activated && activated.error().code != errc::disk_full) return activated;
  return {};
}

result<void> journal_writer::activate() {
  if (unopened_) {
    auto opened = segment_writer::open(*unopened_, vfs_, unopened_wal_bytes_);
    if (!opened) return opened.error();
    active_ = std::move(*opened); // the catalog has it already
    unopened_.reset();
    return {};
  }
  auto taken = supply_->take();
  if (!taken) return taken.error();
  use(std::move(*taken));
  return {};
}

void journal_writer::use(std::unique_ptr<segment_writer> segment) {
  active_ = std::move(segment);
  auto info = active_->info();
  (void)listed_->add(info.path.filename().string()); // without it a loss would not be noticed
  info.bytes = active_->bytes();
  catalog_->put(std::move(info));
}

bool journal_writer::has_room_for(std::uint64_t added_bytes) const {
  // A recycled WAL's unused rest is counted already.
  const auto spare = active_ ? active_->bytes() - active_->used_bytes() : 0;
  const auto growth = added_bytes > spare ? added_bytes - spare : 0;
  return bytes() + growth <= options_.max_bytes;
}

std::uint64_t journal_writer::used_bytes() const {
  const auto all = catalog_->bytes();
  const auto spare = active_ ? active_->bytes() - active_->used_bytes() : 0;
  return all > spare ? all - spare : 0;
}

bool journal_writer::full() const {
  return !has_room_for(open_bytes_ + std::min(max_headroom_bytes, options_.max_bytes / 16));
}

result<void> journal_writer::append(const event_block& block) {
  if (block.empty()) return {};
  if (closed_) return error{errc::invalid, "the journal is closed"};
  if (!place_) return undo(place_.error());
  if (block.first_seq <= last_seq_)
    return undo({errc::invalid, "block " + std::to_string(block.first_seq) +
                                    " does not lie past the last one, " +
                                    std::to_string(last_seq_)});
  if (!active_)
    if (auto activated = activate(); !activated) return undo(activated.error());
  if (auto covered = ids_.cover(block.last_seq()); !covered) return undo(covered.error());
  encoder_.encode(block);
  const auto added =
      wal_bytes_for(encoder_.row_bytes()) +
      (block.keys.empty() ? 0 : wal_bytes_for(block.keys.size() * idempotency_row_bytes));
  if (!has_room_for(open_bytes_ + added))
    return undo({errc::journal_full, "the journal has reached its cap of " +
                                         std::to_string(options_.max_bytes) + " bytes"});
  if (auto written = active_->append(block, encoder_); !written) return undo(written.error());
  open_bytes_ += added;
  note(block);
  return {};
}

void journal_writer::note(const event_block& block) {
  PENSTOCK_ASSERT(block.first_seq > last_seq_);
  last_seq_ = block.last_seq();
  if (growth_.first_seq == 0) {
    growth_.first_seq = block.first_seq;
    growth_.first_time_ms = growth_.last_time_ms = block.time_ms;
  }
  growth_.last_seq = last_seq_;
  growth_.first_time_ms = std::min(growth_.first_time_ms, block.time_ms);
  growth_.last_time_ms = std::max(growth_.last_time_ms, block.time_ms);
  growth_.keys += block.keys.size();
  const event_volume more{block.size(), block.event_bytes_from(0)};
  for (auto& [stream, added] : growth_.added) {
    if (stream != block.stream) continue;
    added += more;
    return;
  }
  growth_.added.emplace_back(block.stream, more);
}

void journal_writer::forget_transaction() {
  growth_.first_seq = 0;
  growth_.added.clear();
  growth_.keys = 0;
  open_bytes_ = 0;
}

error journal_writer::undo(error why) {
  if (active_) active_->rollback();
  // Ids of what was rolled back are not used again, but what comes next need only lie past what is
  // durable: the caller may append the same blocks again.
  last_seq_ = catalog_->durable_seq();
  forget_transaction();
  return why;
}

result<void> journal_writer::commit() {
  if (growth_.first_seq == 0) return {};
  if (!place_) return undo(place_.error());
  PENSTOCK_ASSERT(active_ != nullptr); // what is in a transaction is in a segment
  const auto began = std::chrono::steady_clock::now();
  auto committed = active_->commit();
  last_commit_us_ =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                     std::chrono::steady_clock::now() - began)
                                     .count());
  if (!committed) return undo(committed.error());
  growth_.bytes = active_->bytes();
  catalog_->extend(active_->info().number, growth_);
  forget_transaction();
  return {};
}

bool journal_writer::wants_rotation() const {
  return active_ && active_->used_bytes() >= options_.segment_max_bytes;
}

result<void> journal_writer::rotate() {
  if (growth_.first_seq != 0)
    return error{errc::invalid, "rotate() inside a transaction: commit() first"};
  if (!active_) return {};
  auto now = catalog_->get(active_->info().number);
  if (!now || now->first_seq == 0) return {};
  // First the new segment, then the seal: what fails leaves the old one in use.
  auto next = supply_->take();
  if (!next) return next.error();
  PENSTOCK_ASSERT((*next)->info().number > now->number);
  if (auto sealed = active_->seal(*now); !sealed) {
    supply_->give_back(std::move(*next));
    return sealed.error();
  }
  now->sealed = true;
  now->bytes = active_->bytes();
  // The old connection is closed before the catalog says that the segment may be retired.
  use(std::move(*next));
  catalog_->put(std::move(*now));
  return {};
}

result<void> journal_writer::check_place() {
  place_ = active_ ? active_->check_place() : result<void>{};
  return place_;
}

result<void> journal_writer::close() {
  // Every commit is on the disk already; an open transaction is nobody's promise.
  if (active_) active_->rollback();
  forget_transaction();
  active_.reset();
  closed_ = true;
  lock_ = {};
  return {};
}

} // namespace penstock
