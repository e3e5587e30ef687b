#include "actors/streams/stream_names.hpp"

#include "storage/base/assert.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
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
    : size_(places), slots_(std::max(2 * max_probes, std::bit_ceil(2 * places))),
      seed_(random_seed()), places_(std::make_unique<place_state[]>(slots_)),
      held_(std::make_unique<std::atomic<std::uint16_t>[]>(holder_counts)) {}

std::uint64_t stream_names::hash_of(std::string_view name) const {
  return std::max<std::uint64_t>(1, XXH3_64bits_withSeed(name.data(), name.size(), seed_));
}

// Calls `see` with the slots that the name may have, until it says true.
template <class See>
void stream_names::probe(std::uint64_t name, See see) const {
  auto at = static_cast<std::uint32_t>(name);
  const auto step = static_cast<std::uint32_t>(name >> 32) | 1; // odd: no slot comes twice
  for (std::uint32_t i = 0; i < max_probes; ++i, at += step)
    if (see(at & (slots_ - 1))) return;
}

// Two lanes that see the same new name at one moment may give it a place each. Both are found free
// of use sooner or later, so this is not worth more.
stream_names::answer stream_names::find_or_reserve(std::uint64_t name, std::uint64_t holder) {
  constexpr int max_tries = 16; // each is lost to another lane that got a place
  for (int i = 0; i < max_tries; ++i) {
    std::uint32_t free_at = no_place;
    bool is_there = false;
    answer found;
    probe(name, [&](std::uint32_t at) {
      auto& each = places_[at];
      if (each.state.load(std::memory_order_acquire) == 0) {
        if (free_at == no_place) free_at = at;
        return false;
      }
      found.place = at;
      is_there = each.name.load(std::memory_order_acquire) == name && join(each, name, found.what);
      return is_there;
    });
    if (is_there) return found;
    const auto got = free_at == no_place ? outcome::full : take_share(holder);
    if (got != outcome::reserved) {
      (got == outcome::full ? refused_full_ : refused_share_)
          .fetch_add(1, std::memory_order_relaxed);
      return {got, no_place};
    }
    auto& mine = places_[free_at];
    std::uint32_t expected = 0;
    if (!mine.state.compare_exchange_strong(expected, 1)) {
      give_share_back(holder);
      continue;
    }
    mine.holder.store(holder, std::memory_order_relaxed);
    mine.used_s.store(now_s_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    mine.name.store(name, std::memory_order_release);
    return {outcome::reserved, free_at};
  }
  refused_full_.fetch_add(1, std::memory_order_relaxed);
  return {outcome::full, no_place};
}

std::atomic<std::uint16_t>& stream_names::held_by(std::uint64_t holder) const {
  constexpr std::uint64_t golden_ratio = 0x9e3779b97f4a7c15; // Fibonacci hashing
  return held_[((holder ^ seed_) * golden_ratio) >> 48];
}

// A place of all and of the holder's, `reserved`; or why there is none.
stream_names::outcome stream_names::take_share(std::uint64_t holder) {
  auto used = used_.load();
  do {
    if (used >= size_) return outcome::full;
    if (holder != 0 && held_by(holder).load(std::memory_order_relaxed) >= size_ - used)
      return outcome::share;
  } while (!used_.compare_exchange_weak(used, used + 1));
  if (holder != 0) held_by(holder).fetch_add(1, std::memory_order_relaxed);
  return outcome::reserved;
}

void stream_names::give_share_back(std::uint64_t holder) {
  if (holder != 0) {
    const auto held = held_by(holder).fetch_sub(1, std::memory_order_relaxed);
    PENSTOCK_ASSERT(held > 0);
  }
  const auto used = used_.fetch_sub(1);
  PENSTOCK_ASSERT(used > 0);
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
  give_share_back(at.holder.load());
  at.name.store(0);
  at.holder.store(0);
  at.state.store(0);
}

bool stream_names::adopt(std::uint64_t name) {
  const auto got = find_or_reserve(name, 0);
  if (got.what == outcome::reserved) keep(got.place);
  return got.place != no_place;
}

std::size_t
stream_names::forget_unused(std::int64_t now_s, std::int64_t idle_s,
                            const std::function<bool(std::uint64_t name)>& is_in_backlog) {
  now_s_.store(now_s, std::memory_order_relaxed);
  const bool is_first = !std::exchange(has_time_, true);
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < slots_; ++i) {
    auto& at = places_[i];
    if (is_first) at.used_s.store(now_s, std::memory_order_relaxed);
    if (at.state.load() != kept) continue;
    if (at.used_s.load(std::memory_order_relaxed) + idle_s > now_s || is_in_backlog(at.name.load()))
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
