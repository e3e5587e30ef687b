#include "storage/journal/segment_mover.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/files.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/journal/segment.hpp"

#include <algorithm>
#include <utility>

#include <fcntl.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t read_bytes = 4u << 20;
constexpr std::size_t read_blocks = 64;
constexpr std::uint64_t commit_bytes = 4u << 20;

std::uint64_t row_bytes(const event_block& block, std::size_t i) {
  return block.event_bytes(i) + event_overhead_bytes;
}

/// The streams of a segment of which something may be owed.
journal_reader::stream_filter wanted_of(const segment_info& segment,
                                        const backlog_events& backlog) {
  return [&segment, &backlog](const std::string& stream) {
    return backlog.between(stream, segment.first_seq, segment.last_seq) !=
           backlog_events::portion::none;
  };
}

/// Calls `see(block)` for the blocks of such streams in a segment, until it says false.
template <class See>
result<void> visit_wanted(journal_reader& reader, const segment_info& segment,
                          const backlog_events& backlog, See see) {
  const auto wanted = wanted_of(segment, backlog);
  std::vector<std::string> damage;
  for (auto after = segment.first_seq - 1; after < segment.last_seq;) {
    const auto blocks = reader.read_wanted(wanted, after, read_bytes, read_blocks, &damage);
    if (!blocks) return blocks.error();
    if (!damage.empty()) return error{errc::corrupt, damage.front()};
    if (blocks->empty()) return {};
    for (const auto& block : *blocks) {
      if (block->first_seq > segment.last_seq) return {};
      auto more = see(*block);
      if (!more) return more.error();
      if (!*more) return {};
    }
    after = blocks->back()->last_seq();
  }
  return {};
}

/// The owed events of a block, a part for each run of them, since a row's numbers follow each
/// other.
std::vector<event_block> backlog_parts(const event_block& block, const backlog_events& backlog) {
  std::vector<event_block> parts;
  std::uint64_t next = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const auto seq = block.first_seq + i;
    const auto& meta = block.events[i];
    if (!backlog.is_in_backlog(block.stream, seq, meta.client)) continue;
    if (parts.empty() || seq != next) {
      auto& part = parts.emplace_back();
      part.first_seq = seq;
      part.time_ms = block.time_ms;
      part.stream = block.stream;
    }
    parts.back().push(block.body(i), block.content_types[meta.type], meta.client,
                      block.attributes[meta.attributes]);
    next = seq + 1;
  }
  return parts;
}

void note(segment_info& to, const event_block& part) {
  if (to.first_seq == 0) {
    to.first_seq = part.first_seq;
    to.first_time_ms = to.last_time_ms = part.time_ms;
  }
  PENSTOCK_ASSERT(!part.empty());
  to.last_seq = part.last_seq();
  to.first_time_ms = std::min(to.first_time_ms, part.time_ms);
  to.last_time_ms = std::max(to.last_time_ms, part.time_ms);
  to.events[part.stream] += part.size();
  to.body_bytes[part.stream] += part.event_bytes_from(0);
}

std::vector<std::uint64_t> numbers_of(const std::vector<segment_info>& segments) {
  std::vector<std::uint64_t> numbers;
  for (const auto& one : segments)
    numbers.push_back(one.number);
  return numbers;
}

/// The names of the segments that a move takes the place of, but for the first, whose name goes on
/// to the new one.
std::vector<std::string> names_given_up(const std::vector<std::uint64_t>& numbers) {
  std::vector<std::string> names;
  for (const auto number : numbers)
    if (number != numbers.front()) names.push_back(segment_path({}, number).string());
  return names;
}

result<void> rename_moved(const fs::path& moved, const fs::path& db) {
  remove_file(shm_path(moved));
  // The log before the database: a database in place without a log has lost it.
  if (fs::exists(wal_path(moved)))
    if (auto done = rename_file(wal_path(moved), wal_path(db)); !done) return done;
  if (auto done = sync_directory(db.parent_path()); !done) return done;
  if (auto done = rename_file(moved, db); !done) {
    // Together they can be read under the other name.
    (void)rename_file(wal_path(db), wal_path(moved));
    return done;
  }
  return sync_directory(db.parent_path());
}

} // namespace

