// The counters of live clients, in at most 16 bytes a limit and 68 a client beside.
#pragma once

#include "actors/base/shards.hpp"
#include "actors/limits/limits.hpp"
#include "storage/base/assert.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <bit>
#include <bitset>
#include <cstdint>
#include <memory>
#include <vector>

namespace penstock {

/// Maps a client's keyed hash to the states of some limits, those of one plan and scope. States lie
/// in chunks of a fixed size beside the hash tables, so that growing never copies them and a slot
/// freed is used again. There is one hash table a shard: when one grows, only a 256th of the
/// clients waits. Clients are forgotten when forgetting changes no verdict (is_idle), a few at each
/// call of sweep(); the memory of those forgotten is kept for the next. Not synchronised.
class client_table {
 public:
  explicit client_table(std::vector<limit> rules);

  /// A client's place in the table: a state for each of rules(). Null states: it is not there.
  /// Valid until the client is forgotten or the rules change.
  struct entry {
    limit_state* states = nullptr;
    std::uint32_t slot = 0;
    bool added = false; ///< just now; all its states are zero
  };

  entry find(std::uint64_t client);
  entry find_or_add(std::uint64_t client);

  /// Who wants to know of changes: the disk, of clients with a limit that survives a restart, and
  /// the node that would take over, of all.
  enum class reader : std::uint8_t { disk, backup };
  static constexpr std::size_t reader_count = 2;

  /// Remembers that a state changed, for take_changed().
  void mark_changed(const entry& changed);
  /// Whether there is a backup to keep informed; there is none at first.
  void inform_backup(bool wanted);
  /// Counts all clients of a shard as changed.
  void mark_shard(std::uint32_t shard, reader by);
  bool has_changed(reader by) const { return changed_[index_of(by)] != 0; }
  /// Visits clients marked since they were visited last, at most `max_clients`, going round the
  /// table: visit(client, states).
  template <class Visit>
  void take_changed(reader by, std::size_t max_clients, Visit&& visit);
  /// Visits all clients of a shard: visit(client, states).
  template <class Visit>
  void for_each_of(std::uint32_t shard, Visit&& visit);

  struct sweep_result {
    std::size_t visited = 0;
    std::size_t forgotten = 0;
    bool at_end = false; ///< the next sweep begins at the table's start
  };
  /// Looks at up to `max_visits` clients from where the last one ended, and forgets the idle.
  sweep_result sweep(std::int64_t now_ns, std::size_t max_visits);

  /// Goes on under other limits: those that count the same keep what was used (carry_over). Takes
  /// time in proportion to the clients, about 20 ms a million. When the numbers of a limit that
  /// survives a restart change, all clients count as changed.
  void change_rules(std::vector<limit> rules, std::int64_t now_ns);
  const std::vector<limit>& rules() const { return rules_; }

  std::size_t size() const { return size_; }
  std::size_t memory_bytes() const;

 private:
  static constexpr std::size_t clients_per_chunk = 256;
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
    // What a request needs comes first, in one line of the processor's cache.
    std::unique_ptr<limit_state[]> states;
    std::array<std::bitset<clients_per_chunk>, reader_count> changed;
    std::bitset<clients_per_chunk> live;
    // The client of each live slot; of a free one, the next free slot.
    std::array<std::uint64_t, clients_per_chunk> owner;
  };

  std::uint32_t take_slot(std::uint64_t client);
  void free_slot(std::uint32_t slot);
  bool is_idle_slot(std::uint32_t slot, std::int64_t now_ns);
  limit_state* at(std::uint32_t slot);
  chunk& chunk_of(std::uint32_t slot) { return *chunks_[slot / clients_per_chunk]; }
  slot_index& index_of(std::uint64_t client) { return index_[shard_of(client)]; }
  static constexpr std::size_t index_of(reader by) { return static_cast<std::size_t>(by); }
  void mark(reader by, std::uint32_t slot);

  std::vector<limit> rules_;
  bool survives_ = false; // any of the limits
  bool backed_up_ = false;
  std::size_t size_ = 0;
  std::array<slot_index, shard_count> index_; // client → slot, by shard
  std::vector<std::unique_ptr<chunk>> chunks_;
  std::uint32_t first_free_ = no_slot;
  std::uint32_t slots_used_ = 0; // slots from here on were never taken
  std::uint32_t sweep_at_ = 0;
  std::array<std::size_t, reader_count> changed_{}; // clients marked
  std::array<std::size_t, reader_count> take_at_{}; // the chunk that take_changed() looks at next
};

template <class Visit>
void client_table::take_changed(reader by, std::size_t max_clients, Visit&& visit) {
  auto& left = changed_[index_of(by)];
  auto& take_at = take_at_[index_of(by)];
  for (std::size_t looked_at = 0; left != 0 && looked_at <= chunks_.size(); ++looked_at) {
    if (take_at >= chunks_.size()) take_at = 0;
    chunk& here = *chunks_[take_at];
    auto& marks = here.changed[index_of(by)];
    for (std::size_t i = 0; marks.any() && i < clients_per_chunk; ++i) {
      if (!marks.test(i)) continue;
      if (max_clients == 0) return;
      PENSTOCK_ASSERT(left != 0);
      --max_clients;
      marks.reset(i);
      --left;
      visit(here.owner[i], here.states.get() + i * rules_.size());
    }
    ++take_at;
  }
}

template <class Visit>
void client_table::for_each_of(std::uint32_t shard, Visit&& visit) {
  for (const auto& [client, slot] : index_[shard])
    visit(client, at(slot));
}

} // namespace penstock
