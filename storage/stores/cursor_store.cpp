#include "storage/stores/cursor_store.hpp"

#include "storage/base/checksum.hpp"
#include "storage/base/disk_reserve.hpp"
#include "storage/base/files.hpp"
#include "storage/base/number_file.hpp"
#include "storage/sqlite/sqlite.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <optional>

namespace penstock {

namespace fs = std::filesystem;

namespace {

/// Pages in the write-ahead log before it is used from its start again: cursors are overwritten
/// all the time, and a log that does not grow needs no new blocks on a full disk.
constexpr int checkpoint_pages = 128;

constexpr const char* cursor_schema = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS cursor(
  stream TEXT NOT NULL,
  sink TEXT NOT NULL,
  seq INTEGER NOT NULL,
  acked_ahead TEXT NOT NULL,
  PRIMARY KEY (stream, sink)
) WITHOUT ROWID;
)sql";

constexpr std::string_view upsert_cursor = "INSERT OR REPLACE INTO cursor VALUES (?1, ?2, ?3, ?4)";
constexpr std::string_view select_cursors = "SELECT stream, sink, seq, acked_ahead FROM cursor";

result<void> make_cursor_tables(sqlite_database& db) {
  sqlite3_wal_autocheckpoint(db.raw(), checkpoint_pages);
  if (auto made = db.exec(cursor_schema); !made) return made;
  return compile_all(db, {upsert_cursor, select_cursors});
}

constexpr store_kind cursors_kind{
    .mark = store_mark('c', 'u'),
    .holds =
        "how far sinks and consumers have come: events after that come again, with the same ids",
    .remedy = {}};

/// "[[first,last],…]"
std::string ranges_text(const cursor& position) {
  std::string text = "[";
  const auto n = std::min(position.acked_ahead.size(), max_acked_ranges);
  for (std::size_t i = 0; i < n; ++i) {
    if (i > 0) text += ',';
    const auto& [first, last] = position.acked_ahead[i];
    text += '[' + std::to_string(first) + ',' + std::to_string(last) + ']';
  }
  return text + ']';
}

/// What can't be read is left out: those events come again, with the same id. Whatever is no digit
/// is skipped, as earlier versions do.
std::vector<std::pair<std::uint64_t, std::uint64_t>> parse_ranges(std::string_view text) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto next_number = [&](std::uint64_t& out) {
    while (at != end && (*at < '0' || *at > '9'))
      ++at;
    const auto [rest, fault] = std::from_chars(at, end, out);
    at = rest;
    return fault == std::errc{};
  };
  std::pair<std::uint64_t, std::uint64_t> range;
  while (next_number(range.first) && next_number(range.second))
    if (range.first <= range.second) ranges.push_back(range);
  return ranges;
}

/// Behind the ranges, where earlier versions skip it since it has no digits.
std::string position_checksum(const cursor& position, std::string_view ranges) {
  std::string row =
      position.stream + '\0' + position.sink + '\0' + std::to_string(position.seq) + '\0';
  return checksum_letters(row.append(ranges), row_checksum_letters);
}

/// No journal has reached such numbers by counting: in a row without a checksum they are damage.
bool is_possible(const cursor& position) {
  return position.seq < numbers_with_checksum &&
         std::ranges::all_of(position.acked_ahead, [](const auto& range) {
           return range.second < numbers_with_checksum;
         });
}

/// Takes what a row says as far as it can be believed; a sentence tells what can't.
std::string take_position(cursor& position, std::string_view text) {
  const auto end = text.rfind(']');
  const auto ranges = text.substr(0, end == std::string_view::npos ? 0 : end + 1);
  const auto checksum = text.substr(ranges.size());
  const auto whose = "the position of the sink " + readable_name(position.sink) +
                     " in the stream " + readable_name(position.stream);
  position.acked_ahead = parse_ranges(ranges);
  const bool is_believed =
      checksum.empty() ? is_possible(position) : checksum == position_checksum(position, ranges);
  if (!is_believed) {
    position.seq = 0;
    position.acked_ahead.clear();
    return whose +
           " is damaged and not believed: all that the journal holds of the stream is delivered "
           "again, with the same ids";
  }
  if (ranges_text(position) == ranges) return {};
  return whose +
         " is damaged: what was acknowledged out of order can't be read, and those events are "
         "delivered again, with the same ids";
}

class sqlite_cursor_store final : public cursor_store {
 public:
  explicit sqlite_cursor_store(disk_reserve reserve) : reserve_(std::move(reserve)) {}

