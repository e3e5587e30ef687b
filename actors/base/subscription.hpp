// What a node tells those who subscribed: never more than they can take, and without waiting for
// them.
#pragma once

#include "actors/base/compat.hpp"
#include "actors/base/metrics.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// As much may be under way to one subscriber, in its mailbox or in its hands, or one message that
/// is larger; what comes while it holds that is lost to it.
inline constexpr std::uint64_t max_subscriber_bytes = 4u << 20;
/// What a message is counted with beside its content.
inline constexpr std::uint64_t bytes_per_told_message = 256;

/// How much a subscriber holds. Any thread.
class subscription_window {
 public:
  /// True when there is room, which is taken then; for who holds nothing there always is.
  bool take(std::uint64_t bytes) {
    auto before = held_bytes_.load();
    do {
      if (before > 0 && before + bytes > max_subscriber_bytes) return false;
    } while (!held_bytes_.compare_exchange_weak(before, before + bytes));
    return true;
  }
  void give_back(std::uint64_t bytes) { held_bytes_.fetch_sub(bytes); }
  void note_lost(std::uint64_t n) { lost_.fetch_add(n); }
  std::uint64_t held_bytes() const { return held_bytes_.load(); }
  /// All that was lost so far.
  std::uint64_t lost() const { return lost_.load(); }

 private:
  std::atomic<std::uint64_t> held_bytes_{0};
  std::atomic<std::uint64_t> lost_{0};
};

/// Content on its way to a subscriber, or in its hands: gives the room back when it is gone, read
/// or not.
template <class Content>
class told_content {
 public:
  told_content(Content content, std::uint64_t lost_before, std::uint64_t bytes,
               std::shared_ptr<subscription_window> window)
      : what(std::move(content)), lost(lost_before), bytes_(bytes), window_(std::move(window)) {}
  ~told_content() { window_->give_back(bytes_); }
  told_content(const told_content&) = delete;
  told_content& operator=(const told_content&) = delete;

  const Content what;
  /// What was lost since the message before, in the units of the feed, as the subscriber was
  /// behind.
  const std::uint64_t lost;

 private:
  std::uint64_t bytes_;
  std::shared_ptr<subscription_window> window_;
};

using stream_filter = std::function<bool(const std::string& stream)>;

/// Who is told of something, by whoever it happens to. One thread, that of its owner.
template <class Content>
class feed {
 public:
  using listener = caf::typed_actor<caf::reacts_to<std::shared_ptr<const told_content<Content>>>>;

  /// `wants`: of which streams; null where there are none.
  void add(listener who, std::shared_ptr<subscription_window> window, stream_filter wants = {}) {
    subscribers_.push_back({std::move(who), std::move(window), std::move(wants), 0});
  }
  bool empty() const { return subscribers_.empty(); }

  /// Tells each what `gather(wants)` makes for it: content, its bytes, and how many things it tells
  /// of (0: it is not told). Never waits.
  template <class Gather>
  void tell(Gather gather) {
    for (auto& each : subscribers_) {
      auto told = gather(each.wants);
      if (told.count == 0) continue;
      const auto bytes = told.bytes + bytes_per_told_message;
      if (!each.window->take(bytes)) {
        each.window->note_lost(told.count);
        each.lost += told.count;
        continue;
      }
      caf::anon_send(each.who,
                     std::make_shared<const told_content<Content>>(
                         std::move(told.content), std::exchange(each.lost, 0), bytes, each.window));
    }
  }

  struct update {
    Content content;
    std::uint64_t bytes = 0;
    std::uint64_t count = 0;
  };

 private:
  struct subscriber {
    listener who;
    std::shared_ptr<subscription_window> window;
    stream_filter wants;
    std::uint64_t lost = 0; ///< since it was told last
  };
  std::vector<subscriber> subscribers_;
};

} // namespace penstock
