#include "storage/journal/recovery.hpp"

#include "storage/base/files.hpp"
#include "storage/base/number_file.hpp"
#include "storage/events/event_id.hpp"
#include "storage/journal/segment.hpp"
#include "storage/journal/segment_mover.hpp"
#include "storage/sqlite/wal_index.hpp"
#include "storage/sqlite/wal_scan.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <fcntl.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

struct journal_tag {
  std::string text;
  bool is_new = false; ///< drawn just now, and not in the file yet
};

result<journal_tag> read_or_draw_tag(const fs::path& dir) {
  auto stored = read_file(dir / tag_file_name);
  if (stored) {
    stored->resize(std::min(stored->size(), journal_tag_size));
    if (stored->size() == journal_tag_size && parse_event_id(event_id(1, *stored)))
      return journal_tag{*stored, false};
    return error{errc::corrupt,
                 (dir / tag_file_name).string() +
                     " is damaged: it must hold the 8 characters that end every "
                     "event id of this journal. Each segment has them, too: sqlite3 "
                     "-readonly FILE.db \"SELECT value FROM meta WHERE key = 'tag'\""};
  }
  if (stored.error().code != errc::not_found) return stored.error();
  constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::random_device random;
  std::string tag;
  while (tag.size() < journal_tag_size)
    tag.push_back(alphabet[random() % alphabet.size()]);
  return journal_tag{tag, true};
}

struct found_files {
  std::vector<fs::path> segments; // in journal order
  std::vector<fs::path> orphans;  // WALs whose database is gone
};

/// Lists the directory and removes what a crash left half made.
result<found_files> list_files(const fs::path& dir) {
  found_files found;
  std::vector<fs::path> half_made;
  std::error_code fault;
  for (fs::directory_iterator at{dir, fault}, end; !fault && at != end; at.increment(fault)) {
    const auto path = at->path();
    const std::string name = path.filename().string();
    if (segment_number(path)) {
      found.segments.push_back(path);
    } else if (name.ends_with(".db-wal")) {
      const fs::path db = path.string().substr(0, path.string().size() - 4);
      if (segment_number(db) && !fs::exists(db)) found.orphans.push_back(db);
    } else if (name.ends_with(".tmp")) {
      half_made.push_back(path);
    }
  }
  if (fault) return error{errc::io, "can't list " + dir.string() + ": " + fault.message()};
  for (const auto& path : half_made) {
    finish_removal(path);
    remove_file(path);
  }
  std::erase_if(found.segments, [](const fs::path& db) { return !fs::exists(db); });
  std::sort(found.segments.begin(), found.segments.end());
  std::sort(found.orphans.begin(), found.orphans.end());
  return found;
}

/// An earlier version does not keep the list: where it was here last, which `next-id` tells, the
/// list says nothing.
std::shared_ptr<file_list> read_list(const fs::path& dir) {
  auto list = std::make_shared<file_list>(dir / segments_file_name);
  const auto reached = read_number(dir / next_id_file_name);
  const bool is_ours = reached && (!*reached || (*reached)->has_checksum);
  if (!is_ours) (void)list->set({});
  return list;
}

class recovery {
 public:
  recovery(std::string vfs, const journal_tag& tag, file_list& listed, recovery_report& report)
      : vfs_(std::move(vfs)), tag_(tag.text), is_new_tag_(tag.is_new), listed_(listed),
        report_(report) {}

  result<void> inspect(const found_files& files) {
    // Nothing is moved before all segments were looked at: one may be a reason to touch none.
    for (const auto& db : files.segments)
      if (auto done = inspect_one(db); !done) return done;
    if (auto known = check_tag(); !known) return known;
    for (const auto& db : files.orphans)
      if (auto done = inspect_orphan(db); !done) return done;
    reject_misplaced();
    for (const auto& one : rejected_)
      if (auto done = move_away(one); !done) return done;
    return {};
  }

