// Other nodes' events, held for the case that their node never comes back.
#pragma once

#include "storage/base/result.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/segment_keeper.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

struct replica_options {
  std::filesystem::path dir;                     ///< the holder's data_dir; see replica_dir()
  std::uint64_t max_bytes = 1ull << 30;          ///< of one origin's segments
  std::uint64_t segment_max_bytes = 64ull << 20; ///< at most an eighth of max_bytes
  std::size_t max_origins = 16;
  bool preallocate = true; ///< as in journal_options
  std::string vfs;
  bool sync = true;
};

/// Whose events are held, and how many.
struct replica_info {
  std::string tag;                 ///< in the ids of the origin's events
  std::string node;                ///< the origin's name
  std::uint64_t first_seq = 0;     ///< of the first event held; 0: none
  std::uint64_t settled_seq = 0;   ///< as replica_store::settled_seq()
  std::uint64_t forgotten_seq = 0; ///< nobody needs those up to here
  std::uint64_t partial_seq = 0;   ///< of those up to here some may be missing; 0: all are held
  std::uint64_t events = 0;        ///< those that are forgotten and not retired yet among them
  std::uint64_t bytes = 0;         ///< of the segment files
};

/// `dir`/replicas/`tag`: a directory that `penstock adopt` takes as a dead node's data_dir.
std::filesystem::path replica_dir(const std::filesystem::path& dir, const std::string& tag);

/// How far the origin said that nothing is needed any more; 0 for a directory that is no replica,
/// and where the note is damaged, which is told: then events may come again, none is dropped.
std::uint64_t forgotten_in(const std::filesystem::path& replica,
                           std::vector<std::string>* damaged = nullptr);

/// A journal for each origin, in the same format, with the origin's sequence numbers and tag. One
/// thread uses it at a time; it blocks on the disk. Each origin's journal is locked while it is
/// held, as a node's own is.
class replica_store {
 public:
  /// Recovers what an earlier life held. Origins that can't be opened are left alone and told in
  /// `problems`, a sentence each; so is what is damaged. `torn` gets last transactions that are not
  /// whole, which a power cut leaves. Errors: io.
  static result<std::unique_ptr<replica_store>> open(const replica_options& options,
                                                     std::vector<std::string>* problems = nullptr,
                                                     std::vector<std::string>* torn = nullptr);
  virtual ~replica_store() = default;

  /// Makes or finds the place of an origin; once before the others are used for it. Errors: invalid
  /// for what is no tag, unavailable when there are max_origins others, locked, disk_full, io.
  virtual result<void> add_origin(const std::string& tag, const std::string& node) = 0;

  /// Adds a block to the origin's open transaction. Events at or before the last one held are left
  /// out, so that an origin may send again what it does not know to be held. Otherwise as
  /// journal::append; errors: not_found for an unknown origin, journal_full at max_bytes,
  /// disk_full, io. After an error nothing since the last commit() is kept.
  virtual result<void> append(const std::string& tag, const event_block& block) = 0;

  /// Makes what was appended for the origin durable. On an error nothing of it is kept.
  virtual result<void> commit(const std::string& tag) = 0;

  /// Every sink of the origin has confirmed up to `seq`: durably noted, and segments that hold
  /// nothing else are retired. Works on a full disk. Costs a sync: once a second will do.
  virtual result<void> forget_up_to(const std::string& tag, std::uint64_t seq) = 0;

  /// Of the origin's events up to `seq` some may be missing, though they count as held: they can't
  /// be read, or whoever sent them could not. Noted until all up to there are forgotten; so is
  /// damage that open() or add_origin() finds.
  virtual result<void> note_partial(const std::string& tag, std::uint64_t seq) = 0;

  /// Up to here the origin's events are durable here, or nobody needs them: it need not send them
  /// again. 0: none are, or it is unknown.
  virtual std::uint64_t settled_seq(const std::string& tag) const = 0;

  /// In the order of their tags.
  virtual std::vector<replica_info> list() const = 0;

  /// The segments of an origin, for a reader; null when it is unknown.
  virtual std::shared_ptr<segment_catalog> catalog(const std::string& tag) const = 0;

  /// What retires and moves an origin's segments; null when it is unknown. For the store's thread,
  /// and not after release(), remove() or set_aside() of that origin.
  virtual std::shared_ptr<segment_keeper> keeper(const std::string& tag) const = 0;

  virtual const replica_options& options() const = 0;

  /// Closes an origin's journal and lets go of its lock, so that `penstock adopt` may have it.
  virtual result<void> release(const std::string& tag) = 0;

  /// Deletes what is held of an origin, or was before release(): nobody needs any of it. Errors:
  /// io.
  virtual result<void> remove(const std::string& tag) = 0;

  /// Lets go of an origin as release() does, and renames its directory to TAG.adopted: it was
  /// adopted, and left something that people may want. Errors: io.
  virtual result<void> set_aside(const std::string& tag) = 0;
};

} // namespace penstock
