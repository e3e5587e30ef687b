// How far each sink has confirmed the journal: small, durable, and writable on a full disk.
#pragma once

#include "storage/base/result.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// A sink's position in one stream. Events at or before `seq` are confirmed; so are the closed
/// ranges in `acked_ahead`, which lie past it (a consumer may acknowledge out of order).
struct cursor {
  std::string stream;
  std::string sink;
  std::uint64_t seq = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> acked_ahead;
};

/// At most this many ranges are kept per cursor; beyond that, early acknowledgements are
/// forgotten on a restart and their events come again with the same id.
inline constexpr std::size_t max_acked_ranges = 4096;

inline constexpr std::uint64_t default_cursor_reserve_bytes = 4u << 20;

/// `cursors.db` beside the journal. The queue and all publishers share it, so it is thread-safe; it
/// blocks on the disk.
class cursor_store {
 public:
  /// `reserve_bytes`: a file of that size is held so that a cursor can still be written, and so a
  /// segment freed, when the disk is full. Of a damaged one is kept what can be read, and told in
  /// `report`: events come again, none is skipped.
  static result<std::unique_ptr<cursor_store>>
  open(const std::filesystem::path& dir, std::uint64_t reserve_bytes = default_cursor_reserve_bytes,
       const std::string& vfs = {}, store_report* report = nullptr);
  virtual ~cursor_store() = default;

  /// A position that does not match its checksum is not believed: it is 0, so that all that the
  /// journal holds comes again, and `damaged`, if given, gets a sentence. So it does for what was
  /// acknowledged ahead and can't be read.
  virtual result<std::vector<cursor>> load(std::vector<std::string>* damaged = nullptr) = 0;
  /// Replaces the named cursors in one durable transaction.
  virtual result<void> save(const std::vector<cursor>& cursors) = 0;
  /// Drops the positions of a sink, of all its lanes, in these streams.
  virtual result<void> forget(const std::string& sink, const std::vector<std::string>& streams) = 0;
  /// Takes the reserve again if it was given back and there is room by now; cheap when it is held.
  virtual void restore_reserve() {}
};

} // namespace penstock
