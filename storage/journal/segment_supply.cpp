#include "storage/journal/segment_supply.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/files.hpp"
#include "storage/sqlite/wal_scan.hpp"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace fs = std::filesystem;

segment_supply::segment_supply(journal_options options,
                               std::shared_ptr<const segment_catalog> catalog, std::string tag,
                               std::uint64_t next_number)
    : options_(std::move(options)), catalog_(std::move(catalog)), tag_(std::move(tag)),
      next_number_(next_number) {
  for (std::size_t i = 0; i < max_spare_wals; ++i)
    if (fs::exists(spare_path(i)) && !mark_unused(spare_path(i))) remove_file(spare_path(i));
  recount_locked();
}

fs::path segment_supply::spare_path(std::size_t i) const {
  return options_.dir / ("spare-" + std::to_string(i + 1) + ".wal");
}

result<void> segment_supply::prepare() {
  const std::lock_guard lock{mutex_};
  if (prepared_ || returned_) return {};
  auto made = make_locked();
  if (!made) return made.error();
  prepared_ = std::move(*made);
  recount_locked();
  return {};
}

result<std::unique_ptr<segment_writer>> segment_supply::take() {
  const std::lock_guard lock{mutex_};
  // What was returned has the lower number: numbers only grow.
  auto taken = std::exchange(returned_ ? returned_ : prepared_, nullptr);
  if (!taken) {
    auto made = make_locked();
    if (!made) return made.error();
    taken = std::move(*made);
  }
  recount_locked();
  return taken;
}

void segment_supply::give_back(std::unique_ptr<segment_writer> unused) {
  const std::lock_guard lock{mutex_};
  // The writer is the only taker, and takes this one first. The keeper may have prepared the next
  // meanwhile.
  PENSTOCK_ASSERT(!returned_);
  returned_ = std::move(unused);
  recount_locked();
}

result<std::unique_ptr<segment_writer>> segment_supply::make_locked() {
  fs::path spare;
  for (std::size_t i = 0; i < max_spare_wals && spare.empty(); ++i)
    if (fs::exists(spare_path(i))) spare = spare_path(i);
  segment_info info;
  info.number = next_number_++;
  info.path = segment_path(options_.dir, info.number);
  const auto preallocate = options_.preallocate && is_roomy_for(options_.segment_max_bytes)
                               ? options_.segment_max_bytes
                               : 0;
  if (auto made = create_segment(info.path, info.number, tag_, options_.vfs, spare, preallocate);
      !made)
    return made.error();
  auto opened = segment_writer::open(info, options_.vfs);
  if (!opened) remove_segment(info.path);
  return opened;
}

bool segment_supply::is_roomy_for(std::uint64_t more_bytes) const {
  constexpr std::uint64_t free_times = 4;
  std::error_code fault;
  const auto disk = fs::space(options_.dir, fault);
  return !fault && disk.available >= free_times * more_bytes &&
         catalog_->bytes() + bytes() + more_bytes <= options_.max_bytes / 2;
}

bool segment_supply::has_disk_for(std::uint64_t more_bytes) const {
  constexpr std::uint64_t left_alone_bytes = 8u << 20;
  std::error_code fault;
  const auto disk = fs::space(options_.dir, fault);
  return !fault && disk.available >= left_alone_bytes + more_bytes;
}

fs::path segment_supply::place_for_spare() {
  const std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < max_spare_wals; ++i)
    if (!fs::exists(spare_path(i))) return spare_path(i);
  return {};
}

void segment_supply::offer_spare(const fs::path& wal) {
  const std::lock_guard lock{mutex_};
  if (!mark_unused(wal)) remove_file(wal);
  recount_locked();
}

void segment_supply::recount_locked() {
  std::uint64_t sum = (prepared_ ? prepared_->bytes() : 0) + (returned_ ? returned_->bytes() : 0);
  for (std::size_t i = 0; i < max_spare_wals; ++i)
    sum += file_bytes(spare_path(i));
  bytes_.store(sum, std::memory_order_relaxed);
}

} // namespace penstock
