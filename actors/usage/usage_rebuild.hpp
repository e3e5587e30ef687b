// Usage counted again from the journal: what its events prove, and what the counts lack.
#pragma once

#include "actors/accounts/access_table.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/stores/usage_reader.hpp"
#include "storage/stores/usage_store.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// Sums of an id and a minute that one rebuild holds; a range that needs more is refused.
inline constexpr std::size_t max_rebuild_sums = 1u << 18;
/// Ids that a result names, those that gained most.
inline constexpr std::size_t max_rebuilt_ids = 100;
/// One read of the journal gives about this much.
inline constexpr std::size_t rebuild_read_bytes = 4u << 20;

struct usage_rebuild_request {
  std::int64_t from_s = 0; ///< cut down to a minute
  std::int64_t to_s = 0;   ///< and up
  bool dry_run = false;    ///< tell what would be corrected
  /// Also in a cluster what came before usage.db was begun, which copies of an earlier one may
  /// have.
  bool despite_copies = false;
};

/// Volumes by the second in which their minute begins.
using minute_volumes = std::map<std::int64_t, event_volume>;
using volumes_by_id = std::map<std::string, minute_volumes>;

/// What the counts of one id lack in the minutes that begin in [from_s, to_s). An event may have
/// been counted in the minute beside the one it was accepted in, so what a minute has too many of
/// makes up for what its neighbours lack: never more comes out than was proven and not counted.
minute_volumes shortfall(const minute_volumes& proven, const minute_volumes& counted,
                         std::int64_t from_s, std::int64_t to_s);

struct usage_rebuilt {
  struct id_outcome {
    usage_dimension by = usage_dimension::stream;
    std::string id;
    event_volume proven;
    event_volume counted;
    event_volume added; ///< or what would be, in a dry run
  };
  std::int64_t from_s = 0; ///< as asked, whole minutes
  std::int64_t to_s = 0;
  /// The journal still has all events from here on; what is asked for before is left as it is.
  std::int64_t covered_from_s = 0;
  bool dry_run = false;
  event_volume read;       ///< proven by the journal within the covered range
  event_volume no_account; ///< of it, from clients that no key's account is known for
  std::uint64_t corrected_ids = 0;
  /// Hours and minutes of an id that can't be compared and were left as they are: minutes of the
  /// hour have been deleted, or some of the minute's traffic was counted under other_usage_id.
  std::uint64_t skipped = 0;
  std::uint64_t damaged_blocks = 0;
  event_volume added_streams;  ///< to all streams together
  event_volume added_accounts; ///< to all accounts together
  std::vector<id_outcome> ids; ///< of those that gained, at most max_rebuilt_ids
};

/// What a rebuild works with; it blocks on the disk for as long as reading the range takes.
struct usage_rebuild_sources {
  journal_reader& journal;
  const segment_catalog& catalog;
  usage_reader& counts;
  const std::vector<std::string>& accounts; ///< of all keys that are known
  const name_hasher& hash;
  /// In a cluster an event with an idempotency key is counted where the client is and stored where
  /// the key is: a range with such events can't be rebuilt.
  bool is_cluster = false;
  /// When the counts were begun, milliseconds since the Unix epoch; 0: with the journal. In a
  /// cluster what came before is not counted again: another node may have a copy of what an earlier
  /// usage.db said of it, and reports add it.
  std::int64_t begun_ms = 0;
  /// What lies behind it may not be counted yet.
  std::uint64_t up_to_seq = 0;
  std::function<void(std::uint64_t done_bytes, std::uint64_t all_bytes)> progress;
  std::function<bool()> give_up;
  std::size_t max_sums = max_rebuild_sums;
};

/// Reads the range and compares it. `corrections` gets what must be added to the counts. Errors:
/// not_found when the journal has nothing of the range; invalid for a range that can't be rebuilt
/// or is too large; unavailable when given up; those of the disk.
result<usage_rebuilt> rebuild_usage(const usage_rebuild_request& request,
                                    const usage_rebuild_sources& from,
                                    std::vector<usage_batch_ptr>& corrections);

} // namespace penstock
