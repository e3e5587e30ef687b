#include "fragile_disk.hpp"

#include "storage/sqlite/sqlite.hpp"

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace penstock::test {

namespace {

sqlite3_vfs* base_vfs = nullptr;

struct fragile_file {
  sqlite3_file as_file;
  fragile_disk::unsynced_writes* unsynced;
  sqlite3_file* base() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

fragile_file& self(sqlite3_file* file) {
  return *reinterpret_cast<fragile_file*>(file);
}

int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  auto& me = self(file);
  sqlite3_int64 on_disk = 0;
  me.base()->pMethods->xFileSize(me.base(), &on_disk);
  // Of a read past the end SQLite gets zeros and is told.
  int done = me.base()->pMethods->xRead(me.base(), out, size, offset);
  if (done != SQLITE_OK && done != SQLITE_IOERR_SHORT_READ) return done;
  sqlite3_int64 known_to = on_disk;
  for (const auto& write : *me.unsynced) {
    const sqlite3_int64 write_end = write.offset + static_cast<sqlite3_int64>(write.bytes.size());
    known_to = std::max(known_to, write_end);
    const auto from = std::max<sqlite3_int64>(offset, write.offset),
               to = std::min(offset + size, write_end);
    if (from < to)
      std::memcpy(static_cast<char*>(out) + (from - offset),
                  write.bytes.data() + (from - write.offset), static_cast<std::size_t>(to - from));
  }
  return offset + size <= known_to ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write_file(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  if (!fragile_disk::instance().powered()) return SQLITE_IOERR_WRITE;
  self(file).unsynced->push_back(
      {offset, std::string(static_cast<const char*>(data), static_cast<std::size_t>(size))});
  return SQLITE_OK;
}

int write_through(fragile_file& me) {
  for (const auto& write : *me.unsynced) {
    const int done = me.base()->pMethods->xWrite(
        me.base(), write.bytes.data(), static_cast<int>(write.bytes.size()), write.offset);
    if (done != SQLITE_OK) return done;
  }
  me.unsynced->clear();
  return SQLITE_OK;
}

int sync_file(sqlite3_file* file, int) {
  if (!fragile_disk::instance().powered()) return SQLITE_IOERR_FSYNC;
  return write_through(self(file));
}

int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  if (!fragile_disk::instance().powered()) return SQLITE_IOERR_TRUNCATE;
  auto& me = self(file);
  if (const int done = write_through(me); done != SQLITE_OK) return done;
  return me.base()->pMethods->xTruncate(me.base(), size);
}

int size_of_file(sqlite3_file* file, sqlite3_int64* size) {
  auto& me = self(file);
  const int done = me.base()->pMethods->xFileSize(me.base(), size);
  for (const auto& write : *me.unsynced)
    *size = std::max<sqlite3_int64>(*size,
                                    write.offset + static_cast<sqlite3_int64>(write.bytes.size()));
  return done;
}

// What does not touch the content is the base VFS's business; shared memory is lost with the power
// anyway, since SQLite makes it anew when nobody has it open.
const sqlite3_io_methods methods = [] {
  sqlite3_io_methods m{};
  m.iVersion = 2;
  m.xRead = read_file;
  m.xWrite = write_file;
  m.xTruncate = truncate_file;
  m.xSync = sync_file;
  m.xFileSize = size_of_file;
  m.xClose = [](sqlite3_file* f) { return self(f).base()->pMethods->xClose(self(f).base()); };
  m.xLock = [](sqlite3_file* f, int level) {
    return self(f).base()->pMethods->xLock(self(f).base(), level);
  };
  m.xUnlock = [](sqlite3_file* f, int level) {
    return self(f).base()->pMethods->xUnlock(self(f).base(), level);
  };
  m.xCheckReservedLock = [](sqlite3_file* f, int* out) {
    return self(f).base()->pMethods->xCheckReservedLock(self(f).base(), out);
  };
  m.xFileControl = [](sqlite3_file* f, int op, void* argument) {
    // Hints that would make the file larger or smaller behind our back are not taken.
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
    return self(f).base()->pMethods->xFileControl(self(f).base(), op, argument);
  };
  m.xSectorSize = [](sqlite3_file*) { return static_cast<int>(fragile_disk::sector_bytes); };
  m.xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; };
  m.xShmMap = [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
    return self(f).base()->pMethods->xShmMap(self(f).base(), page, size, extend, out);
  };
  m.xShmLock = [](sqlite3_file* f, int offset, int n, int flags) {
    return self(f).base()->pMethods->xShmLock(self(f).base(), offset, n, flags);
  };
  m.xShmBarrier = [](sqlite3_file* f) { self(f).base()->pMethods->xShmBarrier(self(f).base()); };
  m.xShmUnmap = [](sqlite3_file* f, int remove) {
    return self(f).base()->pMethods->xShmUnmap(self(f).base(), remove);
  };
  return m;
}();

int open_file(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  constexpr int held_back = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
  if ((flags & held_back) == 0) return base_vfs->xOpen(base_vfs, name, file, flags, out_flags);
  auto& me = self(file);
  me.as_file.pMethods = nullptr;
  me.unsynced = &fragile_disk::instance().of(name);
  const int done = base_vfs->xOpen(base_vfs, name, me.base(), flags, out_flags);
  if (done == SQLITE_OK) me.as_file.pMethods = &methods;
  return done;
}

void register_vfs() {
  initialize_sqlite();
  base_vfs = sqlite3_vfs_find(nullptr);
  static sqlite3_vfs vfs{};
  vfs.iVersion = 2;
  vfs.szOsFile = static_cast<int>(sizeof(fragile_file)) + base_vfs->szOsFile;
  vfs.mxPathname = base_vfs->mxPathname;
  vfs.zName = fragile_disk::vfs_name;
  vfs.xOpen = open_file;
  vfs.xDelete = [](sqlite3_vfs*, const char* name, int sync_dir) {
    fragile_disk::instance().of(name).clear();
    return base_vfs->xDelete(base_vfs, name, sync_dir);
  };
  vfs.xAccess = [](sqlite3_vfs*, const char* name, int flags, int* out) {
    return base_vfs->xAccess(base_vfs, name, flags, out);
  };
  vfs.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
    return base_vfs->xFullPathname(base_vfs, name, size, out);
  };
  vfs.xRandomness = [](sqlite3_vfs*, int size, char* out) {
    return base_vfs->xRandomness(base_vfs, size, out);
  };
  vfs.xSleep = [](sqlite3_vfs*, int us) { return base_vfs->xSleep(base_vfs, us); };
  vfs.xCurrentTime = [](sqlite3_vfs*, double* out) {
    return base_vfs->xCurrentTime(base_vfs, out);
  };
  vfs.xGetLastError = [](sqlite3_vfs*, int, char*) { return 0; };
  vfs.xCurrentTimeInt64 = [](sqlite3_vfs*, sqlite3_int64* out) {
    return base_vfs->xCurrentTimeInt64(base_vfs, out);
  };
  sqlite3_vfs_register(&vfs, 0);
}

