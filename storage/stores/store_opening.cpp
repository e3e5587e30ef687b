#include "storage/stores/store_opening.hpp"

#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/sqlite/rollback_journal.hpp"
#include "storage/sqlite/wal_files.hpp"
#include "storage/stores/store_log.hpp"

#include <algorithm>

namespace penstock {

namespace fs = std::filesystem;

namespace {

class store_opening {
 public:
  store_opening(const fs::path& db, const store_kind& kind, store_report& report, const std::string& vfs)
      : db_(db), kind_(kind), report_(report), vfs_(vfs) {}

  result<sqlite_database> run() {
    file_list stores{db_.parent_path() / stores_file_name};
    const auto name = db_.filename().string();
    const bool is_gone = !fs::exists(db_) && !fs::exists(wal_path(db_));
    if (is_gone) remove_file(shm_path(db_)); // it speaks of what is gone, too
    if (is_gone && stores.contains(name))
      report_.damaged.push_back(db_.string() + " is gone, and the node begins another. Lost is all that it said of " +
                                std::string{kind_.holds});
    auto store = settle_and_open();
    if (store) (void)stores.add(name); // without it a loss would not be noticed
    return store;
  }

 private:
  result<sqlite_database> settle_and_open() {
    auto half_undone = is_rollback_journal_damaged(rollback_journal_path(db_));
    if (!half_undone) return half_undone.error();
    if (*half_undone)
      return begin_anew({errc::corrupt, rollback_journal_path(db_).string() +
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
    report_.torn.push_back(wal_path(db_).string() +
                           " ends with a transaction that is not whole. A power cut or a kill leaves "
                           "this of one that was not stored yet. If it is damage, lost is the last "
                           "change of " + std::string{kind_.holds});
    return forget_torn_end(wal_path(db_), log.found);
  }

  result<void> settle_damaged(const store_log& log) {
    const auto what = describe(log);
    if (kind_.refuses)
      return error{errc::corrupt, what + ". " + std::string{kind_.remedy}};
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
    const bool is_gone = !fs::exists(wal_path(db_));
    auto text = wal_path(db_).string() + (is_gone ? " is gone" : " is damaged: ");
    if (is_gone)
      text += ", and the shared memory says that it held more than was copied into the database";
    else if (log.is_without_database)
      text += "its database is gone or empty";
    else if (!log.found.has_header)
      text += "its header can't be read";
    else if (log.found.commits_beyond > 1)
      text += "its last " + std::to_string(log.found.commits_beyond) + " transactions can't be read";
    else
      text += "its end is missing or can't be read";
    if (log.is_overtaken || !log.found.has_header)
      text += ", and only what was copied into the database before counts";
    text += ". Lost is what they said of ";
    text += kind_.holds;
    if (!kind_.is_synced) text += " (a power cut may leave this, too)";
    return text;
  }

  /// Connects, and has SQLite look at the pages.
  result<sqlite_database> open(bool was_damaged) {
    auto db = sqlite_database::open(db_, sqlite_mode::create, vfs_);
    if (!db) return db;
    const bool thorough =
        was_damaged || report_.checks_all_pages || file_bytes(db_) <= max_checked_store_bytes;
    auto look = db->prepare(thorough ? "PRAGMA quick_check(1)" : "SELECT 'ok' FROM sqlite_schema");
    if (!look) return look.error();
    auto row = look->step();
    if (!row) return row.error();
    if (*row && look->bytes(0) != "ok") {
      std::string why{look->bytes(0)};
      std::ranges::replace(why, '\n', ' '); // a sentence is one line of the log
      return error{errc::corrupt, db_.string() + ": " + why};
    }
    look->reset();
    if (auto ours = check_mark(*db); !ours) return ours.error();
    return db;
  }

  /// The log of another store that lies beside a database is laid over it, and passes for it.
  result<void> check_mark(sqlite_database& db) const {
    std::int64_t found = 0;
    {
      auto read = db.prepare("PRAGMA application_id");
      if (!read) return read.error();
      auto row = read->step();
      if (!row) return row.error();
      found = read->integer(0);
    }
    if (found == std::int64_t{kind_.mark}) return {};
    if (found != 0) return error{errc::corrupt, db_.string() + ": it, or its log, is that of another store"};
    // New, or of an earlier version. On a full disk it stays so until a later start.
    (void)db.exec(("PRAGMA application_id = " + std::to_string(kind_.mark)).c_str());
    return {};
  }

  result<sqlite_database> begin_anew(const error& why) {
    if (kind_.refuses)
      return error{errc::corrupt, why.message + ". " + std::string{kind_.remedy}};
    auto aside = next_aside();
    if (!aside) return aside.error();
    for (const auto& path : {db_, wal_path(db_), rollback_journal_path(db_)})
      if (fs::exists(path))
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
      if (!fs::exists(path) || (path == db_ && file_bytes(path) > max_copied_store_bytes)) continue;
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

  const fs::path& db_;
  const store_kind& kind_;
  store_report& report_;
  const std::string& vfs_;
};

} // namespace

result<sqlite_database> open_store(const fs::path& db, const store_kind& kind, store_report* report,
                                   const std::string& vfs) {
  store_report unheard;
  return store_opening{db, kind, report != nullptr ? *report : unheard, vfs}.run();
}

} // namespace penstock
