// Dead letters on disk: `dead-letters.db`, with the retries that are under way.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/dead_letter.hpp"
#include "storage/stores/delivery_job.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace penstock {

inline constexpr std::uint64_t default_dead_letters_bytes = 1ull << 30;
/// What a letter counts for beside its body, content type, attributes and reason.
inline constexpr std::uint64_t dead_letter_overhead_bytes = 256;
/// One load gives bodies until they exceed this, and at least one letter if there is one.
inline constexpr std::uint64_t dead_letter_read_bytes = 4u << 20;
/// Letters named in one request by id.
inline constexpr std::size_t max_dead_letter_ids = 10'000;

/// An event's id, as parse_event_id() takes it apart.
struct dead_letter_id {
  std::uint64_t seq = 0;
  std::string tag;
};

/// Which letters; what is not set does not narrow it down.
struct dead_letter_filter {
  std::string sink{};
  std::string stream{};
  std::vector<dead_letter_id> ids{};                             ///< empty: any
  std::int64_t from_ms = 0;                                      ///< accepted then or later…
  std::int64_t to_ms = std::numeric_limits<std::int64_t>::max(); ///< …and not after
};

/// Stands for what the sink said of a letter that is damaged on the disk.
inline constexpr const char* damaged_letter_reason =
    "what is stored of this event is damaged; it is not sent";

/// A letter with the number under which the store keeps it; numbers grow as letters come.
struct kept_dead_letter {
  std::uint64_t number = 0;
  std::uint64_t body_bytes = 0; ///< also when the body was not read
  bool is_damaged = false;      ///< what was read is not what was kept; known only with its body
  dead_letter letter;
};

/// How many there are of one sink and stream.
struct dead_letter_tally {
  std::string sink;
  std::string stream;
  std::uint64_t letters = 0;
  std::uint64_t bytes = 0;
};

/// A chunk of a retry's letters, all of one sink, stream and tag, in the order in which they came.
struct retry_chunk {
  std::string sink, stream, tag;
  std::vector<kept_dead_letter> letters; ///< empty: the retry is through
  std::vector<dead_letter_id> damaged; ///< left out of the retry: what is stored of them is damaged
};

/// What the letters of some streams may take together, beside the bound of all.
struct letter_share {
  std::function<bool(const std::string& stream)> counts; ///< whether a stream is one; null: none is
  std::uint64_t max_bytes = 0;
};

/// What became of a chunk: letters to be forgotten, and those to be kept with what is said now.
struct retry_outcome {
  std::vector<std::uint64_t> delivered;
  std::vector<kept_dead_letter> refused; ///< reason, tries and died_ms count; the rest stays
};

/// One thread uses it at a time; it blocks on the disk. Errors: io, locked; disk_full for a file
/// system without room and for the cap; corrupt also when a newer version wrote the file.
class dead_letter_store {
 public:
  /// Opens or makes `dir`/dead-letters.db. Of a damaged one is kept what can be read, and told in
  /// `report`.
  static result<std::unique_ptr<dead_letter_store>>
  open(const std::filesystem::path& dir, std::uint64_t max_bytes = default_dead_letters_bytes,
       const std::string& vfs = {}, store_report* report = nullptr);
  virtual ~dead_letter_store() = default;

  /// Keeps the letters in one durable transaction: all or none. One that is kept already, of the
  /// same sink and event, is replaced. disk_full when they would not fit under the cap; invalid for
  /// a single one that takes more than all may together. The same of those that `share` counts.
  virtual result<void> add(const std::vector<dead_letter>& letters, const letter_share& share) = 0;
  result<void> add(const std::vector<dead_letter>& letters) { return add(letters, {}); }

  /// Letters that match, with numbers after `after`, at most `limit`, the oldest first. Without
  /// bodies as many as that; with bodies about dead_letter_read_bytes.
  virtual result<std::vector<kept_dead_letter>> list(const dead_letter_filter& filter,
                                                     std::uint64_t after, std::size_t limit,
                                                     bool with_bodies) = 0;
  /// Drops what matches, for good; gives how many.
  virtual result<std::uint64_t> remove(const dead_letter_filter& filter) = 0;

  /// By sink and stream; those without letters are left out. Kept up to date, so it is cheap.
  virtual result<std::vector<dead_letter_tally>> tallies() = 0;
  virtual std::uint64_t bytes() const = 0; ///< of all, as they count for the cap

  // -- retries ------------------------------------------------------------------------------------

  /// Makes a job of what matches and is not in a job yet; `total` says how many. None: no job is
  /// made, and `number` is 0.
  virtual result<delivery_job> begin_retry(const dead_letter_filter& filter, delivery_job job) = 0;
  /// The next letters of a job that its outcome was not settled for. Damaged ones leave the job and
  /// stay dead letters, with damaged_letter_reason.
  virtual result<retry_chunk> next_chunk(std::uint64_t job, std::size_t max_letters,
                                         std::uint64_t max_bytes) = 0;
  /// Makes an outcome and the job's progress durable together.
  virtual result<void> settle(const retry_outcome& outcome, const delivery_job& job) = 0;
  /// Makes what changed of a job durable; when it ended, its letters are free for another.
  virtual result<void> save(const delivery_job& job) = 0;
  virtual result<std::optional<delivery_job>> find_retry(std::uint64_t number) = 0;
  virtual result<std::vector<delivery_job>> list_retries() = 0;
};

} // namespace penstock
