// A database of dead letters or replays: how it is opened.
#pragma once

#include "storage/base/files.hpp"
#include "storage/stores/store_opening.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace penstock {

inline constexpr std::int64_t deliveries_format = 1;

/// One thread. Statements prepared on it must be destroyed before it.
class delivery_database {
 public:
  /// `make` makes the tables, within one transaction, and compiles statements without keeping any.
  /// Each commit is synced. Errors: as open_store().
  template <class Make>
  result<void> open(const std::filesystem::path& path, const store_kind& kind, store_report* report,
                    const std::string& vfs, Make make) {
    if (auto made = make_directory(path.parent_path()); !made) return made;
    const auto tables = [&](sqlite_database& db) -> result<void> {
      auto done = db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;");
      if (done) done = make(db);
      if (done) done = db.exec(("PRAGMA user_version = " + std::to_string(kind.format)).c_str());
      return done ? db.exec("COMMIT") : done;
    };
    auto db = open_store(path, kind, tables, report, vfs);
    if (!db) return db.error();
    db_.emplace(std::move(*db));
    return sync_directory(path.parent_path());
  }

  sqlite_database& operator*() { return *db_; }
  sqlite_database* operator->() { return &*db_; }

 private:
  std::optional<sqlite_database> db_;
};

} // namespace penstock
