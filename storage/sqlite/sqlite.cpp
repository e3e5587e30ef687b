#include "storage/sqlite/sqlite.hpp"

#include "storage/base/files.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace penstock {

namespace {

/// SQLite writes to no file whose header has a version that it does not know. Of one that it may
/// write to that is damage.
bool has_unknown_header(sqlite3* db) {
  const char* file = db != nullptr ? sqlite3_db_filename(db, "main") : nullptr;
  return file != nullptr && *file != '\0' && ::access(file, W_OK) == 0;
}

errc code_for(sqlite3* db, int code) {
  switch (code & 0xff) {
  case SQLITE_FULL:
    return errc::disk_full;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  // All statements are fixed: where SQLite can't make sense of one, the tables are not those that
  // were made.
  case SQLITE_ERROR:
  case SQLITE_MISMATCH:
  case SQLITE_TOOBIG:
    return errc::corrupt;
  case SQLITE_READONLY:
    return code == SQLITE_READONLY && has_unknown_header(db) ? errc::corrupt : errc::io;
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
    if (const int os = sqlite3_system_errno(db); os != 0 && code_for(db, code) == errc::io)
      message.append(": ").append(std::strerror(os));
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

/// As SQLite takes a file's name with settings behind it.
std::string immutable_uri(const std::filesystem::path& path) {
  std::string uri = path.is_absolute() ? "file://" : "file:"; // else "//a/b" would be a host's
  for (const char c : path.native())
    if (c == '%' || c == '?' || c == '#')
      uri += c == '%' ? "%25" : c == '?' ? "%3f" : "%23";
    else
      uri += c;
  return uri + "?immutable=1";
}

} // namespace

result<sqlite_database> sqlite_database::open(const std::filesystem::path& path, sqlite_mode mode,
                                              const std::string& vfs) {
  initialize_sqlite();
  const bool is_written = mode == sqlite_mode::read_write || mode == sqlite_mode::create;
  if (is_written) make_private(path, mode);
  std::string name = path.native();
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (mode) {
  case sqlite_mode::read_only:
    flags |= SQLITE_OPEN_READONLY;
    break;
  case sqlite_mode::without_log:
    flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI;
    name = immutable_uri(path);
    break;
  case sqlite_mode::read_write:
    flags |= SQLITE_OPEN_READWRITE;
    break;
  case sqlite_mode::create:
    flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    break;
  }
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &raw, flags, vfs.empty() ? nullptr : vfs.c_str());
  sqlite_database db{raw};
  if (code != SQLITE_OK) {
    auto err = sqlite_error(raw, code);
    if (code == SQLITE_ERROR) err.code = errc::io; // no table was looked at yet
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
