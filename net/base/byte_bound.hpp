// A bound on bytes that several hold at once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

/// Counts what its holders have. Not synchronised; outlives them.
class byte_bound {
 public:
  explicit byte_bound(std::uint64_t max_bytes) : max_bytes_{max_bytes} {}
  byte_bound(const byte_bound&) = delete;
  byte_bound& operator=(const byte_bound&) = delete;

  /// A part of the bound; its end gives it back.
  class part {
   public:
    explicit part(byte_bound& of) : of_{&of} {}
    part(part&& other) noexcept : of_{other.of_}, bytes_{std::exchange(other.bytes_, 0)} {}
    part& operator=(part&&) = delete;
    ~part() { of_->held_ -= bytes_; }

    /// Makes this part as large as said; false, and as it was, when that is more than there is room
    /// for. Who holds all there is may hold anything: else the largest could never be held.
    bool resize(std::uint64_t bytes) {
      const auto others = of_->held_ - bytes_;
      if (bytes > bytes_ && others > 0 && others + bytes > of_->max_bytes_) return false;
      force(bytes);
      return true;
    }
    /// The same past the bound.
    void force(std::uint64_t bytes) {
      of_->held_ += bytes - bytes_;
      bytes_ = bytes;
    }
    std::uint64_t bytes() const { return bytes_; }

   private:
    byte_bound* of_;
    std::uint64_t bytes_ = 0;
  };

  std::uint64_t held() const { return held_; }
  std::uint64_t room() const { return max_bytes_ - std::min(max_bytes_, held_); }

 private:
  std::uint64_t max_bytes_;
  std::uint64_t held_ = 0;
};

} // namespace penstock
