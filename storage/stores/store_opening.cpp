#include "storage/stores/store_opening.hpp"

#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/sqlite/rollback_journal.hpp"
#include "storage/sqlite/wal_files.hpp"
#include "storage/stores/store_log.hpp"

#include <algorithm>
#include <utility>

#include <fcntl.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

bool is_there(const fs::path& path) {
  std::error_code fault;
  return fs::exists(path, fault);
}

/// Where the log and all else of a store lie: beside the file, not beside a link to it.
result<fs::path> behind_links(const fs::path& db) {
  std::error_code fault;
  if (!fs::is_symlink(db, fault)) return db;
  auto target = fs::canonical(db, fault);
  if (!fault) return target;
  return error{errc::io,
               db.string() + " is a symbolic link to what can't be found: " + fault.message()};
}

class store_opening {
 public:
  /// `name`: of the store in `stores`, the list of those that must be there.
  store_opening(fs::path db, const store_kind& kind, const make_tables& tables,
                store_report& report, const std::string& vfs, file_list& stores, std::string name)
      : db_(std::move(db)), kind_(kind), tables_(tables), report_(report), vfs_(vfs),
        stores_(stores), name_(std::move(name)) {}

  result<sqlite_database> run() {
    const bool is_listed = stores_.contains(name_);
    // Rights and descriptors are no damage. SQLite would write to a log that can't be written to
    // nowhere.
    for (const auto& path : {db_, wal_path(db_), rollback_journal_path(db_)})
      if (auto fd = open_file(path, O_RDWR); !fd && fd.error().code != errc::not_found)
        return fd.error();
    const bool is_gone = !is_there(db_) && file_bytes(wal_path(db_)) == 0;
    must_have_tables_ = is_listed && !is_gone;
    was_empty_ = is_empty_database(db_);     // before SQLite writes to it
    if (is_gone) remove_file(shm_path(db_)); // it speaks of what is gone, too
    if (is_gone && is_listed) {
      report_.damaged.push_back(
          db_.string() + " is gone, and the node begins another. Lost is all that it said of " +
          std::string{kind_.holds});
      if (auto dropped = must_not_have_tables(); !dropped) return dropped.error();
    }
    auto store = settle_and_open();
    if (!store && store.error().code == errc::newer)
      return error{errc::corrupt, store.error().message};
    if (store && report_.checks_all_pages) look_at_indexes(*store);
    return store;
  }

 private:
  result<sqlite_database> settle_and_open() {
    auto half_undone = is_rollback_journal_damaged(rollback_journal_path(db_));
    if (!half_undone) return half_undone.error();
    if (*half_undone)
      return begin_anew(
          {errc::corrupt, rollback_journal_path(db_).string() +
                              " is damaged: a transaction can be taken back only in part"});
    auto log = read_store_log(db_, kind_.is_synced);
    if (!log) return log.error();
    if (log->end == log_end::damaged)
      if (auto settled = settle_damaged(*log); !settled) return settled.error();
    if (log->end == log_end::torn)
      if (auto settled = settle_torn(*log); !settled) return settled.error();
    auto opened = open(log->end == log_end::damaged);
    if (opened || opened.error().code != errc::corrupt) return opened;
    return begin_anew(opened.error());
  }

  result<void> settle_torn(const store_log& log) {
    report_.torn.push_back(
        wal_path(db_).string() +
        " ends with a transaction that is not whole. A power cut or a kill leaves "
        "this of one that was not stored yet. If it is damage, lost is the last "
        "change of " +
        std::string{kind_.holds});
    return forget_torn_end(wal_path(db_), log.found);
  }

  result<void> settle_damaged(const store_log& log) {
    const auto what = describe(log);
    if (kind_.refuses)
      return error{errc::corrupt, what + ". " + without_log() + std::string{kind_.remedy}};
    must_have_tables_ = false; // they may have been in the log alone, and that is told
    auto aside = next_aside();
    if (!aside) return aside.error();
    if (auto copied = copy_aside(*aside); !copied) return copied;
    if (log.has_readable_part()) {
      if (auto cut = forget_torn_end(wal_path(db_), log.found); !cut) return cut;
    } else {
      remove_file(wal_path(db_));
    }
    remove_file(shm_path(db_));
    report_.damaged.push_back(what + ". The files as they were lie in " + aside->string());
    return sync_directory(db_.parent_path());
  }

