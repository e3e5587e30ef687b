// The journal's implementation, shared with the segment keeper.
#pragma once

#include "storage/base/files.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/journal/segment.hpp"
#include "storage/journal/segment_supply.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace penstock {

class journal_writer final : public journal {
 public:
  journal_writer(journal_options options, unique_fd lock)
      : options_(std::move(options)), lock_(std::move(lock)) {}

  result<void> start(recovery_report& report);

  const std::string& tag() const override { return tag_; }
  std::uint64_t next_seq() const override { return ids_.next_seq(); }
  result<void> go_beyond(std::uint64_t seq) override { return ids_.go_beyond(seq); }
  result<void> append(const event_block& block) override;
  result<void> commit() override;
  std::uint64_t last_commit_us() const override { return last_commit_us_; }
  bool wants_rotation() const override;
  result<void> rotate() override;
  std::uint64_t bytes() const override { return catalog_->bytes() + supply_->bytes(); }
  bool full() const override;
  std::uint64_t used_bytes() const override;
  result<void> check_place() override;
  result<void> close() override;
  std::shared_ptr<segment_catalog> catalog() const override { return catalog_; }

  const std::shared_ptr<segment_supply>& supply() const { return supply_; }
  /// The segments that must be there at the next start.
  const std::shared_ptr<file_list>& listed() const { return listed_; }
  /// The one that its segments are written with.
  const std::string& vfs() const { return vfs_; }

 private:
  bool has_room_for(std::uint64_t row_bytes) const;
  result<void> activate();
  void use(std::unique_ptr<segment_writer> segment);
  void note(const event_block& block);
  void forget_transaction();
  error undo(error why);

  journal_options options_;
  unique_fd lock_;
  std::string tag_;
  id_reserve ids_;
  std::uint64_t last_seq_ = 0; // of the last block appended
  std::uint64_t last_commit_us_ = 0;
  std::uint64_t open_bytes_ = 0; // what the open transaction will add to the WAL, about
  std::shared_ptr<segment_catalog> catalog_ = std::make_shared<segment_catalog>();
  std::shared_ptr<segment_supply> supply_;
  std::shared_ptr<file_list> listed_;
  std::unique_ptr<segment_writer> active_;
  block_encoder encoder_;
  segment_growth growth_;
  std::optional<segment_info> unopened_; // the segment to go on with, once the disk has room
  std::uint64_t unopened_wal_bytes_ = 0;
  std::string vfs_;
  result<void> place_; // what the last check_place() found
  bool closed_ = false;
};

} // namespace penstock
