// Streams that a reader of the journal does not keep, as it has settled all there is of them.
#pragma once

#include "storage/journal/segment_catalog.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

/// A stream that nobody configured is let go by the queue and by publishers when nothing of it is
/// owed and nothing of it happened for so long.
inline constexpr std::chrono::milliseconds stream_idle_time{600'000};

/// Pure. Remembers how far each was settled while some segment still has events of it, so that
/// these are not handed out again should the stream come back: no more than the catalog knows.
class settled_streams {
 public:
  /// All of the stream up to `seq` is settled, of which `newest` are the last.
  void add(const std::string& stream, std::uint64_t seq, const newest_events& newest) {
    known_.insert_or_assign(stream, mark{seq, newest});
  }
  /// Whether it has no event but those.
  bool has_all(const std::string& stream, const newest_events& newest) const {
    const auto found = known_.find(stream);
    return found != known_.end() && found->second.newest == newest;
  }
  /// The stream is kept again: from where on it is to be read, 0 for its beginning.
  std::uint64_t take(const std::string& stream) {
    const auto found = known_.find(stream);
    if (found == known_.end()) return 0;
    const auto seq = found->second.seq;
    known_.erase(found);
    return seq;
  }
  /// Drops those that no segment has events of, and gives them.
  std::vector<std::string> drop_gone(const std::map<std::string, newest_events>& newest) {
    std::vector<std::string> gone;
    for (auto at = known_.begin(); at != known_.end();)
      if (newest.contains(at->first)) {
        ++at;
      } else {
        gone.push_back(at->first);
        at = known_.erase(at);
      }
    return gone;
  }
  std::size_t size() const { return known_.size(); }

 private:
  struct mark {
    std::uint64_t seq = 0;
    newest_events newest{};
  };
  std::map<std::string, mark> known_;
};

/// Pure. Streams of which no segment has events any more. A restart would not miss their saved
/// positions, but these are dropped an upkeep later only: a segment leaves the catalog before it
/// leaves the disk, and after a crash in between its events would be handed out again.
class gone_streams {
 public:
  void add(std::string stream) { fresh_.push_back(std::move(stream)); }
  /// Called once an upkeep. Gives the streams whose positions may be dropped now: those that were
  /// gone at an earlier call, but for those that `is_back` says have come back.
  template <class IsBack>
  const std::vector<std::string>& due(IsBack is_back) {
    std::erase_if(due_, is_back);
    std::erase_if(fresh_, is_back);
    if (due_.empty()) {
      due_.swap(fresh_);
      return fresh_; // which is empty now
    }
    return due_;
  }
  /// The positions of due() are dropped.
  void dropped() { due_.clear(); }

 private:
  std::vector<std::string> fresh_; // since the last call of due()
  std::vector<std::string> due_;   // before
};

} // namespace penstock
