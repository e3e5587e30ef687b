// What the queue or a publisher remembers of streams that it has let go: until where each was
// settled, and which saved positions are to be dropped.
#pragma once

#include "actors/streams/settled_streams.hpp"
#include "storage/journal/segment_catalog.hpp"
#include "storage/stores/cursor_store.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace penstock {

/// No more than the catalog knows, and what left it since the last upkeep but one. Not
/// synchronised.
class forgotten_streams {
 public:
  using newest_map = std::map<std::string, newest_events>;

  /// A position is saved of it, and no segment has events of it any more.
  void add_gone(const std::string& stream) { gone_.add(stream); }
  /// It is let go. `newest` is what there was at `durable`: what came since makes it known again.
  void add(const std::string& stream, std::uint64_t durable, const newest_map& newest) {
    if (const auto last = newest.find(stream); last != newest.end())
      settled_.add(stream, durable, last->second);
    else
      gone_.add(stream);
  }

  /// Whether it has no event but those that were settled.
  bool has_all(const std::string& stream, const newest_events& newest) const {
    return settled_.has_all(stream, newest);
  }
  /// The stream is kept again: from where on it is to be read, 0 for its beginning.
  std::uint64_t take(const std::string& stream) { return settled_.take(stream); }

  /// Drops the positions of `sink` in streams that are gone, but for those that `is_kept` says are
  /// kept again. Called once an upkeep; blocks on the disk. What fails is tried at the next.
  template <class IsKept>
  void drop_positions(const newest_map& newest, IsKept is_kept, cursor_store& cursors,
                      const std::string& sink) {
    for (auto& each : settled_.drop_gone(newest))
      gone_.add(std::move(each));
    const auto& due =
        gone_.due([&](const std::string& each) { return is_kept(each) || newest.contains(each); });
    if (!due.empty() && cursors.forget(sink, due)) gone_.dropped();
  }

 private:
  settled_streams settled_;
  gone_streams gone_; // whose positions are to be dropped
};

} // namespace penstock
