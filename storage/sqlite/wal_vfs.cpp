#include "storage/sqlite/wal_vfs.hpp"

#include "storage/sqlite/sqlite.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace penstock {

namespace {

/// The most that is gathered before it is written although no sync asks for it; bounds the memory
/// of each open WAL. SQLite's unix VFS takes a write's size modulo 128 KiB, so this lies below.
constexpr std::size_t max_gathered_bytes = 120u << 10;

struct shim_vfs {
  sqlite3_vfs as_vfs{};
  sqlite3_vfs* base = nullptr;
  std::string name;
  bool sync = true;
};

/// A stretch of the WAL that SQLite has written and the file has not got yet.
struct gathered_writes {
  std::vector<char> bytes;
  sqlite3_int64 begin = 0;

  sqlite3_int64 end() const { return begin + static_cast<sqlite3_int64>(bytes.size()); }
  bool touches(sqlite3_int64 offset, sqlite3_int64 size) const {
    return !bytes.empty() && offset < end() && offset + size > begin;
  }
};

/// SQLite allocates this; the base VFS's own file object follows it in the same allocation.
struct wal_file {
  sqlite3_file as_file;
  bool sync;
  gathered_writes* gathered;
  sqlite3_file* base() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
static_assert(sizeof(wal_file) % 8 == 0); // the alignment that SQLite gives file objects

wal_file& self(sqlite3_file* file) {
  return *reinterpret_cast<wal_file*>(file);
}

int flush(wal_file& file) {
  auto& pending = *file.gathered;
  if (pending.bytes.empty()) return SQLITE_OK;
  const int done = file.base()->pMethods->xWrite(
      file.base(), pending.bytes.data(), static_cast<int>(pending.bytes.size()), pending.begin);
  // After an error SQLite rolls back: what could not be written is no longer wanted.
  pending.bytes.clear();
  return done;
}

int close_file(sqlite3_file* file) {
  auto& wal = self(file);
  flush(wal);
  delete wal.gathered;
  return wal.base()->pMethods->xClose(wal.base());
}

int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  auto& wal = self(file);
  const auto& pending = *wal.gathered;
  if (pending.touches(offset, size)) {
    if (offset >= pending.begin && offset + size <= pending.end()) {
      std::memcpy(out, pending.bytes.data() + (offset - pending.begin),
                  static_cast<std::size_t>(size));
      return SQLITE_OK;
    }
    if (const int done = flush(wal); done != SQLITE_OK) return done;
  }
  return wal.base()->pMethods->xRead(wal.base(), out, size, offset);
}

int write_file(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  auto& wal = self(file);
  auto& pending = *wal.gathered;
  const bool joins = offset >= pending.begin && offset <= pending.end();
  const auto size_after = offset - pending.begin + size;
  if (!pending.bytes.empty() &&
      (!joins || size_after > static_cast<sqlite3_int64>(max_gathered_bytes)))
    if (const int done = flush(wal); done != SQLITE_OK) return done;

  if (pending.bytes.empty()) pending.begin = offset;
  const auto at = static_cast<std::size_t>(offset - pending.begin);
  const auto* bytes = static_cast<const char*>(data);
  const auto overwritten = std::min(pending.bytes.size() - at, static_cast<std::size_t>(size));
  std::copy_n(bytes, overwritten, pending.bytes.begin() + static_cast<std::ptrdiff_t>(at));
  pending.bytes.insert(pending.bytes.end(), bytes + overwritten, bytes + size);
  return SQLITE_OK;
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  auto& wal = self(file);
  if (const int done = flush(wal); done != SQLITE_OK) return done;
  return wal.base()->pMethods->xTruncate(wal.base(), size);
}

int sync_file(sqlite3_file* file, int flags) {
  auto& wal = self(file);
  if (const int done = flush(wal); done != SQLITE_OK) return done;
  return wal.sync ? wal.base()->pMethods->xSync(wal.base(), flags) : SQLITE_OK;
}

int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  auto& wal = self(file);
  const int done = wal.base()->pMethods->xFileSize(wal.base(), size);
  if (!wal.gathered->bytes.empty()) *size = std::max(*size, wal.gathered->end());
  return done;
}

int lock_file(sqlite3_file* file, int level) {
  return self(file).base()->pMethods->xLock(self(file).base(), level);
}
int unlock_file(sqlite3_file* file, int level) {
  return self(file).base()->pMethods->xUnlock(self(file).base(), level);
}
int check_lock(sqlite3_file* file, int* out) {
  return self(file).base()->pMethods->xCheckReservedLock(self(file).base(), out);
}
int control_file(sqlite3_file* file, int op, void* argument) {
  return self(file).base()->pMethods->xFileControl(self(file).base(), op, argument);
}
int sector_size(sqlite3_file* file) {
  return self(file).base()->pMethods->xSectorSize(self(file).base());
}
int characteristics(sqlite3_file* file) {
  return self(file).base()->pMethods->xDeviceCharacteristics(self(file).base());
}

