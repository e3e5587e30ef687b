#include "storage/journal/idempotency_store.hpp"

#include "storage/base/disk_reserve.hpp"
#include "storage/journal/idempotency_rows.hpp"

#include <optional>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr store_kind kept_keys_kind{
    .mark = store_mark('i', 'd'),
    .holds = "idempotency keys whose events left the journal: repeats of them are stored again",
    .remedy = {}};

constexpr std::string_view forget_other_journals =
    "DELETE FROM idempotency WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'tag' AND value = "
    "?1)";
constexpr std::string_view note_tag = "INSERT OR REPLACE INTO meta VALUES ('tag', ?1)";

result<void> make_key_tables(sqlite_database& db) {
  // A rollback journal: records are only added at the end and removed at the beginning, so it
  // stays small, and the file needs no second copy of what is added.
  if (auto made =
          db.exec("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL;"
                  "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;");
      !made)
    return made;
  if (auto made = db.exec(idempotency_schema); !made) return made;
  if (auto compiled = compile_all(db, {forget_other_journals, note_tag, select_records}); !compiled)
    return compiled;
  return idempotency_inserter{}.prepare(db);
}

class sqlite_idempotency_store final : public idempotency_store {
 public:
  sqlite_idempotency_store(disk_reserve reserve, sqlite_database db, std::string vfs)
      : reserve_(std::move(reserve)), db_(std::move(db)), vfs_(std::move(vfs)) {}

  result<void> start(const std::string& tag) {
    auto done = claim(tag);
    if (done) done = rows_.prepare(db_);
    return done;
  }

  result<void> visit(std::int64_t since_ms, const record_visitor& visit) override {
    return visit_rows(db_, since_ms, visit);
  }

  result<void> keep(const fs::path& segment, std::int64_t since_ms,
                    std::size_t max_records) override {
    auto kept = copy(segment, since_ms, max_records);
    if (!kept && kept.error().code == errc::disk_full && reserve_.release())
      return copy(segment, since_ms, max_records);
    return kept;
  }

  void restore_reserve() override { reserve_.take(); }

 private:
  /// The numbers of another journal mean other events.
  result<void> claim(const std::string& tag) {
    return db_.in_transaction([&]() -> result<void> {
      auto forget = db_.prepare(forget_other_journals);
      if (!forget) return forget.error();
      auto note = db_.prepare(note_tag);
      if (!note) return note.error();
      forget->bind_text(1, tag);
      note->bind_text(1, tag);
      if (auto done = forget->run(); !done) return done;
      return note->run();
    });
  }

  result<void> copy(const fs::path& segment, std::int64_t since_ms, std::size_t max_records) {
    return db_.in_transaction([&]() -> result<void> {
      result<void> inserted;
      const auto insert = [&](const idempotency_record& record) {
        if (inserted) inserted = rows_.insert(record);
      };
      if (auto done = visit_records(segment, since_ms, insert, vfs_); !done) return done;
      if (!inserted) return inserted;
      return prune(since_ms, max_records);
    });
  }

  result<void> prune(std::int64_t since_ms, std::size_t max_records) {
    auto old = db_.prepare("DELETE FROM idempotency WHERE time_ms < ?1");
    if (!old) return old.error();
    old->bind(1, since_ms);
    if (auto done = old->run(); !done) return done;
    auto many = db_.prepare("DELETE FROM idempotency WHERE seq <= (SELECT seq FROM idempotency "
                            "ORDER BY seq DESC LIMIT 1 OFFSET ?1)");
    if (!many) return many.error();
    many->bind(1, std::uint64_t{max_records});
    return many->run();
  }

  disk_reserve reserve_;
  sqlite_database db_;
  std::string vfs_;
  idempotency_inserter rows_; // before the database it belongs to
};

} // namespace

result<std::unique_ptr<idempotency_store>>
idempotency_store::open(const fs::path& dir, const std::string& tag, std::uint64_t reserve_bytes,
                        const std::string& vfs, store_report* report) {
  if (auto made = make_directory(dir); !made) return made.error();
  const auto path = dir / "idempotency.db";
  disk_reserve reserve{dir / "idempotency.reserve", reserve_bytes};
  const auto connect = [&]() -> result<std::unique_ptr<idempotency_store>> {
    auto db = open_store(path, kept_keys_kind, make_key_tables, report, vfs);
    if (!db) return db.error();
    auto store = std::make_unique<sqlite_idempotency_store>(reserve, std::move(*db), vfs);
    if (auto started = store->start(tag); !started) return started.error();
    if (auto synced = sync_directory(dir); !synced) return synced.error();
    return std::unique_ptr<idempotency_store>{std::move(store)};
  };
  auto opened = connect();
  if (!opened && opened.error().code == errc::disk_full && reserve.release()) return connect();
  if (!opened && opened.error().code == errc::corrupt)
    return error{errc::corrupt, opened.error().message + "; move " + path.string() +
                                    " away to start without it: repeats of requests whose events "
                                    "left the journal are then taken for new ones"};
  return opened;
}

} // namespace penstock
