// When an actor is to be woken next.
#pragma once

#include <cstdint>
#include <optional>

namespace penstock {

/// Pure. Of an actor's reminders (wake_up) only the earliest counts: whoever plans an earlier one
/// makes those that are under way void, and the handler plans again what is still to come.
///
///            plan(at)                  plan(earlier)
///   none ─────────────► one under way ───────────────► that one counts, the later is void
///    ▲                        │
///    └────────────────────────┘ take(at): it has come
///
/// Not synchronised.
class wake_plan {
 public:
  /// True when a reminder for this time is to be sent; false when one comes as early anyway.
  bool plan(std::int64_t at_ms) {
    if (at_ms_ && *at_ms_ <= at_ms) return false;
    at_ms_ = at_ms;
    return true;
  }
  /// A reminder has come. False when it is void.
  bool take(std::int64_t at_ms) {
    if (at_ms != at_ms_) return false;
    at_ms_.reset();
    return true;
  }

 private:
  std::optional<std::int64_t> at_ms_; // of the one that counts
};

} // namespace penstock