result<std::uint64_t> measure_backlog(journal_reader& reader, const segment_info& segment,
                                      const backlog_events& backlog, std::uint64_t enough) {
  std::uint64_t sum = 0;
  auto read = visit_wanted(reader, segment, backlog, [&](const event_block& block) -> result<bool> {
    for (std::size_t i = 0; i < block.size(); ++i)
      if (backlog.is_in_backlog(block.stream, block.first_seq + i, block.events[i].client))
        sum += row_bytes(block, i);
    return sum <= enough;
  });
  reader.release();
  if (!read) return read.error();
  return sum;
}

segment_mover::segment_mover(std::shared_ptr<segment_catalog> catalog,
                             std::shared_ptr<file_list> listed, std::string tag, std::string vfs)
    : catalog_(std::move(catalog)), listed_(std::move(listed)), tag_(std::move(tag)),
      vfs_(std::move(vfs)), reader_(journal_reader::make(catalog_, vfs_)) {}

result<std::optional<segment_mover::move>> segment_mover::make(std::vector<segment_info> from,
                                                               const backlog_events& backlog,
                                                               std::uint64_t max_bytes) {
  PENSTOCK_ASSERT(!from.empty() && std::ranges::is_sorted(from, {}, &segment_info::number));
  move out{std::move(from), {}};
  out.to.number = out.from.front().number;
  const auto final_path = segment_path(out.from.front().path.parent_path(), out.to.number);
  out.to.path = moved_path(final_path);
  for (const auto& one : out.from)
    if (one.path == moved_path(segment_path(one.path.parent_path(), one.number)))
      return error{errc::invalid,
                   one.path.string() + " was moved, and gets its name at the next start"};
  drop(out); // of an attempt before
  auto made = create_segment(out.to.path, out.to.number, tag_, vfs_);
  if (made) made = write_backlog(out, out.to, backlog, max_bytes);
  reader_->release();
  if (!made || out.to.first_seq == 0) drop(out);
  if (!made) return made.error();
  if (out.to.first_seq == 0) return std::optional<move>{};
  out.to.sealed = true;
  out.to.bytes = file_bytes(out.to.path) + file_bytes(wal_path(out.to.path));
  return std::optional{std::move(out)};
}

// A transaction of some megabytes at a time; the seal, which is the last, makes it count.
result<void> segment_mover::write_backlog(const move& what, segment_info& to,
                                          const backlog_events& backlog, std::uint64_t max_bytes) {
  auto writer = segment_writer::open(to, vfs_);
  if (!writer) return writer.error();
  block_encoder encoder;
  std::uint64_t uncommitted = 0;
  const auto write = [&](const event_block& part) -> result<void> {
    encoder.encode(part);
    uncommitted += encoder.row_bytes();
    if (auto written = (*writer)->append(part, encoder); !written) return written;
    note(to, part);
    if (uncommitted < commit_bytes) return {};
    uncommitted = 0;
    return (*writer)->commit();
  };
  for (const auto& segment : what.from) {
    auto read =
        visit_wanted(*reader_, segment, backlog, [&](const event_block& block) -> result<bool> {
          for (const auto& part : backlog_parts(block, backlog))
            if (auto written = write(part); !written) return written.error();
          if ((*writer)->used_bytes() <= max_bytes) return true;
          return error{errc::invalid, "more is owed than is worth moving"};
        });
    if (!read) return read;
    if (segment.keys == 0 || to.first_seq == 0) continue;
    const auto keys = (*writer)->take_keys_of(segment.path, vfs_);
    if (!keys) return keys.error();
    to.keys += *keys;
  }
  if (to.first_seq == 0) return {};
  return (*writer)->seal(to, numbers_of(what.from));
}

result<void> segment_mover::finish(const move& what) {
  const auto numbers = numbers_of(what.from);
  if (auto noted = listed_->drop(names_given_up(numbers)); !noted) {
    drop(what);
    return noted;
  }
  if (!catalog_->begin_move(numbers)) {
    drop(what);
    return error{errc::not_found, "a segment that was to be moved is gone"};
  }
  auto info = what.to;
  const auto final_path = segment_path(info.path.parent_path(), info.number);
  // From here on the events are in the new segment alone. The first goes first: while it is there,
  // nothing has gone.
  for (const auto& gone : what.from)
    remove_segment(gone.path);
  auto done = sync_directory(info.path.parent_path());
  if (done) done = rename_moved(info.path, final_path);
  if (fs::exists(final_path)) info.path = final_path;
  catalog_->end_move(numbers, std::move(info));
  return done;
}

