// Every live client's counters, in at most 100 bytes a client.
#pragma once

#include "actors/limits.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace penstock {

/// Maps a client's keyed hash to its limit states. States lie in fixed-size chunks beside the hash
/// table, so that growing never copies them and a slot freed is used again. Clients are forgotten
/// when forgetting changes no verdict (is_idle), a few at each call of sweep(). Not synchronised.
class client_table {
 public:
  /// `states_per_client`: the number of limits of the plan. `max_clients`: the named bound.
  client_table(std::size_t states_per_client, std::size_t max_clients);

  /// The client's states, made anew (all zero) if unknown; an empty span when the table is full
  /// and the client is not in it. The span is valid until the next call.
  std::span<limit_state> find_or_add(std::uint64_t client);

  /// Looks at up to `max_visits` clients, going round the table, and forgets those that are idle
  /// under `rules`. Gives how many were forgotten.
  std::size_t sweep(const plan& rules, std::int64_t now_ns, std::size_t max_visits);

  /// Adapts to a changed plan: limits of the same name and kind keep their state.
  void change_plan(const plan& before, const plan& after);

  std::size_t size() const { return index_.size(); }
  std::size_t memory_bytes() const;

 private:
  static constexpr std::size_t clients_per_chunk = 4096;

  std::span<limit_state> at(std::uint32_t slot);

  std::size_t states_per_client_;
  std::size_t max_clients_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t> index_;  // client → slot
  std::vector<std::unique_ptr<limit_state[]>> chunks_;
  std::vector<std::uint64_t> owner_;       // slot → client, for the sweep
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t sweep_at_ = 0;
};

} // namespace penstock
