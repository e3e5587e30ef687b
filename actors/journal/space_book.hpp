// What each stream holds of the journal, and which may hold no more.
#pragma once

#include "storage/journal/segment_catalog.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace penstock {

/// The bytes by which max_size is measured.
inline std::uint64_t held_bytes(const event_volume& volume) {
  return volume.bytes + volume.events * event_overhead_bytes;
}

/// What a sink has yet to take of a stream, as it counted.
struct stream_backlog {
  std::string stream;
  event_volume volume;
  std::int64_t oldest_ms = 0; ///< age of the oldest
  appended_count appended;    ///< what was in the journal then
  bool is_stuck = false;      ///< it holds too much, and the sink can let no more of it go
};

/// Of all streams that the sink knows.
struct sink_backlog {
  std::string sink;
  std::vector<stream_backlog> streams;
};

/// How much a stream may hold.
struct stream_rule {
  std::uint64_t max_bytes = 0; ///< 0: no bound of its own
  std::int64_t max_age_ms = 0; ///< likewise, of its oldest event
  bool refuses = true;         ///< else its sinks let the oldest go, as long as they can
  bool is_configured = true;   ///< else it shares a bound with all that are not
};

/// The rule of each stream. Any thread may call a copy of it.
using stream_rules = std::function<stream_rule(const std::string& stream)>;

/// The streams of which nothing is taken now; immutable.
struct refused_streams {
  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_set<std::string, name_hash, std::equal_to<>> names;
  bool unconfigured = false; ///< all that are not configured
};
using refused_streams_ptr = std::shared_ptr<const refused_streams>;

/// Pure. A stream holds what the sink that is furthest behind has yet to take, and what was
/// appended since that sink counted. Not synchronised.
class space_book {
 public:
  space_book(stream_rules rule_of, std::uint64_t unconfigured_max_bytes)
      : rule_of_(std::move(rule_of)), unconfigured_max_bytes_(unconfigured_max_bytes) {}

  /// Events of a stream are durable: `now` is what the catalog counts of it.
  void note_appended(const std::string& stream, const appended_count& now);
  /// What a sink counted, of all its streams.
  void report(const sink_backlog& told,
              const std::function<appended_count(const std::string&)>& appended_now);

  /// From now on these hold. A stream that had no bound has one from its sinks' next counts on.
  void change_rules(stream_rules rule_of);

  /// Null when all are taken; another pointer whenever it has changed.
  const refused_streams_ptr& refused() const { return refused_; }
  std::uint64_t held_by(const std::string& stream) const;
  /// Of all streams that are not configured, together.
  std::uint64_t unconfigured_bytes() const { return unconfigured_bytes_; }
  std::size_t streams() const { return streams_.size(); }

 private:
  struct entry {
    stream_rule rule{};
    appended_count appended{};
    std::map<std::string, stream_backlog> backlogs{}; // by sink
    std::uint64_t held = 0;
    std::int64_t oldest_ms = 0;
    bool is_stuck = false;
  };
  bool is_bound(const stream_rule& rule) const;
  entry* find_or_add(const std::string& stream);
  void count(const std::string& stream, entry& of);
  void settle();

  stream_rules rule_of_;
  std::uint64_t unconfigured_max_bytes_;
  std::unordered_map<std::string, entry> streams_;
  std::uint64_t unconfigured_bytes_ = 0;
  refused_streams over_; // as it is now
  bool has_changed_ = false;
  refused_streams_ptr refused_;
};

} // namespace penstock