  /// Decides what the last segment is: an empty one that was prepared ahead, one to go on with,
  /// or a damaged one.
  result<void> settle_end(recovered_journal& out) {
    wal_scan scanned;
    for (; !segments_.empty() && !segments_.back().sealed; segments_.pop_back()) {
      auto found = scan_wal(wal_path(segments_.back().path));
      if (!found) return found.error();
      scanned = *found;
      const auto& last = segments_.back();
      if (last.first_seq != 0 || is_damaged(last, scanned)) break;
      if (auto done = put_away_empty(last, scanned); !done) return done;
    }
    if (segments_.empty() || segments_.back().sealed) return {};
    auto& last = segments_.back();
    if (last.damaged) {
      report(last.path.string() +
             " is damaged: not all of its pages can be read, so that it can't be gone on "
             "with. If there were events " +
             around(last.number, last.last_seq) + ", they are lost");
      return {};
    }
    if (is_damaged(last, scanned) || last.first_seq == 0) {
      last.damaged = true;
      report(last.path.string() + " is damaged: its write-ahead log " +
             (without_wal_.count(last.number) != 0 ? "is gone" : "can be read only in part") +
             "; events " + around(last.number, last.last_seq) + " that were in it are lost");
      return {};
    }
    const auto wal = wal_path(last.path);
    if (scanned.torn()) {
      report_torn(last, "");
      if (auto done = forget_torn_end(wal, scanned); !done) return done;
    }
    // A person's checkpoint shortens a log, or removes it, and it goes on from there.
    if (file_bytes(wal) < last.log_bytes)
      if (auto grown = grow_file(wal, last.log_bytes); !grown) return grown;
    // What a crash left unsynced was read just now and may be delivered: make it last.
    if (auto synced = sync_file(wal); !synced) return synced;
    out.active = last;
    out.active_wal_bytes = scanned.used_bytes();
    return {};
  }

