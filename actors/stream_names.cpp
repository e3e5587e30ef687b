#include "actors/stream_names.hpp"

#include <xxhash.h>

#include <algorithm>
#include <random>
#include <utility>

namespace penstock {

namespace {

std::uint64_t random_seed() {
  std::random_device random;
  return static_cast<std::uint64_t>(random()) << 32 | random();
}

} // namespace

stream_names::stream_names(std::uint32_t places)
    : size_(places), seed_(random_seed()), places_(std::make_unique<place_state[]>(places)) {}

std::uint64_t stream_names::hash_of(std::string_view name) const {
  return std::max<std::uint64_t>(1, XXH3_64bits_withSeed(name.data(), name.size(), seed_));
}

// Two lanes that see the same new name at one moment may give it a place each. Both are found free
// of use sooner or later, so this is not worth more.
stream_names::answer stream_names::find_or_reserve(std::uint64_t name, std::uint64_t holder) {
  constexpr int max_tries = 16; // each is lost to another lane that got a place
  for (int i = 0; i < max_tries; ++i) {
    const auto top = top_.load();
    std::uint32_t used = 0, held = 0, free_at = no_place;
    for (std::uint32_t at = 0; at < top; ++at) {
      auto& each = places_[at];
      if (each.state.load(std::memory_order_acquire) == 0) {
        free_at = std::min(free_at, at);
        continue;
      }
      ++used;
      held += each.holder.load(std::memory_order_relaxed) == holder;
      answer found{outcome::known, at};
      if (each.name.load(std::memory_order_acquire) == name && join(each, name, found.what))
        return found;
    }
    if (free_at == no_place && top < size_) free_at = top;
    if (free_at == no_place) {
      refused_full_.fetch_add(1, std::memory_order_relaxed);
      return {outcome::full, no_place};
    }
    if (holder != 0 && held >= size_ - used) {
      refused_share_.fetch_add(1, std::memory_order_relaxed);
      return {outcome::share, no_place};
    }
    auto& mine = places_[free_at];
    std::uint32_t expected = 0;
    if (!mine.state.compare_exchange_strong(expected, 1)) continue;
    mine.holder.store(holder, std::memory_order_relaxed);
    mine.used_s.store(now_s_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    mine.name.store(name, std::memory_order_release);
    auto seen = top_.load();
    while (seen <= free_at && !top_.compare_exchange_weak(seen, free_at + 1)) {
    }
    return {outcome::reserved, free_at};
  }
  refused_full_.fetch_add(1, std::memory_order_relaxed);
  return {outcome::full, no_place};
}

// False when the place is another name's by now, or nobody's.
bool stream_names::join(place_state& at, std::uint64_t name, outcome& what) {
  auto state = at.state.load();
  do {
    if (state == 0 || (state & leaving) != 0) return false;
    if ((state & kept) != 0) {
      what = outcome::known;
      return true;
    }
  } while (!at.state.compare_exchange_weak(state, state + 1));
  what = outcome::reserved;
  if (at.name.load() == name) return true;
  release(static_cast<std::uint32_t>(&at - places_.get()));
  return false;
}

void stream_names::keep(std::uint32_t place) {
  auto& at = places_[place];
  at.used_s.store(now_s_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  auto state = at.state.load();
  while (!at.state.compare_exchange_weak(state, (state - 1) | kept)) {
  }
}

void stream_names::release(std::uint32_t place) {
  auto& at = places_[place];
  auto state = at.state.load();
  while (!at.state.compare_exchange_weak(state, state == 1 ? leaving : state - 1)) {
  }
  if (state == 1) clear(at);
}

void stream_names::clear(place_state& at) {
  at.name.store(0);
  at.holder.store(0);
  at.state.store(0);
}

bool stream_names::adopt(std::uint64_t name) {
  const auto got = find_or_reserve(name, 0);
  if (got.what == outcome::reserved) keep(got.place);
  return got.place != no_place;
}

std::uint32_t stream_names::used() const {
  std::uint32_t count = 0;
  for (std::uint32_t at = 0, top = top_.load(); at < top; ++at)
    count += places_[at].state.load(std::memory_order_relaxed) != 0;
  return count;
}

std::size_t stream_names::forget_unused(std::int64_t now_s, std::int64_t idle_s,
                                        const std::function<bool(std::uint64_t name)>& is_owed) {
  now_s_.store(now_s, std::memory_order_relaxed);
  const bool is_first = !std::exchange(has_time_, true);
  std::size_t count = 0;
  for (std::uint32_t i = 0, top = top_.load(); i < top; ++i) {
    auto& at = places_[i];
    if (is_first) at.used_s.store(now_s, std::memory_order_relaxed);
    if (at.state.load() != kept) continue;
    if (at.used_s.load(std::memory_order_relaxed) + idle_s > now_s || is_owed(at.name.load()))
      continue;
    std::uint32_t expected = kept; // nobody has reserved it meanwhile
    if (!at.state.compare_exchange_strong(expected, leaving)) continue;
    clear(at);
    ++count;
  }
  forgotten_.fetch_add(count, std::memory_order_relaxed);
  return count;
}

} // namespace penstock