  std::string describe(const store_log& log) const {
    const bool is_gone = !is_there(wal_path(db_));
    auto text = wal_path(db_).string() + (is_gone ? " is gone" : " is damaged: ");
    if (is_gone)
      text += ", and the shared memory says that it held more than was copied into the database";
    else if (log.is_without_database)
      text += "its database is gone or empty";
    else if (!log.found.has_header)
      text += "its header can't be read";
    else if (log.found.commits_beyond > 1)
      text +=
          "its last " + std::to_string(log.found.commits_beyond) + " transactions can't be read";
    else
      text += "its end is missing or can't be read";
    if (log.is_overtaken || !log.found.has_header)
      text += ", and only what was copied into the database before counts";
    text += ". Lost is what they said of ";
    text += kind_.holds;
    if (!kind_.is_synced) text += " (a power cut may leave this, too)";
    return text;
  }

  /// What is left if the log is moved away, for a person to decide.
  std::string without_log() const {
    constexpr auto nothing = "Without its log nothing can be read of the database. ";
    if (is_empty_database(db_)) return nothing;
    auto db = sqlite_database::open(db_, sqlite_mode::without_log, vfs_);
    if (!db) return nothing;
    auto count = db->prepare(kind_.counted);
    if (!count) return nothing;
    const auto row = count->step();
    if (!row || !*row) return nothing;
    return "Without its log the database has " + std::string{count->bytes(0)} + ". ";
  }

  /// Connects, and has SQLite look at the pages and the tables.
  result<sqlite_database> open(bool was_damaged) {
    auto db = sqlite_database::open(db_, sqlite_mode::create, vfs_);
    if (!db) return db;
    const bool thorough =
        was_damaged || report_.checks_all_pages || file_bytes(db_) <= max_checked_store_bytes;
    auto done =
        check_pages(*db, thorough ? "PRAGMA quick_check(1)" : "SELECT 'ok' FROM sqlite_schema");
    if (done && db->is_read_only())
      done = error{errc::corrupt,
                   db_.string() + ": its header is damaged, and SQLite does not write to it"};
    if (done) done = check_format(*db);
    if (done) done = check_mark(*db);
    if (done) done = check_tables(*db);
    if (done) done = tables_(*db);
    if (!done) return done.error();
    set_mark(*db);
    return db;
  }

  result<void> check_pages(sqlite_database& db, std::string_view sql) const {
    auto look = db.prepare(sql);
    if (!look) return look.error();
    auto row = look->step();
    if (!row) return row.error();
    if (!*row || look->bytes(0) == "ok") return {};
    std::string why{look->bytes(0)};
    std::ranges::replace(why, '\n', ' '); // a sentence is one line of the log
    return error{errc::corrupt, db_.string() + ": " + why};
  }

  result<std::int64_t> number_of(sqlite_database& db, std::string_view sql) const {
    auto read = db.prepare(sql);
    if (!read) return read.error();
    auto row = read->step();
    if (!row) return row.error();
    return read->integer(0);
  }

  result<void> check_format(sqlite_database& db) const {
    if (kind_.format == 0) return {};
    const auto found = number_of(db, "PRAGMA user_version");
    if (!found) return found.error();
    if (*found <= kind_.format) return {};
    return error{errc::newer, db_.string() + " was written by a newer penstock (format " +
                                  std::to_string(*found) + ", this one knows " +
                                  std::to_string(kind_.format) + ")"};
  }

  /// A table whose name is damaged in one of the two places that have it would be made anew, empty.
  result<void> check_tables(sqlite_database& db) const {
    const auto known = number_of(db, "SELECT count(*) FROM sqlite_schema");
    if (!known) return known.error();
    if (*known == 0 && must_have_tables_)
      return error{errc::corrupt,
                   db_.string() + (was_empty_ ? " is empty" : " has lost its tables") +
                       ", which it had" +
                       (kind_.is_synced ? "" : " (a power cut may leave this, too)")};
    const auto unknown =
        number_of(db, "SELECT count(*) FROM sqlite_schema AS item WHERE sql LIKE 'CREATE TABLE%' "
                      "AND NOT EXISTS (SELECT 1 FROM pragma_table_info(item.name))");
    if (!unknown) return unknown.error();
    if (*unknown == 0) return {};
    return error{errc::corrupt, db_.string() + ": the name of a table is damaged"};
  }

