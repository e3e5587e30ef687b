// What a member has asked of the directory and not been answered, and when it asks next.
#pragma once

#include "actors/cluster/membership.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace penstock {

/// A directory that could not be opened is tried again this often.
inline constexpr std::int64_t open_again_ns = 1'000'000'000;
/// How often it looks whether a dead node's record is to be taken out of the directory.
inline constexpr std::int64_t forget_interval_ns = 10'000'000'000;

/// Pure. One request of each kind is under way at a time: may_…() says whether it may be sent,
/// begin_…() that it was, end_…() that it was answered.
class directory_schedule {
 public:
  bool is_open() const { return is_open_; }
  bool may_open(std::int64_t now_ns) const {
    return !is_open_ && !opening_ && now_ns >= open_next_ns_;
  }
  void begin_open() { opening_ = true; }
  void end_open(bool ok, std::int64_t now_ns) {
    opening_ = false;
    is_open_ = ok;
    open_next_ns_ = now_ns + open_again_ns;
  }

  bool may_renew(std::int64_t now_ns) const { return !renewing_ && now_ns >= renew_next_ns_; }
  void begin_renew(std::int64_t next_ns) {
    renewing_ = true;
    renew_next_ns_ = next_ns;
  }
  void end_renew() { renewing_ = false; }
  /// The others wait for what the record will say.
  void renew_soon() { renew_next_ns_ = 0; }

  bool may_propose() const { return !proposing_; }
  void begin_propose() { proposing_ = true; }
  void end_propose() { proposing_ = false; }

  bool may_forget(std::int64_t now_ns) const { return !forgetting_ && now_ns >= forget_next_ns_; }
  /// `what`: nothing to forget; looked for again an interval later.
  void begin_forget(std::optional<membership::stale_record> what, std::int64_t now_ns) {
    forgetting_ = std::move(what);
    forget_next_ns_ = now_ns + forget_interval_ns;
  }
  /// Gives what was to be forgotten.
  std::optional<membership::stale_record> end_forget() {
    return std::exchange(forgetting_, std::nullopt);
  }

 private:
  bool is_open_ = false;
  bool opening_ = false;
  bool renewing_ = false;
  bool proposing_ = false;
  std::optional<membership::stale_record> forgetting_;
  std::int64_t open_next_ns_ = 0;
  std::int64_t renew_next_ns_ = 0;
  std::int64_t forget_next_ns_ = 0;
};

} // namespace penstock
