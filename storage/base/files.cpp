#include "storage/base/files.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr ::mode_t rights_of_others = S_IRWXG | S_IRWXO;

result<void> write_all(int fd, const fs::path& path, std::string_view content) {
  std::size_t done = 0;
  while (done < content.size()) {
    const auto written =
        ::pwrite(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path, "write");
    done += static_cast<std::size_t>(written);
  }
  if (::fdatasync(fd) != 0) return system_error(path, "sync");
  return {};
}

} // namespace

unique_fd::~unique_fd() {
  if (fd_ >= 0) ::close(fd_);
}

// What its errors begin with, and no others.
constexpr std::string_view system_error_begin = "can't ";

bool is_system_error(const error& why) {
  return why.message.starts_with(system_error_begin);
}

error system_error(const fs::path& path, std::string_view doing) {
  const int why = errno;
  auto code = errc::io;
  if (why == ENOSPC || why == EDQUOT) code = errc::disk_full;
  if (why == ENOENT) code = errc::not_found;
  return error{code, std::string{system_error_begin}.append(doing) + " " + path.string() + ": " +
                         std::strerror(why)};
}

result<unique_fd> open_file(const fs::path& path, int flags) {
  unique_fd fd{::open(path.c_str(), flags | O_CLOEXEC, 0600)};
  if (!fd) return system_error(path, "open");
  return fd;
}

void keep_private(const fs::path& path) {
  struct stat info {};
  // Not by a descriptor: closing it would drop the locks that SQLite has on the file.
  if (::lstat(path.c_str(), &info) == 0 && !S_ISLNK(info.st_mode) &&
      (info.st_mode & rights_of_others) != 0)
    (void)::chmod(path.c_str(), info.st_mode & 07777 & ~rights_of_others);
}

bool has_damaged_files(const fs::path& dir) {
  std::error_code fault;
  const fs::directory_iterator first{dir / damaged_dir_name, fault};
  return !fault && first != fs::directory_iterator{};
}

void keep_contents_private(const fs::path& dir) {
  std::error_code fault;
  for (fs::recursive_directory_iterator at{dir, fault}, end; !fault && at != end;
       at.increment(fault))
    keep_private(at->path());
}

bool is_open_to_others(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && (info.st_mode & rights_of_others) != 0;
}

file_identity identity_of(const fs::path& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {0, 0};
  return {info.st_dev, info.st_ino};
}

result<void> make_directory(const fs::path& dir) {
  if (::mkdir(dir.c_str(), 0700) == 0) {
    const auto parent = dir.has_parent_path() ? dir.parent_path() : fs::path{"."};
    return sync_directory(parent);
  }
  const bool is_there = errno == EEXIST;
  const bool parent_may_be_missing = errno == ENOENT && dir.has_parent_path();
  auto why = system_error(dir, "make directory");
  std::error_code unknown;
  if (is_there && fs::is_directory(dir, unknown)) return {};
  // A file system such as /proc says so of what it can't make anywhere.
  if (!parent_may_be_missing || fs::exists(dir.parent_path(), unknown)) return why;
  if (auto made = make_directory(dir.parent_path()); !made) return made;
  return make_directory(dir);
}

result<void> sync_directory(const fs::path& dir) {
  auto fd = open_file(dir, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  if (::fsync(fd->get()) != 0) return system_error(dir, "sync directory");
  return {};
}

result<void> sync_file(const fs::path& path) {
  auto fd = open_file(path, O_RDWR);
  if (!fd) return fd.error();
  if (::fsync(fd->get()) != 0) return system_error(path, "sync");
  return {};
}

result<void> write_file(const fs::path& path, std::string_view content) {
  auto temporary = path;
  temporary += ".tmp";
  {
    auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (!fd) return fd.error();
    if (auto written = write_all(fd->get(), temporary, content); !written) return written;
  }
  if (auto renamed = rename_file(temporary, path); !renamed) return renamed;
  return sync_directory(path.parent_path());
}

result<void> overwrite_file(const fs::path& path, std::string_view content) {
  auto fd = open_file(path, O_WRONLY);
  if (!fd) return fd.error();
  return write_all(fd->get(), path, content);
}

result<void> grow_file(const fs::path& path, std::uint64_t bytes) {
  auto fd = open_file(path, O_RDWR | O_CREAT);
  if (!fd) return fd.error();
  if (file_bytes(path) < bytes && ::ftruncate(fd->get(), static_cast<off_t>(bytes)) != 0)
    return system_error(path, "grow");
  return {};
}

result<std::string> read_file(const fs::path& path, std::size_t max_bytes) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) return fd.error();
  std::string content(max_bytes, '\0');
  const auto got = ::pread(fd->get(), content.data(), content.size(), 0);
  if (got < 0) return system_error(path, "read");
  content.resize(static_cast<std::size_t>(got));
  return content;
}

result<void> rename_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return system_error(from, "rename");
  return {};
}

namespace {

// Reads and writes in pieces of this size where the kernel can't copy by itself.
constexpr std::size_t copied_at_once_bytes = 64u << 10;

result<void> copy_bytes(int from, int to, const fs::path& from_path, const fs::path& to_path) {
  std::string piece(copied_at_once_bytes, '\0');
  for (off_t at = 0;;) {
    const auto got = ::pread(from, piece.data(), piece.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(from_path, "read");
    if (got == 0 && ::ftruncate(to, at) != 0) return system_error(to_path, "grow");
    if (got == 0) return {};
    // Zeros, such as those of a log's unused rest, need no blocks.
    const std::string_view read{piece.data(), static_cast<std::size_t>(got)};
    if (read.find_first_not_of('\0') != std::string_view::npos &&
        ::pwrite(to, read.data(), read.size(), at) != got)
      return system_error(to_path, "write");
    at += got;
  }
}

} // namespace

result<void> duplicate_file(const fs::path& from, const fs::path& to) {
  auto source = open_file(from, O_RDONLY);
  if (!source) return source.error();
  auto target = open_file(to, O_WRONLY | O_CREAT | O_TRUNC);
  if (!target) return target.error();
  if (::ioctl(target->get(), FICLONE, source->get()) != 0)
    if (auto copied = copy_bytes(source->get(), target->get(), from, to); !copied) return copied;
  if (::fsync(target->get()) != 0) return system_error(to, "sync");
  return {};
}

void remove_file(const fs::path& path) {
  ::unlink(path.c_str());
}

std::uint64_t file_bytes(const fs::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

result<unique_fd> lock_file(const fs::path& path) {
  auto fd = open_file(path, O_RDWR | O_CREAT);
  if (!fd) return fd.error();
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return system_error(path, "lock");
  return error{errc::locked, path.parent_path().string() +
                                 " is in use by another process: stop it, or choose another "
                                 "node.data_dir"};
}

} // namespace penstock
