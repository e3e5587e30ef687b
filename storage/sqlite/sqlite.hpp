// A thin RAII layer over SQLite's C interface. The only file that includes <sqlite3.h>.
#pragma once

#include "storage/base/result.hpp"

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace penstock {

/// Whether SQLite takes a database that is there for an empty one, and would delete the log beside
/// it without reading it. It does so of a single byte, too.
bool is_empty_database(const std::filesystem::path& db);

/// Sets SQLite up once per process; opening a database does it too.
void initialize_sqlite();

/// How a database file is opened. One that is written to, with its log and shared memory, is for
/// its owner alone (mode 0600) whatever the umask: who can read them can lock them, and so hold up
/// commits.
enum class sqlite_mode : std::uint8_t {
  read_only,
  read_write,
  create,
  without_log, ///< read_only, as if no log lay beside it; nothing is locked, so nobody may write to
               ///< it
};

/// A prepared statement. Bound text and blobs are not copied: they must live until reset().
class sqlite_statement {
 public:
  sqlite_statement() = default;
  explicit sqlite_statement(sqlite3_stmt* raw) : raw_(raw) {}

  void bind(int column, std::int64_t value) { sqlite3_bind_int64(raw_.get(), column, value); }
  void bind(int column, std::uint64_t value) { bind(column, static_cast<std::int64_t>(value)); }
  void bind_text(int column, std::string_view value) {
    sqlite3_bind_text64(raw_.get(), column, not_null(value), value.size(), SQLITE_STATIC,
                        SQLITE_UTF8);
  }
  void bind_blob(int column, std::string_view value) {
    sqlite3_bind_blob64(raw_.get(), column, not_null(value), value.size(), SQLITE_STATIC);
  }
  void bind_null(int column) { sqlite3_bind_null(raw_.get(), column); }

  /// True when there is a row to look at, false when the statement has finished.
  result<bool> step();
  /// Runs a statement that gives no rows (or whose rows don't matter), then resets it.
  result<void> run();
  void reset() { sqlite3_reset(raw_.get()); }

  std::int64_t integer(int column) { return sqlite3_column_int64(raw_.get(), column); }
  bool is_null(int column) { return sqlite3_column_type(raw_.get(), column) == SQLITE_NULL; }
  /// Text or a blob; valid until the next step() or reset().
  std::string_view bytes(int column);

 private:
  struct finalizer {
    void operator()(sqlite3_stmt* raw) const { sqlite3_finalize(raw); }
  };
  // An empty view may carry a null pointer, which SQLite would store as NULL.
  static const char* not_null(std::string_view value) { return value.data() ? value.data() : ""; }

  std::unique_ptr<sqlite3_stmt, finalizer> raw_;
};

/// A connection. One thread uses it at a time; it may move between threads. Statements must be
/// destroyed before it.
class sqlite_database {
 public:
  /// `vfs`: name of a registered VFS; empty means SQLite's default. Errors name the file.
  static result<sqlite_database> open(const std::filesystem::path& path, sqlite_mode mode,
                                      const std::string& vfs = {});

  result<void> exec(const char* sql);
  result<sqlite_statement> prepare(std::string_view sql, bool long_lived = false);
  /// Runs `work`, which gives a result<T>, in a transaction that may write from its beginning, and
  /// commits. When either fails nothing of it is left.
  template <class Work>
  auto in_transaction(Work&& work) -> decltype(work()) {
    const auto begun = exec("BEGIN IMMEDIATE");
    auto outcome = begun ? work() : decltype(work()){begun.error()};
    if (outcome)
      if (const auto committed = exec("COMMIT"); !committed) outcome = committed.error();
    // After some errors SQLite has rolled back by itself.
    if (!outcome && sqlite3_get_autocommit(raw()) == 0) (void)exec("ROLLBACK");
    return outcome;
  }
  /// Whether SQLite will not write: by the mode, for want of rights, or since the header has a
  /// version that it does not know, which it sees with the first statement that reads.
  bool is_read_only() const { return sqlite3_db_readonly(raw_.get(), "main") == 1; }
  sqlite3* raw() const { return raw_.get(); }

 private:
  struct closer {
    void operator()(sqlite3* raw) const { sqlite3_close_v2(raw); }
  };
  explicit sqlite_database(sqlite3* raw) : raw_(raw) {}

  std::unique_ptr<sqlite3, closer> raw_;
};

/// Prepares long-lived statements one after the other; after a failure it does nothing more.
class sqlite_preparer {
 public:
  explicit sqlite_preparer(sqlite_database& db) : db_(db) {}
  void operator()(sqlite_statement& into, std::string_view sql) {
    if (!outcome_) return;
    auto made = db_.prepare(sql, true);
    if (made)
      into = std::move(*made);
    else
      outcome_ = made.error();
  }
  const result<void>& outcome() const { return outcome_; } ///< the first failure

 private:
  sqlite_database& db_;
  result<void> outcome_;
};

/// Maps what SQLite reported last on this connection: no room → disk_full; damaged, not a database,
/// or with other tables than a statement needs → corrupt; busy or locked → locked; everything else
/// (rights, descriptors, memory, the disk) → io, with the system's word.
error sqlite_error(sqlite3* db, int code);

} // namespace penstock
