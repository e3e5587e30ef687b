// Which events are still owed: what the journal asks of those who know the sinks.
#pragma once

#include <cstdint>
#include <string>

namespace penstock {

/// What the journal's events are still needed for. Told by whoever knows the sinks,
/// of one of them or of all.
class backlog_events {
 public:
  enum class portion : std::uint8_t { none, some, all };
  virtual ~backlog_events() = default;
  /// How much of a stream's events with numbers from `first` to `last` is owed.
  virtual portion between(const std::string& stream, std::uint64_t first,
                          std::uint64_t last) const = 0;
  /// Whether one event is.
  virtual bool is_in_backlog(const std::string& stream, std::uint64_t seq,
                             std::uint64_t client) const = 0;
};

/// All of a stream is.
class whole_backlog final : public backlog_events {
 public:
  portion between(const std::string&, std::uint64_t, std::uint64_t) const override {
    return portion::all;
  }
  bool is_in_backlog(const std::string&, std::uint64_t, std::uint64_t) const override {
    return true;
  }
};

} // namespace penstock