void segment_mover::drop(const move& what) {
  remove_segment(what.to.path);
}

// -- after a crash --------------------------------------------------------------------------------

namespace {

bool is_whole(const fs::path& db) {
  return fs::exists(db) && fs::exists(wal_path(db));
}

/// What the new one held is nowhere else, since the first of the old ones has gone.
result<void> give_up(const fs::path& moved, const fs::path& db, std::vector<lost_move>& lost) {
  if (auto aside = set_aside(moved); !aside) return aside;
  lost.push_back(
      {*segment_number(db),
       moved.string() +
           " holds what was left of earlier segments and can't be read; it was moved to " +
           (db.parent_path() / damaged_dir_name).string() +
           ": the events in it that were not delivered are lost"});
  return {};
}

/// What a crash left of one move. The first segment goes first: while it is whole, nothing is lost
/// with the new one, whatever that holds.
result<void> finish_move(const fs::path& moved, const fs::path& db, const std::string& tag,
                         const std::string& vfs, file_list& listed, std::vector<lost_move>& lost) {
  // It was being renamed: its log has its new name already. Whether that is its log is seen when it
  // has its old one again.
  if (!fs::exists(wal_path(moved)) && !fs::exists(db) && fs::exists(wal_path(db)))
    if (auto back = rename_file(wal_path(db), wal_path(moved)); !back) return back;
  std::string other_tag;
  // Of an empty one SQLite would delete the log.
  // Too few descriptors or rights are no damage.
  for (const auto& file : {moved, wal_path(moved)})
    if (auto fd = open_file(file, O_RDWR); !fd && fd.error().code != errc::not_found)
      return fd.error();
  const auto info = is_empty_database(moved)
                        ? result<segment_info>{error{errc::corrupt, "it is empty"}}
                        : inspect_segment(moved, tag, vfs, other_tag);
  if (!info && info.error().code != errc::corrupt) return info.error();
  if (!other_tag.empty())
    return error{errc::corrupt,
                 moved.string() + " belongs to the journal " + other_tag + ", and " +
                     (db.parent_path() / tag_file_name).string() +
                     " says another, or is gone. If it is this node's, write that into the latter; "
                     "if not, move it away"};
  const bool is_sealed = info && info->sealed;
  const auto from = is_sealed ? read_moved_from(moved, vfs)
                              : result<std::vector<std::uint64_t>>{error{errc::corrupt, "no seal"}};
  if (!from && from.error().code != errc::corrupt) return from.error();
  if (!from || std::ranges::find(*from, info->number) == from->end()) {
    if (is_whole(db)) {
      remove_segment(moved);
      return {};
    }
    return give_up(moved, db, lost);
  }
  if (auto noted = listed.drop(names_given_up(*from)); !noted) return noted;
  for (const auto number : *from)
    remove_segment(segment_path(db.parent_path(), number));
  if (auto synced = sync_directory(db.parent_path()); !synced) return synced;
  return rename_moved(moved, db);
}

} // namespace

result<void> finish_moves(const fs::path& dir, const std::string& tag, const std::string& vfs,
                          file_list& listed, std::vector<lost_move>& lost) {
  std::vector<fs::path> unfinished;
  std::vector<fs::path> logs;
  std::error_code fault;
  for (fs::directory_iterator at{dir, fault}, end; !fault && at != end; at.increment(fault)) {
    const auto path = at->path();
    if (path.extension() == ".moved" && segment_number(path.parent_path() / path.stem()))
      unfinished.push_back(path);
    else if (path.extension() == ".moved-wal" && segment_number(path.parent_path() / path.stem()))
      logs.push_back(path);
  }
  if (fault) return error{errc::io, "can't list " + dir.string() + ": " + fault.message()};
  for (const auto& moved : unfinished)
    if (auto done = finish_move(moved, moved.parent_path() / moved.stem(), tag, vfs, listed, lost);
        !done)
      return done;
  // A log without a database belongs to a move whose making was cut short, or the database is lost.
  for (const auto& log : logs) {
    const auto db = log.parent_path() / log.stem();
    if (is_whole(db))
      remove_file(log);
    else if (fs::exists(log) && !fs::exists(moved_path(db)))
      if (auto done = give_up(moved_path(db), db, lost); !done) return done;
  }
  return {};
}

} // namespace penstock
