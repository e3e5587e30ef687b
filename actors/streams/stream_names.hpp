// The names of streams that nobody configured: which this node serves, and who brought them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace penstock {

/// Places for such names on a node. What is configured needs none.
inline constexpr std::uint32_t max_stream_names = 4096;
/// A name is forgotten when nothing of it is owed and no event of it came for so long.
inline constexpr std::int64_t stream_name_idle_s = 600;

/// A table of fixed size that all lanes share: no lock, no allocation after it is made, and time is
/// what forget_unused() says it is. A place goes by the hash of its name, under a seed that nobody
/// outside knows. Events of two names with one hash would share a place: nothing worse. A name has
/// one of 32 slots (double hashing), of at least twice as many as there are places: what a stranger
/// brings costs 32 loads at most, however full the table is.
///
/// A request whose name is new reserves a place before its client is charged, and keeps or releases
/// it when it is known what became of its events: so what is refused uses up nothing, and what was
/// charged always has a place.
///
/// Shares: a holder may have at most as many places as are free. So one alone gets half, each of
/// `n` that want all of them an (n + 1)th, and there is always some room for the next. Two holders
/// whose keyed hashes agree in 16 bits have one share together.
class stream_names {
 public:
  static constexpr std::uint32_t no_place = ~0u;

  enum class outcome : std::uint8_t {
    known,    ///< an event of it was taken before; `place` is where it is
    reserved, ///< it is new: call keep() or release() with `place`, once
    full,     ///< there is no place
    share,    ///< there is none for this holder, who has as many as are free
  };
  struct answer {
    outcome what = outcome::full;
    std::uint32_t place = no_place;
  };

  explicit stream_names(std::uint32_t places = max_stream_names);

  /// Never 0.
  std::uint64_t hash_of(std::string_view name) const;

  // -- any thread ---------------------------------------------------------------------------------

  /// `holder`: whose share a new name takes from; 0 for nobody's.
  answer find_or_reserve(std::uint64_t name, std::uint64_t holder);
  /// An event is stored: the name stays, whoever else reserved it.
  void keep(std::uint32_t place);
  /// None is.
  void release(std::uint32_t place);
  /// Whether the name still has this place.
  bool holds(std::uint32_t place, std::uint64_t name) const {
    return places_[place].name.load(std::memory_order_relaxed) == name;
  }
  /// An event of a name that is known was taken.
  void use(std::uint32_t place) {
    auto& used = places_[place].used_s;
    const auto now = now_s_.load(std::memory_order_relaxed);
    if (used.load(std::memory_order_relaxed) != now) used.store(now, std::memory_order_relaxed);
  }
  /// Takes a place for nobody, for a name that is there already; false when there is none.
  bool adopt(std::uint64_t name);

  std::uint32_t places() const { return size_; }
  /// Places that are taken or reserved.
  std::uint32_t used() const { return used_.load(std::memory_order_relaxed); }
  std::uint64_t forgotten() const { return forgotten_.load(std::memory_order_relaxed); }
  /// Times that a new name got no place: as there was none, or none for its holder.
  std::uint64_t refused_full() const { return refused_full_.load(std::memory_order_relaxed); }
  std::uint64_t refused_share() const { return refused_share_.load(std::memory_order_relaxed); }

  // -- one thread ---------------------------------------------------------------------------------

  /// Sets the time, and forgets the names that were not used for `idle_s` and of which nothing is
  /// owed. Gives how many. The first call sets the time only: all that is there was used then.
  std::size_t forget_unused(std::int64_t now_s, std::int64_t idle_s,
                            const std::function<bool(std::uint64_t name)>& is_in_backlog);

 private:
  struct place_state {
    std::atomic<std::uint64_t> name{0}; ///< 0: none, or not yet
    std::atomic<std::uint64_t> holder{0};
    std::atomic<std::int64_t> used_s{0};
    /// 0: free. Else how many requests have reserved it, and these two.
    std::atomic<std::uint32_t> state{0};
  };
  static constexpr std::uint32_t kept = 1u << 31;    ///< an event of it was stored
  static constexpr std::uint32_t leaving = 1u << 30; ///< being made free

  static constexpr std::uint32_t max_probes = 32;
  static constexpr std::size_t holder_counts = 1u << 16;

  template <class See>
  void probe(std::uint64_t name, See see) const;
  bool join(place_state& at, std::uint64_t name, outcome& what);
  outcome take_share(std::uint64_t holder);
  void give_share_back(std::uint64_t holder);
  void clear(place_state& at);
  std::atomic<std::uint16_t>& held_by(std::uint64_t holder) const;

  std::uint32_t size_;
  std::uint32_t slots_; ///< a power of two
  std::uint64_t seed_;
  std::unique_ptr<place_state[]> places_;
  std::unique_ptr<std::atomic<std::uint16_t>[]> held_; ///< places, by a part of the holder's hash
  alignas(64) std::atomic<std::uint32_t> used_{0};
  std::atomic<std::int64_t> now_s_{0};
  bool has_time_ = false;
  std::atomic<std::uint64_t> forgotten_{0};
  std::atomic<std::uint64_t> refused_full_{0};
  std::atomic<std::uint64_t> refused_share_{0};
};

} // namespace penstock
