// The few POSIX file operations that SQLite does not do for us.
#pragma once

#include "storage/base/result.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

/// Where damaged files are put, in the directory that they were found in.
inline constexpr const char* damaged_dir_name = "damaged";
/// Whether damaged files were put aside in a directory, and are still there.
bool has_damaged_files(const std::filesystem::path& dir);

/// Owns a file descriptor.
class unique_fd {
 public:
  unique_fd() = default;
  explicit unique_fd(int fd) : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd();

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// The last failed system call on `path` as an error: ENOSPC and EDQUOT → disk_full, ENOENT →
/// not_found, else io.
error system_error(const std::filesystem::path& path, std::string_view doing);
/// Whether that made it, so that it names a file.
bool is_system_error(const error& why);

/// `flags` as open(2) takes them; new files get mode 0600.
result<unique_fd> open_file(const std::filesystem::path& path, int flags);

/// Makes a directory (mode 0700) and what is missing above it.
result<void> make_directory(const std::filesystem::path& dir);

/// Takes the rights of others from a file or directory that is there, as an earlier version or
/// another program may have given them. Only its owner can, so nothing is said when it fails. A
/// symbolic link is left alone.
void keep_private(const std::filesystem::path& path);
/// The same for all that is below a directory.
void keep_contents_private(const std::filesystem::path& dir);
/// Whether others than the owner have any right to it.
bool is_open_to_others(const std::filesystem::path& path);

/// Which file lies at a path: its device and number, or {0, 0} if none does.
using file_identity = std::pair<std::uint64_t, std::uint64_t>;
file_identity identity_of(const std::filesystem::path& path);

/// Makes creations, renames and unlinks in a directory durable.
result<void> sync_directory(const std::filesystem::path& dir);
result<void> sync_file(const std::filesystem::path& path);

/// Replaces a small file atomically and durably.
result<void> write_file(const std::filesystem::path& path, std::string_view content);

/// Overwrites the start of an existing small file in place, durably: needs no free space. The
/// content must lie in one disk sector to be all or nothing.
result<void> overwrite_file(const std::filesystem::path& path, std::string_view content);

/// Makes a file that long, and makes it if it is not there; what is added are zeros without blocks
/// of the disk. Never shortens one.
result<void> grow_file(const std::filesystem::path& path, std::uint64_t bytes);

inline constexpr std::size_t max_small_file_bytes = 4096;

/// The content of a small file, of a larger one its begin; errc::not_found if there is none.
result<std::string> read_file(const std::filesystem::path& path,
                              std::size_t max_bytes = max_small_file_bytes);

result<void> rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Copies a file of any size to a new one, durably, sharing its blocks where the file system can.
result<void> duplicate_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// Unlinks if it exists. Needs no free space.
void remove_file(const std::filesystem::path& path);

/// 0 if there is no such file.
std::uint64_t file_bytes(const std::filesystem::path& path);

/// Takes an exclusive lock that lasts until the descriptor is closed or the process ends.
/// errc::locked if another holds it.
result<unique_fd> lock_file(const std::filesystem::path& path);

} // namespace penstock