// Version 1: a WAL is neither shared memory nor memory-mapped.
constexpr sqlite3_io_methods wal_methods = [] {
  sqlite3_io_methods methods{};
  methods.iVersion = 1;
  methods.xClose = close_file;
  methods.xRead = read_file;
  methods.xWrite = write_file;
  methods.xTruncate = truncate_file;
  methods.xSync = sync_file;
  methods.xFileSize = size_of_file;
  methods.xLock = lock_file;
  methods.xUnlock = unlock_file;
  methods.xCheckReservedLock = check_lock;
  methods.xFileControl = control_file;
  methods.xSectorSize = sector_size;
  methods.xDeviceCharacteristics = characteristics;
  return methods;
}();

shim_vfs& shim_of(sqlite3_vfs* vfs) {
  return *static_cast<shim_vfs*>(vfs->pAppData);
}
sqlite3_vfs* base_of(sqlite3_vfs* vfs) {
  return shim_of(vfs).base;
}

int open_in_vfs(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  auto* base = base_of(vfs);
  // Every other file is the base VFS's own, without us between.
  if ((flags & SQLITE_OPEN_WAL) == 0) return base->xOpen(base, name, file, flags, out_flags);
  auto& wal = self(file);
  wal.as_file.pMethods = nullptr;
  wal.sync = shim_of(vfs).sync;
  wal.gathered = new (std::nothrow) gathered_writes;
  if (wal.gathered == nullptr) return SQLITE_NOMEM;
  const int done = base->xOpen(base, name, wal.base(), flags, out_flags);
  if (done == SQLITE_OK)
    wal.as_file.pMethods = &wal_methods;
  else
    delete wal.gathered;
  return done;
}

void forward_the_rest(sqlite3_vfs& vfs) {
  vfs.xDelete = [](sqlite3_vfs* v, const char* name, int sync_dir) {
    return base_of(v)->xDelete(base_of(v), name, sync_dir);
  };
  vfs.xAccess = [](sqlite3_vfs* v, const char* name, int flags, int* out) {
    return base_of(v)->xAccess(base_of(v), name, flags, out);
  };
  vfs.xFullPathname = [](sqlite3_vfs* v, const char* name, int size, char* out) {
    return base_of(v)->xFullPathname(base_of(v), name, size, out);
  };
  vfs.xRandomness = [](sqlite3_vfs* v, int size, char* out) {
    return base_of(v)->xRandomness(base_of(v), size, out);
  };
  vfs.xSleep = [](sqlite3_vfs* v, int microseconds) {
    return base_of(v)->xSleep(base_of(v), microseconds);
  };
  vfs.xCurrentTime = [](sqlite3_vfs* v, double* out) {
    return base_of(v)->xCurrentTime(base_of(v), out);
  };
  vfs.xGetLastError = [](sqlite3_vfs* v, int size, char* out) {
    return base_of(v)->xGetLastError(base_of(v), size, out);
  };
  vfs.xCurrentTimeInt64 = [](sqlite3_vfs* v, sqlite3_int64* out) {
    return base_of(v)->xCurrentTimeInt64(base_of(v), out);
  };
}

} // namespace

std::string wal_vfs(const std::string& base_name, bool sync) {
  static std::mutex mutex;
  static auto& shims = *new std::map<std::string, std::unique_ptr<shim_vfs>>; // for ever

  const std::lock_guard lock{mutex};
  initialize_sqlite();
  auto* base = sqlite3_vfs_find(base_name.empty() ? nullptr : base_name.c_str());
  if (base == nullptr) return base_name; // opening a file with it will say that it is unknown
  const std::string name = std::string{"penstock-"} + base->zName + (sync ? "" : "-unsynced");
  auto& shim = shims[name];
  if (shim) return name;
  shim = std::make_unique<shim_vfs>();
  shim->base = base;
  shim->name = name;
  shim->sync = sync;
  auto& vfs = shim->as_vfs;
  vfs.iVersion = 2;
  vfs.szOsFile = static_cast<int>(sizeof(wal_file)) + base->szOsFile;
  vfs.mxPathname = base->mxPathname;
  vfs.zName = shim->name.c_str();
  vfs.pAppData = shim.get();
  vfs.xOpen = open_in_vfs;
  forward_the_rest(vfs);
  sqlite3_vfs_register(&vfs, 0);
  return name;
}

} // namespace penstock