  /// Segments before the last one are complete, or they say so by having no seal. One that has
  /// nothing to deliver is moved away at once.
  result<void> check_seals() {
    std::vector<fs::path> emptied;
    for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
      auto& segment = segments_[i];
      if (segment.sealed) continue;
      segment.damaged = true;
      if (segment.first_seq == 0) {
        emptied.push_back(segment.path);
        continue;
      }
      report(segment.path.string() + " is damaged: its end is missing; events " +
             around(segment.number, segment.last_seq) + " that were in it are lost, the " +
             std::to_string(count(segment)) + " others are delivered");
    }
    std::erase_if(segments_,
                  [&](auto& one) { return std::ranges::find(emptied, one.path) != emptied.end(); });
    for (const auto& db : emptied) {
      if (auto moved = set_aside(db); !moved) return moved;
      report(db.string() +
             " is damaged: nothing of its write-ahead log can be read, or it is gone; it was moved "
             "to " +
             aside(db) + ": events " + around(*segment_number(db)) + " that were in it are lost");
    }
    return {};
  }

  void tell(const std::vector<lost_move>& lost) {
    for (const auto& one : lost)
      report(one.sentence + ", of those " + around(one.number));
  }

  /// Segments that are gone with their logs leave no other trace: between any two some may have
  /// retired.
  void tell_missing(const std::set<std::string>& listed, const found_files& found,
                    const std::vector<lost_move>& lost, const fs::path& dir) {
    for (const auto& name : listed) {
      const auto db = dir / name;
      const auto number = segment_number(db);
      if (!number) continue;
      highest_number_ = std::max(highest_number_, *number);
      const bool is_told = std::ranges::find(lost, *number, &lost_move::number) != lost.end();
      if (!is_told && std::ranges::find(found.segments, db) == found.segments.end() &&
          std::ranges::find(found.orphans, db) == found.orphans.end())
        report(db.string() +
               (fs::exists(fs::path{aside(db)} / name)
                    ? " was moved to " + aside(db) + " by a start that was cut short"
                    : std::string{" is gone, and so is its write-ahead log"}) +
               ": events " + around(*number) + " that were in it are lost");
    }
  }

  /// The names of the segments that are left.
  std::set<std::string> names() const {
    std::set<std::string> out;
    for (const auto& segment : segments_)
      out.insert(segment.path.filename().string());
    return out;
  }

  /// Once the list of segments says nothing of them any more.
  void remove_unused() {
    for (const auto& db : unused_)
      remove_segment(db);
  }

  void fill(segment_catalog& catalog) {
    for (auto& segment : segments_) {
      report_.segments += 1;
      report_.events += count(segment);
      report_.bytes += segment.bytes;
      catalog.put(segment);
    }
  }

  std::uint64_t highest_number() const { return highest_number_; }

 private:
  struct rejected_segment {
    fs::path db;
    std::string why;
    std::string tag; // of the journal that it belongs to, if that is another
    std::uint64_t first_seq = 0, last_seq = 0; // of what it has, if that can be read
  };

  result<void> inspect_one(const fs::path& db) {
    highest_number_ = std::max(highest_number_, *segment_number(db));
    // Too few descriptors or rights are no damage: they must not move anything.
    if (auto fd = open_file(db, O_RDWR); !fd) return fd.error();
    const bool has_wal = fs::exists(wal_path(db)); // SQLite is about to make one
    if (has_wal)
      if (auto fd = open_file(wal_path(db), O_RDWR); !fd) return fd.error();
    rejected_segment other;
    other.db = db;
    if (is_empty_database(db)) { // else SQLite deletes the log beside it
      other.why = db.string() + ": the database file is empty";
      rejected_.push_back(std::move(other));
      return {};
    }
    auto info = inspect_segment(db, tag_, vfs_, other.tag);
    if (info) {
      if (!has_wal) without_wal_.insert(info->number);
      segments_.push_back(std::move(*info));
      return {};
    }
    if (info.error().code != errc::corrupt) return info.error();
    other.why = info.error().message;
    if (other.tag.empty())
      if (const auto extent = read_extent_of(db, vfs_))
        other.first_seq = extent->first_seq, other.last_seq = extent->last_seq;
    rejected_.push_back(std::move(other));
    return {};
  }

  // Where all segments are of one other journal, it is the tag that is wrong: with it they would
  // all be moved away.
  result<void> check_tag() const {
    std::set<std::string> others;
    for (const auto& one : rejected_)
      if (!one.tag.empty()) others.insert(one.tag);
    if (!segments_.empty() || others.size() != 1) return {};
    const auto file = (rejected_[0].db.parent_path() / tag_file_name).string();
    return error{errc::corrupt, file + (is_new_tag_ ? " is gone" : " says " + tag_) +
                                    ", but all segments beside it belong to the journal " +
                                    *others.begin() +
                                    ". If they are this node's, write that into " + file +
                                    "; if not, move them away"};
  }

  result<void> inspect_orphan(const fs::path& db) {
    highest_number_ = std::max(highest_number_, *segment_number(db));
    // One that was never used belongs to a segment whose making a crash cut short.
    auto scanned = scan_wal(wal_path(db));
    if (!scanned) return scanned.error();
    // Zeros may be a header that the disk lost, where frames follow.
    if (scanned->was_never_used() && (scanned->has_mark || scanned->frames_without_header == 0)) {
      unused_.push_back(db);
      return {};
    }
    if (scanned->torn() &&
        scanned->committed_frames == 0) { // a crash came while it was being moved
      if (auto noted = listed_.drop({db.filename().string()}); !noted) return noted;
      if (auto moved = set_aside(db); !moved) return moved;
      report_.torn.push_back(wal_path(db).string() +
                             " holds only a transaction that is not whole, and "
                             "its database is gone; it was moved to " +
                             aside(db) + ". If it is damage, events " +
                             around(*segment_number(db)) + " are lost");
      return {};
    }
    rejected_segment orphan;
    orphan.db = db;
    orphan.why = db.string() + ": the database file is gone, its write-ahead log is left";
    return move_away(orphan);
  }

  /// A log does not say of which segment it is, but for its seal: one without may have come beside
  /// another's database. Its events would be read before those of the segments in between, which
  /// would then be skipped. A copy beside a later one's costs nothing.
  void reject_misplaced() {
    for (auto at = segments_.begin(); at != segments_.end();) {
      const bool is_misplaced =
          !at->sealed && std::any_of(at + 1, segments_.end(), [&](const auto& later) {
            return later.first_seq != 0 && later.first_seq < at->first_seq;
          });
      if (!is_misplaced) {
        ++at;
        continue;
      }
      rejected_.push_back({at->path,
                           at->path.string() + ": its write-ahead log is of a later segment",
                           {},
                           at->first_seq,
                           at->last_seq});
      at = segments_.erase(at);
    }
  }

  result<void> move_away(const rejected_segment& one) {
    // Where the log is whole a person may have more luck than a start.
    const auto scanned = scan_wal(wal_path(one.db));
    const bool is_whole =
        scanned && scanned->committed_frames > 0 && !scanned->damaged() && !scanned->torn();
    if (auto moved = set_aside(one.db); !moved) return moved;
    report(one.why + "; it was moved to " + aside(one.db) + ": events " +
           around(*segment_number(one.db)) + " that were in it are " +
           (is_whole ? "not delivered; its log is whole, and lies there" : "lost") +
           (one.first_seq == 0 ? ""
                               : ". What it has now are events after " + id(one.first_seq - 1) +
                                     " and before " + id(one.last_seq + 1)));
    return {};
  }

  /// Which events a segment may have held: those between what its neighbours hold. `own_last`: of
  /// what can be read of it.
  std::string around(std::uint64_t number, std::uint64_t own_last = 0) const {
    std::uint64_t after = own_last, before = 0;
    for (const auto& other : segments_) {
      if (other.first_seq == 0) continue;
      if (other.number < number && own_last == 0) after = other.last_seq;
      if (other.number > number && before == 0) before = other.first_seq;
    }
    if (after == 0 && before == 0) return "(no other segment tells which)";
    if (after == 0) return "before " + id(before);
    return "after " + id(after) + (before == 0 ? "" : " and before " + id(before));
  }

  bool is_damaged(const segment_info& segment, const wal_scan& scanned) const {
    if (scanned.damaged()) return true;
    // The end is missing without a trace in the log. One that is torn is told as such.
    if (!scanned.torn() && frames_told(shm_path(segment.path), scanned) > scanned.committed_frames)
      return true;
    // A log that is gone or empty is one that a person's checkpoint emptied, if the events are
    // there.
    if (without_wal_.count(segment.number) != 0) return segment.first_seq == 0;
    if (segment.log_bytes == 0) return false; // of an earlier version, which did not mark logs
    return scanned.has_header ? file_bytes(wal_path(segment.path)) < segment.log_bytes
                              : segment.first_seq == 0 && !scanned.has_mark;
  }
  // Only what is proven to have held nothing is removed.
  result<void> put_away_empty(const segment_info& segment, const wal_scan& scanned) {
    if (scanned.was_never_used()) {
      unused_.push_back(segment.path);
      return {};
    }
    if (auto noted = listed_.drop({segment.path.filename().string()}); !noted) return noted;
    if (auto moved = set_aside(segment.path); !moved) return moved;
    report_torn(segment, " It was moved to " + aside(segment.path));
    return {};
  }
  void report_torn(const segment_info& segment, const std::string& what_was_done) {
    report_.torn.push_back(
        segment.path.string() +
        " ends with a transaction that is not whole. A "
        "power cut or a kill leaves this of one that was not stored yet; then no "
        "client was told that it was. If it is damage, events " +
        around(segment.number, segment.last_seq) + " are lost." + what_was_done);
  }
  static std::string aside(const fs::path& db) {
    return (db.parent_path() / damaged_dir_name).string();
  }

  void report(std::string sentence) { report_.damaged.push_back(std::move(sentence)); }
  std::string id(std::uint64_t seq) const { return event_id(seq, tag_); }
  static std::uint64_t count(const segment_info& segment) {
    std::uint64_t sum = 0;
    for (const auto& [stream, events] : segment.events)
      sum += events;
    return sum;
  }

  std::string vfs_;
  std::string tag_;
  bool is_new_tag_;
  file_list& listed_;
  recovery_report& report_;

  std::vector<segment_info> segments_;
  std::vector<rejected_segment> rejected_;
  std::set<std::uint64_t> without_wal_;
  std::vector<fs::path> unused_; // they hold nothing
  std::uint64_t highest_number_ = 0;
};

} // namespace

