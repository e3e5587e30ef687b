// Which sequence numbers may have been given to someone, whatever became of the segments.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>

namespace penstock {

inline constexpr const char* next_id_file_name = "next-id";

/// A file `next-id` holds a number that no event has reached yet. It is raised ahead of use, in
/// long steps, so that even a journal whose segments are all retired or destroyed never gives an
/// id twice. Overwritten in place: works on a full disk. It has a checksum
/// (storage/base/number_file.hpp). Where the file is damaged or gone, ids go on at the microseconds
/// since 1970, which no journal reaches by counting.
class id_reserve {
 public:
  /// `max_unjournaled_events`: how far past the last one told to cover() ids may be given.
  /// `durable_seq`: the last durable sequence number. `is_new_journal`: it never had a segment, and
  /// so need not have the file, which is made before the first.
  static result<id_reserve> open(const std::filesystem::path& dir,
                                 std::uint64_t max_unjournaled_events, std::uint64_t durable_seq,
                                 bool is_new_journal);

  /// The first sequence number that nobody was ever given before open().
  std::uint64_t next_seq() const { return next_seq_; }

  /// Durably moves next_seq() beyond `seq`, and beyond what any journal reaches by counting.
  result<void> go_beyond(std::uint64_t seq);

  /// Why the file could not be believed, a sentence that ends where the first id is to be named;
  /// else "".
  const std::string& damage() const { return damage_; }

  /// Called before `seq` is stored; touches the disk once in millions of events.
  result<void> cover(std::uint64_t seq) {
    if (seq + slack_ < reserved_) return {};
    return reserve(seq);
  }

 private:
  result<void> reserve(std::uint64_t seq);

  std::filesystem::path path_;
  std::string damage_;
  std::uint64_t slack_ = 0;
  std::uint64_t next_seq_ = 1;
  std::uint64_t reserved_ = 0;
};

} // namespace penstock