  /// What a start does not look at, since it takes long.
  void look_at_indexes(sqlite_database& db) const {
    if (const auto whole = check_pages(db, "PRAGMA integrity_check(1)"); !whole)
      report_.damaged.push_back(
          whole.error().message + ". A start does not look at indexes, and goes on with it: some " +
          "rows may not be found. 'sqlite3 FILE REINDEX' makes the indexes of a stopped node's "
          "store anew. It is about " +
          std::string{kind_.holds});
  }

  /// The log of another store that lies beside a database is laid over it, and passes for it.
  result<void> check_mark(sqlite_database& db) {
    const auto read = number_of(db, "PRAGMA application_id");
    if (!read) return read.error();
    const auto found = *read;
    has_mark_ = found == std::int64_t{kind_.mark};
    if (has_mark_) return {};
    if (found != 0)
      return error{errc::corrupt, db_.string() + ": it, or its log, is that of another store"};
    return {};
  }

  /// Of one that is new, or of an earlier version. On a full disk it stays so until a later start.
  void set_mark(sqlite_database& db) const {
    if (!has_mark_)
      (void)db.exec(("PRAGMA application_id = " + std::to_string(kind_.mark)).c_str());
  }

  /// From now on, also for a start after one that is cut short while it makes the tables.
  result<void> must_not_have_tables() {
    must_have_tables_ = false;
    return stores_.drop({name_});
  }

  result<sqlite_database> begin_anew(const error& why) {
    if (kind_.refuses) return error{errc::corrupt, why.message + ". " + std::string{kind_.remedy}};
    if (auto dropped = must_not_have_tables(); !dropped) return dropped.error();
    auto aside = next_aside();
    if (!aside) return aside.error();
    for (const auto& path : {db_, wal_path(db_), rollback_journal_path(db_)})
      if (is_there(path))
        if (auto moved = rename_file(path, *aside / path.filename()); !moved) return moved.error();
    remove_file(shm_path(db_));
    if (auto synced = sync_directory(*aside); !synced) return synced.error();
    if (auto synced = sync_directory(db_.parent_path()); !synced) return synced.error();
    report_.damaged.push_back(why.message + ". The store was moved to " + aside->string() +
                              ", and the node begins another. Lost is all that it said of " +
                              std::string{kind_.holds});
    return open(false);
  }

  result<void> copy_aside(const fs::path& aside) const {
    for (const auto& path : {db_, wal_path(db_)}) {
      if (!is_there(path) || (path == db_ && file_bytes(path) > max_copied_store_bytes)) continue;
      if (auto copied = duplicate_file(path, aside / path.filename()); !copied) return copied;
    }
    return sync_directory(aside);
  }

  /// Makes a directory that none before it had.
  result<fs::path> next_aside() const {
    const auto dir = db_.parent_path() / damaged_dir_name;
    for (std::size_t number = 1; number <= max_damaged_stores; ++number) {
      auto aside = dir / std::to_string(number);
      std::error_code fault;
      if (fs::exists(aside, fault)) continue;
      if (auto made = make_directory(aside); !made) return made.error();
      return aside;
    }
    return error{errc::io, dir.string() + " holds " + std::to_string(max_damaged_stores) +
                               " damaged stores: look at the disk, and move them away"};
  }

  const fs::path db_;
  const store_kind& kind_;
  const make_tables& tables_;
  store_report& report_;
  const std::string& vfs_;
  file_list& stores_;
  const std::string name_;
  bool must_have_tables_ = false;
  bool was_empty_ = false;
  bool has_mark_ = false;
};

} // namespace

result<void> compile_all(sqlite_database& db, std::initializer_list<std::string_view> statements) {
  for (const auto sql : statements)
    if (auto compiled = db.prepare(sql); !compiled) return compiled.error();
  return {};
}

result<sqlite_database> open_store(const fs::path& db, const store_kind& kind,
                                   const make_tables& tables, store_report* report,
                                   const std::string& vfs) {
  store_report unheard;
  const auto target = behind_links(db);
  if (!target) return target.error();
  file_list stores{db.parent_path() / stores_file_name};
  const auto name = db.filename().string();
  auto store =
      store_opening{*target, kind, tables, report != nullptr ? *report : unheard, vfs, stores, name}
          .run();
  if (store) (void)stores.add(name); // without it a loss would not be noticed
  return store;
}

} // namespace penstock
