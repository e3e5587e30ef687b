// A database of dead letters or replays: how it is opened, and its transactions.
#pragma once

#include "storage/base/files.hpp"
#include "storage/stores/store_opening.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace penstock {

/// One thread. Statements prepared on it must be destroyed before it.
class delivery_database {
 public:
  /// `prepare` makes the tables and prepares statements, within one transaction. Each commit is
  /// synced. Errors: as SQLite's; corrupt for a file that a newer version of penstock wrote.
  template <class Prepare>
  result<void> open(const std::filesystem::path& path, const store_kind& kind, store_report* report,
                    const std::string& vfs, Prepare prepare) {
    if (auto made = make_directory(path.parent_path()); !made) return made;
    auto db = open_store(path, kind, report, vfs);
    if (!db) return db.error();
    db_.emplace(std::move(*db));
    if (auto known = check_version(path); !known) return known;
    if (auto set = db_->exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"); !set)
      return set;
    auto made = in_transaction([&]() -> result<void> {
      if (auto done = prepare(*db_); !done) return done;
      return db_->exec("PRAGMA user_version = 1");
    });
    if (!made) return made;
    return sync_directory(path.parent_path());
  }

  template <class Work>
  result<void> in_transaction(Work work) {
    auto done = db_->exec("BEGIN IMMEDIATE");
    if (done) done = work();
    if (done) done = db_->exec("COMMIT");
    if (!done && sqlite3_get_autocommit(db_->raw()) == 0) (void)db_->exec("ROLLBACK");
    return done;
  }

  sqlite_database& operator*() { return *db_; }
  sqlite_database* operator->() { return &*db_; }

 private:
  static constexpr std::int64_t newest_version = 1;

  result<void> check_version(const std::filesystem::path& path) {
    auto select = db_->prepare("PRAGMA user_version");
    if (!select) return select.error();
    auto row = select->step();
    if (!row) return row.error();
    const auto version = select->integer(0);
    if (version <= newest_version) return {};
    return error{errc::corrupt, path.string() + " was written by a newer penstock (format " +
                                    std::to_string(version) + ", this one knows " +
                                    std::to_string(newest_version) + ")"};
  }

  std::optional<sqlite_database> db_;
};

} // namespace penstock
