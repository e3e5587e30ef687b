#include "actors/client_table.hpp"

#include <algorithm>
#include <optional>

namespace penstock {

// A state for a limit of the same kind with other numbers. All kinds read their state as the new
// numbers say; only the fraction of a nanosecond that gcra keeps is one of the amount.
static limit_state carry_over(const limit& before, const limit& after, limit_state state) {
  if (after.kind == algorithm::gcra && before.amount != after.amount && state.used != 0)
    return {state.at + 1, 0, 0};
  return state;
}

client_table::client_table(std::size_t states_per_client, std::size_t max_clients)
    : states_per_client_(states_per_client),
      max_clients_(std::min<std::size_t>(max_clients, no_slot)) {}

std::span<limit_state> client_table::at(std::uint32_t slot) {
  limit_state* first = chunk_of(slot).states.get();
  return {first + (slot % clients_per_chunk) * states_per_client_, states_per_client_};
}

std::span<limit_state> client_table::find_or_add(std::uint64_t client) {
  slot_index& index = index_[shard_of(client)];
  if (size_ >= max_clients_) {
    const auto known = index.find(client);
    return known == index.end() ? std::span<limit_state>{} : at(known->second);
  }
  const auto [entry, added] = index.try_emplace(client, no_slot);
  if (added) {
    entry->second = take_slot(client);
    ++size_;
  }
  return at(entry->second);
}

std::uint32_t client_table::take_slot(std::uint64_t client) {
  std::uint32_t slot = first_free_;
  if (slot != no_slot) {
    first_free_ = static_cast<std::uint32_t>(chunk_of(slot).owner[slot % clients_per_chunk]);
    std::ranges::fill(at(slot), limit_state{});
  } else {
    slot = slots_used_++;
    if (slot % clients_per_chunk == 0) {
      chunks_.push_back(std::make_unique<chunk>());
      chunks_.back()->states =
          std::make_unique<limit_state[]>(clients_per_chunk * states_per_client_);
    }
  }
  chunk& home = chunk_of(slot);
  home.owner[slot % clients_per_chunk] = client;
  home.live.set(slot % clients_per_chunk);
  return slot;
}

void client_table::free_slot(std::uint32_t slot) {
  chunk& home = chunk_of(slot);
  home.owner[slot % clients_per_chunk] = first_free_;
  home.live.reset(slot % clients_per_chunk);
  first_free_ = slot;
}

bool client_table::is_idle_slot(std::uint32_t slot, const plan& rules, std::int64_t now_ns) {
  const std::span<limit_state> states = at(slot);
  for (std::size_t i = 0; i < states.size(); ++i)
    if (!is_idle(rules.limits[i], states[i], now_ns)) return false;
  return true;
}

std::size_t client_table::sweep(const plan& rules, std::int64_t now_ns, std::size_t max_visits) {
  std::size_t forgotten = 0;
  const std::size_t visits = std::min<std::size_t>(max_visits, slots_used_);
  for (std::size_t visit = 0; visit < visits; ++visit) {
    if (sweep_at_ >= slots_used_) sweep_at_ = 0;
    const std::uint32_t slot = sweep_at_++;
    const chunk& home = chunk_of(slot);
    if (!home.live.test(slot % clients_per_chunk) || !is_idle_slot(slot, rules, now_ns)) continue;
    const std::uint64_t client = home.owner[slot % clients_per_chunk];
    index_[shard_of(client)].erase(client);
    free_slot(slot);
    --size_;
    ++forgotten;
  }
  return forgotten;
}

void client_table::change_plan(const plan& before, const plan& after) {
  // For each limit of the new plan, which state of the old it goes on with.
  std::vector<std::optional<std::size_t>> source(after.limits.size());
  for (std::size_t i = 0; i < source.size(); ++i)
    for (std::size_t j = 0; j < before.limits.size(); ++j)
      if (after.limits[i].name == before.limits[j].name &&
          after.limits[i].kind == before.limits[j].kind)
        source[i] = j;

  for (const std::unique_ptr<chunk>& each : chunks_) {
    auto states = std::make_unique<limit_state[]>(clients_per_chunk * source.size());
    for (std::size_t client = 0; client < clients_per_chunk; ++client)
      for (std::size_t i = 0; i < source.size(); ++i)
        if (source[i])
          states[client * source.size() + i] =
              carry_over(before.limits[*source[i]], after.limits[i],
                         each->states[client * states_per_client_ + *source[i]]);
    each->states = std::move(states);
  }
  states_per_client_ = source.size();
}

std::size_t client_table::memory_bytes() const {
  // unordered_flat_map groups 15 elements under 16 bytes of metadata, and ends with one group of
  // metadata more. (It has no function that tells.)
  constexpr std::size_t group_elements = 15;
  constexpr std::size_t group_bytes = 16;
  std::size_t bytes = sizeof *this + chunks_.capacity() * sizeof chunks_[0];
  bytes += chunks_.size() *
           (sizeof(chunk) + clients_per_chunk * states_per_client_ * sizeof(limit_state));
  for (const slot_index& index : index_) {
    const std::size_t buckets = index.bucket_count();
    if (buckets == 0) continue;
    bytes += buckets * sizeof(slot_index::value_type) +
             ((buckets + 1) / group_elements + 1) * group_bytes;
  }
  return bytes;
}

} // namespace penstock
