#include "actors/limits/client_table.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <optional>

namespace penstock {

static bool has_same_numbers(const limit& a, const limit& b) {
  return a.amount == b.amount && a.window_ns == b.window_ns && a.burst == b.burst &&
         a.unit == b.unit;
}

client_table::client_table(std::vector<limit> rules)
    : rules_(std::move(rules)), survives_(std::ranges::any_of(rules_, survives_restart)) {}

limit_state* client_table::at(std::uint32_t slot) {
  PENSTOCK_ASSERT(slot < slots_used_);
  return chunk_of(slot).states.get() + (slot % clients_per_chunk) * rules_.size();
}

client_table::entry client_table::find(std::uint64_t client) {
  const slot_index& index = index_of(client);
  const auto known = index.find(client);
  if (known == index.end()) return {};
  return {at(known->second), known->second, false};
}

client_table::entry client_table::find_or_add(std::uint64_t client) {
  const auto [place, added] = index_of(client).try_emplace(client, no_slot);
  if (added) {
    place->second = take_slot(client);
    ++size_;
  }
  return {at(place->second), place->second, added};
}

std::uint32_t client_table::take_slot(std::uint64_t client) {
  std::uint32_t slot = first_free_;
  if (slot != no_slot) {
    PENSTOCK_ASSERT(!chunk_of(slot).live.test(slot % clients_per_chunk));
    first_free_ = static_cast<std::uint32_t>(chunk_of(slot).owner[slot % clients_per_chunk]);
    std::fill_n(at(slot), rules_.size(), limit_state{});
  } else {
    PENSTOCK_ASSERT(slots_used_ < no_slot);
    slot = slots_used_++;
    if (slot % clients_per_chunk == 0) {
      chunks_.push_back(std::make_unique<chunk>());
      chunks_.back()->states = std::make_unique<limit_state[]>(clients_per_chunk * rules_.size());
    }
  }
  chunk& home = chunk_of(slot);
  home.owner[slot % clients_per_chunk] = client;
  home.live.set(slot % clients_per_chunk);
  return slot;
}

void client_table::free_slot(std::uint32_t slot) {
  chunk& home = chunk_of(slot);
  const std::size_t i = slot % clients_per_chunk;
  PENSTOCK_ASSERT(home.live.test(i));
  home.owner[i] = first_free_;
  home.live.reset(i);
  for (std::size_t by = 0; by < reader_count; ++by) {
    if (home.changed[by].test(i)) {
      PENSTOCK_ASSERT(changed_[by] != 0);
      --changed_[by];
    }
    home.changed[by].reset(i);
  }
  first_free_ = slot;
}

void client_table::mark(reader by, std::uint32_t slot) {
  auto& marks = chunk_of(slot).changed[index_of(by)];
  const std::size_t i = slot % clients_per_chunk;
  changed_[index_of(by)] += !marks.test(i);
  marks.set(i);
}

void client_table::mark_changed(const entry& changed) {
  if (survives_) mark(reader::disk, changed.slot);
  if (backed_up_) mark(reader::backup, changed.slot);
}

void client_table::inform_backup(bool wanted) {
  backed_up_ = wanted;
  if (wanted) return;
  for (const auto& each : chunks_)
    each->changed[index_of(reader::backup)].reset();
  changed_[index_of(reader::backup)] = 0;
}

void client_table::mark_shard(std::uint32_t shard, reader by) {
  if (by == reader::backup ? !backed_up_ : !survives_) return;
  for (const auto& [client, slot] : index_[shard])
    mark(by, slot);
}

bool client_table::is_idle_slot(std::uint32_t slot, std::int64_t now_ns) {
  const limit_state* states = at(slot);
  for (std::size_t i = 0; i < rules_.size(); ++i)
    if (!is_idle(rules_[i], states[i], now_ns)) return false;
  return true;
}

client_table::sweep_result client_table::sweep(std::int64_t now_ns, std::size_t max_visits) {
  sweep_result result;
  for (; result.visited < max_visits && sweep_at_ < slots_used_; ++result.visited) {
    const std::uint32_t slot = sweep_at_++;
    const chunk& home = chunk_of(slot);
    if (!home.live.test(slot % clients_per_chunk) || !is_idle_slot(slot, now_ns)) continue;
    const std::uint64_t client = home.owner[slot % clients_per_chunk];
    index_of(client).erase(client);
    free_slot(slot);
    PENSTOCK_ASSERT(size_ != 0);
    --size_;
    ++result.forgotten;
  }
  result.at_end = sweep_at_ >= slots_used_;
  if (result.at_end) sweep_at_ = 0;
  return result;
}

void client_table::change_rules(std::vector<limit> rules, std::int64_t now_ns) {
  // For each new limit, which of the old it goes on with.
  std::vector<std::optional<std::size_t>> source(rules.size());
  for (std::size_t i = 0; i < source.size(); ++i)
    for (std::size_t j = 0; j < rules_.size(); ++j)
      if (counts_the_same(rules_[j], rules[i])) source[i] = j;

  survives_ = std::ranges::any_of(rules, survives_restart);
  // What is on the disk was saved under the old numbers.
  bool renumbered = false;
  for (std::size_t i = 0; i < source.size(); ++i)
    renumbered |=
        source[i] && survives_restart(rules[i]) && !has_same_numbers(rules_[*source[i]], rules[i]);
  constexpr std::size_t disk = index_of(reader::disk);
  changed_[disk] = 0;
  for (const std::unique_ptr<chunk>& each : chunks_) {
    auto states = std::make_unique<limit_state[]>(clients_per_chunk * rules.size());
    for (std::size_t client = 0; client < clients_per_chunk; ++client)
      for (std::size_t i = 0; i < source.size(); ++i)
        if (source[i] && each->live.test(client))
          states[client * source.size() + i] =
              carry_over(rules_[*source[i]], rules[i],
                         each->states[client * rules_.size() + *source[i]], now_ns);
    each->states = std::move(states);
    if (renumbered) each->changed[disk] = each->live;
    if (!survives_) each->changed[disk].reset();
    changed_[disk] += each->changed[disk].count();
  }
  rules_ = std::move(rules);
}

std::size_t client_table::memory_bytes() const {
  // unordered_flat_map groups 15 elements under 16 bytes of metadata, and ends with one group of
  // metadata more. (It has no function that tells.) An allocation takes 16 bytes more.
  constexpr std::size_t group_elements = 15;
  constexpr std::size_t group_bytes = 16;
  constexpr std::size_t allocation_bytes = 16;
  std::size_t bytes = sizeof *this + chunks_.capacity() * sizeof chunks_[0];
  bytes +=
      chunks_.size() * (sizeof(chunk) + clients_per_chunk * rules_.size() * sizeof(limit_state) +
                        2 * allocation_bytes);
  for (const slot_index& index : index_) {
    const std::size_t buckets = index.bucket_count();
    if (buckets == 0) continue;
    bytes += buckets * sizeof(slot_index::value_type) +
             ((buckets + 1) / group_elements + 1) * group_bytes;
  }
  return bytes;
}

} // namespace penstock
