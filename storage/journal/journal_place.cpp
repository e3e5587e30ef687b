#include "storage/journal/journal_place.hpp"

#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/base/id_reserve.hpp"
#include "storage/events/event_id.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/journal/segment.hpp"
#include "storage/stores/store_opening.hpp"

#include <algorithm>

#include <fcntl.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

/// Among the stores: the whole directory.
constexpr const char* journal_name = "journal";

/// Anything that only a journal leaves. A lock may be there of a start that did not find it.
bool holds_some_journal(const fs::path& dir) {
  std::error_code fault;
  for (const char* name : {tag_file_name, next_id_file_name})
    if (fs::exists(dir / name, fault)) return true;
  for (fs::directory_iterator at{dir, fault}, end; !fault && at != end; at.increment(fault))
    if (segment_number(at->path())) return true;
  return false;
}

} // namespace

result<void> miss_journal(const fs::path& data_dir) {
  const auto list = data_dir / stores_file_name;
  const auto dir = data_dir / journal_name;
  if (!file_list{list}.contains(journal_name) || holds_some_journal(dir)) return {};
  // Where it can't be looked into, nobody knows whether it is gone.
  if (auto fd = open_file(dir, O_RDONLY | O_DIRECTORY); !fd && fd.error().code != errc::not_found)
    return fd.error();
  return error{errc::corrupt,
               dir.string() +
                   " has nothing of the journal that this node had: its events, and which ids "
                   "were given. If it lies on a disk of its own, mount that. If the journal is "
                   "really gone, restore it from a backup, or remove " +
                   list.string() + ": the node then begins another without these events"};
}

void note_journal(const fs::path& data_dir) {
  (void)file_list{data_dir / stores_file_name}.add(
      journal_name); // without it a loss would not be noticed
}

result<std::string> go_beyond_cursors(journal& events, const std::vector<cursor>& positions) {
  const auto next = events.next_seq();
  std::uint64_t highest = 0;
  for (const auto& one : positions) {
    highest = std::max(highest, one.seq);
    for (const auto& range : one.acked_ahead)
      highest = std::max(highest, range.second);
  }
  if (highest < next) return std::string{};
  if (auto gone = events.go_beyond(highest); !gone) return gone.error();
  return "cursors.db knows of events up to " + event_id(highest, events.tag()) +
         ", and the journal would have gone on at " + event_id(next, events.tag()) +
         ": it is older than cursors.db, as after a restore of journal/ alone. Events that it "
         "lacks are lost. So that "
         "new ones don't pass for delivered, ids go on far beyond, at " +
         event_id(events.next_seq(), events.tag());
}

} // namespace penstock