/// Writes some sectors of `write` to the file.
void write_torn(int fd, const fragile_disk::write& write, std::mt19937_64& random,
                unsigned percent_kept) {
  const auto end = write.offset + static_cast<std::int64_t>(write.bytes.size());
  constexpr auto sector = static_cast<std::int64_t>(fragile_disk::sector_bytes);
  for (auto at = write.offset; at < end;) {
    const auto next = std::min(end, (at / sector + 1) * sector);
    if (random() % 100 < percent_kept)
      (void)!::pwrite(fd, write.bytes.data() + (at - write.offset),
                      static_cast<std::size_t>(next - at), at);
    at = next;
  }
}

} // namespace

fragile_disk& fragile_disk::instance() {
  static fragile_disk disk;
  static const bool registered = [] {
    register_vfs();
    return true;
  }();
  (void)registered;
  return disk;
}

bool fragile_disk::powered() {
  if (operations_left_ == 0)
    failed_ = true;
  else if (operations_left_ != never)
    --operations_left_;
  return !failed_;
}

void fragile_disk::restart(std::mt19937_64& random) {
  for (auto& [path, writes] : unsynced_) {
    if (writes.empty()) continue;
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (fd >= 0) {
      // Sometimes nothing survives, sometimes a part of a prefix, sometimes parts of everything.
      const auto mode = random() % 4;
      const auto prefix = random() % (writes.size() + 1);
      for (std::size_t i = 0; i < writes.size(); ++i) {
        if (mode == 0) break;
        if (mode == 1) write_torn(fd, writes[i], random, i < prefix ? 100 : i == prefix ? 50 : 0);
        if (mode == 2) write_torn(fd, writes[i], random, random() % 2 == 0 ? 100 : 0);
        if (mode == 3) write_torn(fd, writes[i], random, 80);
      }
      ::close(fd);
    }
    writes.clear();
  }
  unsynced_.clear();
  failed_ = false;
  never_fail();
}

} // namespace penstock::test