result<void> set_aside(const fs::path& db) {
  const auto dir = db.parent_path() / damaged_dir_name;
  if (auto made = make_directory(dir); !made) return made;
  for (const auto& path : {db, wal_path(db)})
    if (fs::exists(path))
      if (auto moved = rename_file(path, dir / path.filename()); !moved) return moved;
  remove_file(shm_path(db));
  if (auto synced = sync_directory(dir); !synced) return synced;
  return sync_directory(db.parent_path());
}

result<recovered_journal> recover(const journal_options& options, const std::string& vfs,
                                  segment_catalog& catalog, recovery_report& report) {
  const auto tag = read_or_draw_tag(options.dir);
  if (!tag) return tag.error();
  // Twice: the first time what a crash left half made goes, on which the moves depend.
  auto files = list_files(options.dir);
  if (!files) return files.error();
  const auto listed = read_list(options.dir);
  std::vector<lost_move> lost;
  if (auto done = finish_moves(options.dir, tag->text, vfs, *listed, lost); !done)
    return done.error();
  files = list_files(options.dir);
  if (!files) return files.error();

  recovered_journal out;
  out.tag = tag->text;
  recovery pass{vfs, *tag, *listed, report};
  if (auto done = pass.inspect(*files); !done) return done.error();
  pass.tell(lost);
  if (tag->is_new)
    if (auto written = write_file(options.dir / tag_file_name, tag->text + "\n"); !written)
      return written.error();
  if (auto done = pass.settle_end(out); !done) return done.error();
  if (auto done = pass.check_seals(); !done) return done.error();
  pass.tell_missing(listed->names(), *files, lost, options.dir);
  if (auto noted = listed->set(pass.names()); !noted) return noted.error();
  pass.remove_unused();
  out.listed = listed;
  pass.fill(catalog);
  out.next_number = pass.highest_number() + 1;

  auto ids = id_reserve::open(options.dir, options.max_unjournaled_events, catalog.durable_seq(),
                              pass.highest_number() == 0);
  if (!ids) return ids.error();
  if (!ids->damage().empty())
    report.damaged.push_back(ids->damage() + event_id(ids->next_seq(), tag->text));
  out.ids = std::move(*ids);
  return out;
}

} // namespace penstock
