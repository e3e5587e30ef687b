// Every live client's counters, in at most 100 bytes a client.
#pragma once

#include "actors/limits.hpp"
#include "actors/placement.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <bit>
#include <bitset>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace penstock {

/// Maps a client's keyed hash to its limit states. States lie in fixed-size chunks beside the hash
/// tables, so that growing never copies them and a slot freed is used again. There is one hash
/// table a shard: when one grows, only a 256th of the clients waits. Clients are forgotten when
/// forgetting changes no verdict (is_idle), a few at each call of sweep(); the memory of those
/// forgotten is kept for the next. Not synchronised.
class client_table {
 public:
  /// `states_per_client`: the number of limits of the plan. `max_clients`: the named bound; more
  /// than 2^32 - 1 counts as that.
  client_table(std::size_t states_per_client, std::size_t max_clients);

  /// The client's states, made anew (all zero) if unknown; an empty span when the table is full
  /// and the client is not in it. The span is valid until the next call. Without limits there is
  /// nothing to remember: the span is always empty, and nothing should be asked.
  std::span<limit_state> find_or_add(std::uint64_t client);

  /// Looks at up to `max_visits` clients, going round the table, and forgets those that are idle
  /// under `rules`. Gives how many were forgotten.
  std::size_t sweep(const plan& rules, std::int64_t now_ns, std::size_t max_visits);

  /// Adapts to a changed plan: limits of the same name and kind keep their state. Takes time in
  /// proportion to the clients, about 10 ms a million.
  void change_plan(const plan& before, const plan& after);

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const;

 private:
  static constexpr std::size_t clients_per_chunk = 4096;
  static constexpr std::uint32_t no_slot = UINT32_MAX;

  // The client is a keyed hash already, so its bits are as good as random. Turned by half, the
  // shard's bits, equal for all of a table, are neither those that choose the bucket (the top) nor
  // those compared first (the lowest eight).
  struct turned_hash {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t client) const noexcept { return std::rotl(client, 32); }
  };
  using slot_index = boost::unordered_flat_map<std::uint64_t, std::uint32_t, turned_hash>;

  struct chunk {
    std::bitset<clients_per_chunk> live;
    // The client of each live slot; of a free one, the next free slot.
    std::array<std::uint64_t, clients_per_chunk> owner;
    std::unique_ptr<limit_state[]> states;
  };

  std::uint32_t take_slot(std::uint64_t client);
  void free_slot(std::uint32_t slot);
  bool is_idle_slot(std::uint32_t slot, const plan& rules, std::int64_t now_ns);
  std::span<limit_state> at(std::uint32_t slot);
  chunk& chunk_of(std::uint32_t slot) { return *chunks_[slot / clients_per_chunk]; }

  std::size_t states_per_client_;
  std::size_t max_clients_;
  std::size_t size_ = 0;
  std::array<slot_index, shard_count> index_; // client → slot, by shard
  std::vector<std::unique_ptr<chunk>> chunks_;
  std::uint32_t first_free_ = no_slot;
  std::uint32_t slots_used_ = 0; // slots from here on were never taken
  std::uint32_t sweep_at_ = 0;
};

} // namespace penstock
