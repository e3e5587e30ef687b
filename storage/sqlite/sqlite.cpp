#include "storage/sqlite/sqlite.hpp"

#include "storage/base/files.hpp"

#include <cerrno>

#include <fcntl.h>

namespace penstock {

namespace {

errc code_for(sqlite3* db, int code) {
  switch (code & 0xff) {
  case SQLITE_FULL:
    return errc::disk_full;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
    return errc::corrupt;
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return errc::locked;
  default:
    break;
  }
  // Delayed allocation can report a full disk late: from fsync, or from growing the shared memory.
  const int os = db != nullptr ? sqlite3_system_errno(db) : 0;
  if ((code & 0xff) == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT)) return errc::disk_full;
  if (code == SQLITE_IOERR_SHMSIZE) return errc::disk_full;
  return errc::io;
}

} // namespace

bool is_empty_database(const std::filesystem::path& db) {
  return file_bytes(db) <= 1;
}

void initialize_sqlite() {
  static const int once = [] {
    // SQLite's memory statistics take a global mutex at each allocation; nobody reads them here.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    return sqlite3_initialize();
  }();
  (void)once;
}

error sqlite_error(sqlite3* db, int code) {
  std::string message = sqlite3_errstr(code);
  if (code > 0xff) message += " [" + std::to_string(code) + "]"; // which kind of I/O error, say
  if (db != nullptr) {
    const char* file = sqlite3_db_filename(db, "main");
    if (file != nullptr && *file != '\0') message = std::string{file} + ": " + message;
    const std::string_view detail = sqlite3_errmsg(db);
    if (detail != sqlite3_errstr(code & 0xff) && detail != sqlite3_errstr(code))
      message.append(" (").append(detail).append(")");
  }
  return error{code_for(db, code), std::move(message)};
}

result<bool> sqlite_statement::step() {
  const int code = sqlite3_step(raw_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  sqlite3* db = sqlite3_db_handle(raw_.get());
  return sqlite_error(db, sqlite3_extended_errcode(db));
}

result<void> sqlite_statement::run() {
  auto stepped = step();
  reset();
  if (!stepped) return stepped.error();
  return {};
}

std::string_view sqlite_statement::bytes(int column) {
  // The blob call first: the other order may convert and move the value.
  const void* data = sqlite3_column_blob(raw_.get(), column);
  const int size = sqlite3_column_bytes(raw_.get(), column);
  if (data == nullptr) return {};
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

namespace {

// SQLite gives a log and shared memory the mode of their database.
void make_private(const std::filesystem::path& path, sqlite_mode mode) {
  for (const char* suffix : {"", "-wal", "-shm"})
    keep_private(path.native() + suffix);
  // What SQLite can't open either is told by it.
  if (mode == sqlite_mode::create) (void)open_file(path, O_RDWR | O_CREAT | O_EXCL);
}

} // namespace

result<sqlite_database> sqlite_database::open(const std::filesystem::path& path, sqlite_mode mode,
                                              const std::string& vfs) {
  initialize_sqlite();
  if (mode != sqlite_mode::read_only) make_private(path, mode);
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (mode) {
  case sqlite_mode::read_only:
    flags |= SQLITE_OPEN_READONLY;
    break;
  case sqlite_mode::read_write:
    flags |= SQLITE_OPEN_READWRITE;
    break;
  case sqlite_mode::create:
    flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    break;
  }
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, vfs.empty() ? nullptr : vfs.c_str());
  sqlite_database db{raw};
  if (code != SQLITE_OK) {
    auto err = sqlite_error(raw, code);
    if (err.message.find(path.native()) == std::string::npos)
      err.message = path.string() + ": " + err.message;
    return err;
  }
  return db;
}

result<void> sqlite_database::exec(const char* sql) {
  const int code = sqlite3_exec(raw_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return sqlite_error(raw_.get(), code);
  return {};
}

result<sqlite_statement> sqlite_database::prepare(std::string_view sql, bool long_lived) {
  sqlite3_stmt* stmt = nullptr;
  const int code = sqlite3_prepare_v3(raw_.get(), sql.data(), static_cast<int>(sql.size()),
                                      long_lived ? SQLITE_PREPARE_PERSISTENT : 0, &stmt, nullptr);
  if (code != SQLITE_OK) return sqlite_error(raw_.get(), code);
  return sqlite_statement{stmt};
}

} // namespace penstock
