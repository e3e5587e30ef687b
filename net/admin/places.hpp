// Who may be connected to the admin plane, and who goes when more come.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace penstock {

/// Whom a connection is for. One without a good request so far is a stranger's: those have few
/// places, and the longest idle one of them goes when another comes.
enum class admin_kind : std::uint8_t { stranger, operators, consumers };

struct admin_place_bounds {
  std::size_t strangers = 64;
  std::size_t operators = 64;
  std::size_t consumers = 1024; ///< as many as may wait in the queue
};

/// Counts connections by kind. Each kind has places of its own, so that no number of consumers
/// closes the plane to operators. A connection without a request under way gives its place to one
/// that has one; a request under way of somebody with credentials is never cut off. Pure: time is
/// the order of the calls. Not synchronised.
class admin_places {
 public:
  using id = std::uint64_t;

  explicit admin_places(admin_place_bounds bounds) : bounds_{bounds} {}

  /// Who has to go, and is not counted any more.
  struct arrival {
    id who = 0;
    std::optional<id> goes{};
  };
  /// A connection came: a stranger's, without a request.
  arrival arrive();

  struct seat {
    bool given = false;
    std::optional<id> goes{};
  };
  /// The connection has a request of this kind. When `given` is false all places of the kind have
  /// requests under way, or the connection is not counted any more; then it keeps the place it has.
  seat take(id who, admin_kind kind);

  /// The connection has a request that needs no other place than it has.
  void busy(id who) { enter(who, phase::busy); }
  /// The answer is being written, and waits for the client to read it.
  void writing(id who) { enter(who, phase::writing); }
  /// The request is over; the place stays until somebody else needs it.
  void idle(id who) { enter(who, phase::idle); }
  void leave(id who);

  bool has(id who) const { return all_.contains(who); }
  bool is_stranger(id who) const;
  std::size_t count(admin_kind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
  /// The connection whose answer waits longest for its client to read it.
  std::optional<id> longest_unread() const;

 private:
  enum class phase : std::uint8_t { idle, busy, writing };
  struct one {
    admin_kind kind = admin_kind::stranger;
    phase at = phase::idle;
    std::uint64_t since = 0;
  };

  void enter(id who, phase at);
  std::optional<id> longest(std::optional<admin_kind> kind, std::optional<phase> at) const;
  std::size_t bound(admin_kind kind) const;

  admin_place_bounds bounds_;
  std::map<id, one> all_;
  std::array<std::size_t, 3> counts_{};
  id last_ = 0;
  std::uint64_t now_ = 0;
};

} // namespace penstock
