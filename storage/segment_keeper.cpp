#include "storage/segment_keeper.hpp"

#include "storage/journal_writer.hpp"

#include <utility>

namespace penstock {

namespace {

class supply_keeper final : public segment_keeper {
 public:
  supply_keeper(std::shared_ptr<segment_catalog> catalog, std::shared_ptr<segment_supply> supply,
                const std::string& tag, const std::string& vfs, record_retention records)
      : catalog_(std::move(catalog)), supply_(std::move(supply)), records_(std::move(records)),
        mover_(catalog_, tag, vfs) {}

  result<void> prepare() override { return supply_->prepare(); }

  result<std::size_t> retire(std::uint64_t confirmed_seq, std::int64_t before_time_ms) override {
    std::size_t retired = 0;
    result<void> kept;
    for (const auto& segment : catalog_->list()) {
      const bool complete = segment.sealed || segment.damaged;
      if (!complete || segment.last_seq > confirmed_seq || segment.last_time_ms >= before_time_ms)
        continue;
      if (auto gone = retire_one(segment); !gone) {
        kept = gone;
        continue;
      }
      ++retired;
    }
    if (records_.store && kept) records_.store->restore_reserve();
    if (!kept && retired == 0) return kept.error();
    return retired;
  }

  result<void> retire_one(const segment_info& segment) override {
    // What can't be read will not be readable later either.
    if (auto copied = keep_records(segment); !copied && copied.error().code != errc::corrupt)
      return copied;
    const bool in_use = !catalog_->remove(segment.number);
    if (!segment.damaged) {
      discard(segment, in_use);
      return {};
    }
    auto moved = set_aside(segment.path);
    if (!moved) catalog_->put(segment);
    return moved;
  }

  result<std::uint64_t> measure(const segment_info& segment, const owed_events& owed,
                                std::uint64_t enough) override {
    return measure_owed(mover_.reader(), segment, owed, enough);
  }

  result<void> move(std::vector<segment_info> from, const owed_events& owed,
                    std::uint64_t max_bytes) override {
    for (const auto& segment : from)
      if (auto copied = keep_records(segment); !copied) return copied;
    auto made = mover_.make(std::move(from), owed, max_bytes);
    if (!made) return made.error();
    if (!*made) return {}; // nothing is owed any more: it is retired instead
    moved_bytes_ += (*made)->to.bytes;
    return mover_.finish(**made);
  }

  std::uint64_t moved_bytes() const override { return moved_bytes_; }

 private:
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
  record_retention records_;
  segment_mover mover_;
  std::uint64_t moved_bytes_ = 0;
};

} // namespace

std::unique_ptr<segment_keeper> segment_keeper::make(journal& owner, const journal_options&,
                                                     record_retention records) {
  // Every journal that journal::open() gives is a journal_writer.
  auto& writer = static_cast<journal_writer&>(owner);
  return std::make_unique<supply_keeper>(writer.catalog(), writer.supply(), writer.tag(), writer.vfs(),
                                         std::move(records));
}

} // namespace penstock
