#include "storage/journal/segment_keeper.hpp"

#include "storage/journal/journal_writer.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

namespace {

class supply_keeper final : public segment_keeper {
 public:
  supply_keeper(const journal_writer& owner, record_retention records)
      : catalog_(owner.catalog()), supply_(owner.supply()), listed_(owner.listed()),
        records_(std::move(records)), mover_(catalog_, listed_, owner.tag(), owner.vfs()) {}

  result<void> prepare() override { return supply_->prepare(); }

  result<std::size_t> retire(std::uint64_t confirmed_seq, std::int64_t before_time_ms) override {
    std::vector<segment_info> due;
    for (auto& segment : catalog_->list()) {
      const bool complete = segment.sealed || segment.damaged;
      if (complete && segment.last_seq <= confirmed_seq && segment.last_time_ms < before_time_ms)
        due.push_back(std::move(segment));
    }
    return retire_these(due);
  }

  result<std::size_t> retire_these(const std::vector<segment_info>& segments) override {
    std::vector<segment_info> going;
    result<void> kept;
    for (const auto& segment : segments) {
      // What can't be read will not be readable later either.
      auto copied = keep_records(segment);
      if (copied || copied.error().code == errc::corrupt)
        going.push_back(segment);
      else
        kept = copied;
    }
    if (records_.store && kept) records_.store->restore_reserve();
    if (auto noted = listed_->drop(names_of(going)); !noted) return noted.error();
    std::size_t retired = 0;
    for (const auto& segment : going) {
      if (auto gone = retire_one(segment); gone)
        ++retired;
      else
        kept = gone;
    }
    if (!kept && retired == 0) return kept.error();
    return retired;
  }

  result<std::uint64_t> measure(const segment_info& segment, const backlog_events& backlog,
                                std::uint64_t enough) override {
    return measure_backlog(mover_.reader(), segment, backlog, enough);
  }

  result<void> move(std::vector<segment_info> from, const backlog_events& backlog,
                    std::uint64_t max_bytes) override {
    std::uint64_t most = 0;
    for (const auto& segment : from)
      most += segment.bytes;
    if (!supply_->has_disk_for(std::min(most, max_bytes)))
      return error{errc::disk_full,
                   "the disk is nearly full, so what is owed of segments is not moved"};
    for (const auto& segment : from)
      if (auto copied = keep_records(segment); !copied && copied.error().code != errc::corrupt)
        return copied;
    auto made = mover_.make(std::move(from), backlog, max_bytes);
    if (!made) return made.error();
    if (!*made) return {}; // nothing is owed any more: it is retired instead
    moved_bytes_ += (*made)->to.bytes;
    return mover_.finish(**made);
  }

  std::uint64_t moved_bytes() const override { return moved_bytes_; }

 private:
  result<void> retire_one(const segment_info& segment) {
    const bool in_use = !catalog_->remove(segment.number);
    if (!segment.damaged) {
      discard(segment, in_use);
      return {};
    }
    auto moved = set_aside(segment.path);
    if (!moved) catalog_->put(segment);
    return moved;
  }

  static std::vector<std::string> names_of(const std::vector<segment_info>& segments) {
    std::vector<std::string> names;
    for (const auto& segment : segments)
      names.push_back(segment_path({}, segment.number).string());
    return names;
  }

  /// Before the segment goes, so that a crash in between leaves both, which does no harm.
  result<void> keep_records(const segment_info& segment) {
    if (!records_.store || segment.keys == 0) return {};
    const auto since_ms = records_.wall_ms() - records_.window_ms.count();
    if (segment.last_time_ms < since_ms) return {};
    return records_.store->keep(segment.path, since_ms, records_.max_records);
  }

  void discard(const segment_info& segment, bool in_use) {
    std::filesystem::path spare;
    if (supply_->is_roomy_for(segment.bytes) && !in_use && !other_process_reads(segment.path))
      spare = supply_->place_for_spare();
    remove_segment(segment.path, spare);
    if (!spare.empty()) supply_->offer_spare(spare);
  }

  std::shared_ptr<segment_catalog> catalog_;
  std::shared_ptr<segment_supply> supply_;
  std::shared_ptr<file_list> listed_;
  record_retention records_;
  segment_mover mover_;
  std::uint64_t moved_bytes_ = 0;
};

} // namespace

std::unique_ptr<segment_keeper> segment_keeper::make(journal& owner, const journal_options&,
                                                     record_retention records) {
  // Every journal that journal::open() gives is a journal_writer.
  return std::make_unique<supply_keeper>(static_cast<journal_writer&>(owner), std::move(records));
}

} // namespace penstock
