#include "storage/recovery.hpp"

#include "storage/event_id.hpp"
#include "storage/files.hpp"
#include "storage/segment.hpp"
#include "storage/segment_mover.hpp"
#include "storage/wal_scan.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <fcntl.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

result<std::string> read_or_draw_tag(const fs::path& dir) {
  auto stored = read_file(dir / tag_file_name);
  if (stored) {
    stored->resize(std::min(stored->size(), journal_tag_size));
    if (stored->size() == journal_tag_size && parse_event_id(event_id(1, *stored))) return *stored;
    return error{errc::corrupt, (dir / tag_file_name).string() +
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
  if (auto written = write_file(dir / tag_file_name, tag + "\n"); !written) return written.error();
  return tag;
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

class recovery {
 public:
  recovery(std::string vfs, std::string tag, recovery_report& report)
      : vfs_(std::move(vfs)), tag_(std::move(tag)), report_(report) {}

  result<void> inspect(const found_files& files) {
    // Nothing is moved before all segments were looked at: one may be a reason to touch none.
    for (const auto& db : files.segments)
      if (auto done = inspect_one(db); !done) return done;
    if (auto known = check_tag(); !known) return known;
    reject_misplaced();
    for (const auto& db : files.orphans)
      if (auto done = inspect_orphan(db); !done) return done;
    for (const auto& one : rejected_)
      if (auto done = move_away(one.db, one.why, one.after_seq); !done) return done;
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
    if (is_damaged(last, scanned) || last.first_seq == 0) {
      last.damaged = true;
      report(last.path.string() + " is damaged: its write-ahead log " +
             (without_wal_.count(last.number) != 0 ? "is gone" : "can be read only in part") +
             "; " + after_its_last(last) + " that were in it are lost");
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

  /// Segments before the last one are complete, or they say so by having no seal.
  void check_seals() {
    for (std::size_t i = 0; i + 1 < segments_.size(); ++i) {
      auto& segment = segments_[i];
      if (segment.sealed) continue;
      segment.damaged = true;
      report(segment.path.string() + " is damaged: its end is missing; events after " +
             id(segment.last_seq != 0 ? segment.last_seq : before(i)) + " and before " +
             id(after(i)) + " that were in it are lost, the " + std::to_string(count(segment)) +
             " others are delivered");
    }
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
  result<void> inspect_one(const fs::path& db) {
    highest_number_ = std::max(highest_number_, *segment_number(db));
    // Too few descriptors or rights are no damage: they must not move anything.
    if (auto fd = open_file(db, O_RDWR); !fd) return fd.error();
    const bool has_wal = fs::exists(wal_path(db)); // SQLite is about to make one
    rejected_segment other;
    other.db = db;
    if (!segments_.empty()) other.after_seq = segments_.back().last_seq;
    auto info = inspect_segment(db, tag_, vfs_, other.tag);
    if (info) {
      if (!has_wal) without_wal_.insert(info->number);
      segments_.push_back(std::move(*info));
      return {};
    }
    const auto code = info.error().code;
    if (code == errc::disk_full || code == errc::locked || code == errc::newer)
      return info.error();
    other.why = info.error().message;
    rejected_.push_back(std::move(other));
    return {};
  }

  // Where all segments are of one other journal, it is the tag that is wrong: with it they would all
  // be moved away.
  result<void> check_tag() const {
    std::set<std::string> others;
    for (const auto& one : rejected_)
      if (!one.tag.empty()) others.insert(one.tag);
    if (!segments_.empty() || others.size() != 1) return {};
    const auto file = (rejected_[0].db.parent_path() / tag_file_name).string();
    return error{errc::corrupt, file + " says " + tag_ + ", or is gone, but all segments beside it "
                                "belong to the journal " + *others.begin() + ". If they are this node's, "
                                "write that into " + file + "; if not, move them away"};
  }

  // A log does not say of which segment it is, but for its seal: one without may have come beside another's
  // database. Its events would be read before those of the segments in between, which would then be skipped.
  void reject_misplaced() {
    for (auto at = segments_.begin(); at != segments_.end();) {
      const bool is_misplaced = !at->sealed && std::any_of(at + 1, segments_.end(), [&](const auto& later) {
        return later.first_seq != 0 && later.first_seq < at->first_seq;
      });
      if (!is_misplaced) {
        ++at;
        continue;
      }
      const auto after_seq = at == segments_.begin() ? 0 : (at - 1)->last_seq;
      rejected_.push_back({at->path, at->path.string() + ": its write-ahead log is of a later segment", {}, after_seq});
      at = segments_.erase(at);
    }
  }

  result<void> inspect_orphan(const fs::path& db) {
    highest_number_ = std::max(highest_number_, *segment_number(db));
    // One that was never used belongs to a segment whose making a crash cut short.
    auto scanned = scan_wal(wal_path(db));
    if (!scanned) return scanned.error();
    // Zeros may be a header that the disk lost, where frames follow.
    if (scanned->was_never_used() && (scanned->has_mark || scanned->frames_without_header == 0)) {
      remove_segment(db);
      return {};
    }
    if (scanned->torn()) { // a crash came while it was being moved
      if (auto moved = set_aside(db); !moved) return moved;
      report_.torn.push_back(wal_path(db).string() + " holds only a transaction that is not whole, and "
                             "its database is gone; it was moved to " + aside(db));
      return {};
    }
    return move_away(db, db.string() + ": the database file is gone, its write-ahead log is left", 0);
  }

  result<void> move_away(const fs::path& db, const std::string& why, std::uint64_t after_seq) {
    if (auto moved = set_aside(db); !moved) return moved;
    report(why + "; it can't be read and was moved to " + aside(db) +
           ": all events in it are lost, between " + id(after_seq) +
           " and the next segment's first");
    return {};
  }

  bool is_damaged(const segment_info& segment, const wal_scan& scanned) const {
    if (scanned.damaged()) return true;
    // A log that is gone or empty is one that a person's checkpoint emptied, if the events are there.
    if (without_wal_.count(segment.number) != 0) return segment.first_seq == 0;
    if (segment.log_bytes == 0) return false; // of an earlier version, which did not mark logs
    return scanned.has_header ? file_bytes(wal_path(segment.path)) < segment.log_bytes
                              : segment.first_seq == 0 && !scanned.has_mark;
  }
  // Only what is proven to have held nothing is removed.
  result<void> put_away_empty(const segment_info& segment, const wal_scan& scanned) {
    if (scanned.was_never_used()) {
      remove_segment(segment.path);
      return {};
    }
    if (auto moved = set_aside(segment.path); !moved) return moved;
    report_torn(segment, " It was moved to " + aside(segment.path));
    return {};
  }
  void report_torn(const segment_info& segment, const std::string& what_was_done) {
    report_.torn.push_back(segment.path.string() + " ends with a transaction that is not whole. A "
                           "power cut or a kill leaves this of one that was not stored yet; then no "
                           "client was told that it was. If it is damage, " +
                           after_its_last(segment) + " are lost." + what_was_done);
  }
  static std::string aside(const fs::path& db) {
    return (db.parent_path() / damaged_dir_name).string();
  }
  std::string after_its_last(const segment_info& last) const {
    return "events after " + id(last.last_seq != 0 ? last.last_seq : before(segments_.size() - 1));
  }

  void report(std::string sentence) { report_.damaged.push_back(std::move(sentence)); }
  std::string id(std::uint64_t seq) const { return event_id(seq, tag_); }
  std::uint64_t before(std::size_t i) const { return i == 0 ? 0 : segments_[i - 1].last_seq; }
  std::uint64_t after(std::size_t i) const { return segments_[i + 1].first_seq; }
  static std::uint64_t count(const segment_info& segment) {
    std::uint64_t sum = 0;
    for (const auto& [stream, events] : segment.events)
      sum += events;
    return sum;
  }

  std::string vfs_;
  std::string tag_;
  recovery_report& report_;
  struct rejected_segment {
    fs::path db;
    std::string why;
    std::string tag; // of the journal that it belongs to, if that is another
    std::uint64_t after_seq = 0;
  };

  std::vector<segment_info> segments_;
  std::vector<rejected_segment> rejected_;
  std::set<std::uint64_t> without_wal_;
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
  auto tag = read_or_draw_tag(options.dir);
  if (!tag) return tag.error();
  // Twice: the first time what a crash left half made goes, on which the moves depend.
  auto files = list_files(options.dir);
  if (!files) return files.error();
  if (auto done = finish_moves(options.dir, *tag, vfs, report); !done) return done.error();
  files = list_files(options.dir);
  if (!files) return files.error();

  recovered_journal out;
  out.tag = *tag;
  recovery pass{vfs, *tag, report};
  if (auto done = pass.inspect(*files); !done) return done.error();
  if (auto done = pass.settle_end(out); !done) return done.error();
  pass.check_seals();
  pass.fill(catalog);
  out.next_number = pass.highest_number() + 1;

  auto ids = id_reserve::open(options.dir, options.max_unjournaled_events, catalog.durable_seq());
  if (!ids) return ids.error();
  if (!ids->damage().empty())
    report.damaged.push_back(ids->damage() + event_id(ids->next_seq(), *tag));
  out.ids = std::move(*ids);
  return out;
}

} // namespace penstock