  result<void> start(const fs::path& path, const std::string& vfs, store_report* report) {
    auto opened = connect(path, vfs, report);
    if (!opened && opened.error().code == errc::disk_full && reserve_.release())
      opened = connect(path, vfs, report);
    if (!opened && opened.error().code == errc::corrupt)
      return error{errc::corrupt,
                   opened.error().message + "; move " + path.string() +
                       " (and its -wal) away to start without it: what the journal still holds is "
                       "then delivered again, with the same ids"};
    return opened;
  }

  result<std::vector<cursor>> load(std::vector<std::string>* damaged) override {
    const std::lock_guard hold{mutex_};
    std::vector<cursor> mended;
    auto cursors = read(damaged, mended);
    // So that the next start does not tell it again; where it fails, it does.
    if (cursors && damaged && !mended.empty()) (void)write(mended);
    return cursors;
  }
  result<void> save(const std::vector<cursor>& cursors) override {
    const std::lock_guard hold{mutex_};
    auto saved = write(cursors);
    if (!saved && saved.error().code == errc::disk_full && reserve_.release())
      return write(cursors);
    return saved;
  }

  result<void> forget(const std::string& sink, const std::vector<std::string>& streams) override {
    const std::lock_guard hold{mutex_};
    auto gone = db_->prepare("DELETE FROM cursor WHERE stream = ?1 AND (sink = ?2 OR "
                             "substr(sink, 1, length(?2) + 1) = ?2 || '#')");
    if (!gone) return gone.error();
    return db_->in_transaction([&]() -> result<void> {
      for (const auto& stream : streams) {
        gone->bind_text(1, stream);
        gone->bind_text(2, sink);
        if (auto done = gone->run(); !done) return done;
      }
      return {};
    });
  }

  void restore_reserve() override {
    const std::lock_guard hold{mutex_};
    reserve_.take();
  }

 private:
  result<void> connect(const fs::path& path, const std::string& vfs, store_report* report) {
    upsert_ = {};
    db_.reset();
    auto db = open_store(path, cursors_kind, make_cursor_tables, report, vfs);
    if (!db) return db.error();
    db_.emplace(std::move(*db));
    auto upsert = db_->prepare(upsert_cursor, true);
    if (!upsert) return upsert.error();
    upsert_ = std::move(*upsert);
    return sync_directory(path.parent_path());
  }

  result<std::vector<cursor>> read(std::vector<std::string>* damaged, std::vector<cursor>& mended) {
    auto select = db_->prepare(select_cursors);
    if (!select) return select.error();
    std::vector<cursor> cursors;
    for (;;) {
      auto row = select->step();
      if (!row) return row.error();
      if (!*row) return cursors;
      cursor position;
      position.stream = select->bytes(0);
      position.sink = select->bytes(1);
      position.seq = static_cast<std::uint64_t>(select->integer(2));
      if (auto why = take_position(position, select->bytes(3)); !why.empty()) {
        if (damaged != nullptr) damaged->push_back("cursors.db: " + why);
        mended.push_back(position);
      }
      cursors.push_back(std::move(position));
    }
  }

  result<void> write(const std::vector<cursor>& cursors) {
    return db_->in_transaction([&]() -> result<void> {
      for (const auto& position : cursors) {
        auto ranges = ranges_text(position);
        ranges += position_checksum(position, ranges);
        upsert_.bind_text(1, position.stream);
        upsert_.bind_text(2, position.sink);
        upsert_.bind(3, position.seq);
        upsert_.bind_text(4, ranges);
        if (auto done = upsert_.run(); !done) return done;
      }
      return {};
    });
  }

  std::mutex mutex_;
  disk_reserve reserve_;
  std::optional<sqlite_database> db_;
  sqlite_statement upsert_;
};

} // namespace

result<std::unique_ptr<cursor_store>> cursor_store::open(const fs::path& dir,
                                                         std::uint64_t reserve_bytes,
                                                         const std::string& vfs,
                                                         store_report* report) {
  if (auto made = make_directory(dir); !made) return made.error();
  auto store =
      std::make_unique<sqlite_cursor_store>(disk_reserve{dir / "cursors.reserve", reserve_bytes});
  if (auto started = store->start(dir / "cursors.db", vfs, report); !started)
    return started.error();
  return std::unique_ptr<cursor_store>{std::move(store)};
}

} // namespace penstock
