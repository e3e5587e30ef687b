#include "storage/segment_supply.hpp"

#include "storage/files.hpp"

#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

/// Durably wipes a WAL's header, so that SQLite takes the file for one without frames. The next
/// header has new random salts, which no frame left in the file matches.
bool wipe_header(const fs::path& wal) {
  auto fd = open_file(wal, O_WRONLY);
  if (!fd) return false;
  const char zeros[wal_header_bytes] = {};
  return ::pwrite(fd->get(), zeros, sizeof zeros, 0) == static_cast<ssize_t>(sizeof zeros) &&
         ::fdatasync(fd->get()) == 0;
}

} // namespace

segment_supply::segment_supply(fs::path dir, std::string vfs, std::string tag,
                               std::uint64_t next_number)
    : dir_(std::move(dir)), vfs_(std::move(vfs)), tag_(std::move(tag)), next_number_(next_number) {
  for (std::size_t i = 0; i < max_spare_wals; ++i)
    if (fs::exists(spare_path(i)) && !wipe_header(spare_path(i))) remove_file(spare_path(i));
  recount_locked();
}

fs::path segment_supply::spare_path(std::size_t i) const {
  return dir_ / ("spare-" + std::to_string(i + 1) + ".wal");
}

result<void> segment_supply::prepare() {
  const std::lock_guard lock{mutex_};
  if (prepared_) return {};
  auto made = make_locked();
  if (!made) return made.error();
  prepared_ = std::move(*made);
  recount_locked();
  return {};
}

result<std::unique_ptr<segment_writer>> segment_supply::take() {
  const std::lock_guard lock{mutex_};
  auto taken = std::exchange(prepared_, nullptr);
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
  prepared_ = std::move(unused); // the writer is the only taker, and numbers only grow
  recount_locked();
}

result<std::unique_ptr<segment_writer>> segment_supply::make_locked() {
  fs::path spare;
  for (std::size_t i = 0; i < max_spare_wals && spare.empty(); ++i)
    if (fs::exists(spare_path(i))) spare = spare_path(i);
  segment_info info;
  info.number = next_number_++;
  info.path = segment_path(dir_, info.number);
  if (auto made = create_segment(info.path, info.number, tag_, vfs_, spare); !made)
    return made.error();
  auto opened = segment_writer::open(info, vfs_);
  if (!opened) remove_segment(info.path);
  return opened;
}

fs::path segment_supply::place_for_spare() {
  const std::lock_guard lock{mutex_};
  for (std::size_t i = 0; i < max_spare_wals; ++i)
    if (!fs::exists(spare_path(i))) return spare_path(i);
  return {};
}

void segment_supply::offer_spare(const fs::path& wal) {
  const std::lock_guard lock{mutex_};
  if (!wipe_header(wal)) remove_file(wal);
  recount_locked();
}

void segment_supply::recount_locked() {
  std::uint64_t sum = prepared_ ? prepared_->bytes() : 0;
  for (std::size_t i = 0; i < max_spare_wals; ++i)
    sum += file_bytes(spare_path(i));
  bytes_.store(sum, std::memory_order_relaxed);
}

} // namespace penstock
