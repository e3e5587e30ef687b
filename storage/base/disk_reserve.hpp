// Room on the disk that is held for what must be written even when it is full.
#pragma once

#include "storage/base/files.hpp"

#include <cstdint>
#include <filesystem>
#include <utility>

#include <fcntl.h>

namespace penstock {

/// A file that only takes up room, to be given back when something could not be written otherwise.
class disk_reserve {
 public:
  disk_reserve(std::filesystem::path path, std::uint64_t bytes)
      : path_(std::move(path)), bytes_(bytes) {
    take();
  }

  void take() {
    if (bytes_ == 0 || file_bytes(path_) >= bytes_) return;
    auto fd = open_file(path_, O_RDWR | O_CREAT);
    if (fd && ::posix_fallocate(fd->get(), 0, static_cast<off_t>(bytes_)) == 0) return;
    remove_file(path_); // a part of it would be room that nobody can use
  }

  /// True if there was something to give back.
  bool release() {
    const bool held = file_bytes(path_) > 0;
    remove_file(path_);
    return held;
  }

 private:
  std::filesystem::path path_;
  std::uint64_t bytes_;
};

} // namespace penstock
