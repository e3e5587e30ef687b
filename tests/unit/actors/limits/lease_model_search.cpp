#include "tests/unit/actors/limits/lease_model_search.hpp"

#include <boost/unordered/unordered_flat_set.hpp>
#include <xxhash.h>

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <ranges>
#include <vector>

namespace penstock::lease_model {

namespace {

// Of a state only 128 bits are kept: that two of some millions are taken for one has a chance below
// 1 in 10^24.
struct fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const fingerprint&) const = default;
};

std::size_t hash_value(const fingerprint& of) {
  return of.low;
}

fingerprint fingerprint_of(world& w) {
  const std::string key = key_of(w);
  const auto hash = XXH3_128bits(key.data(), key.size());
  return {hash.high64, hash.low64};
}

// How a state was reached first.
struct origin {
  std::uint32_t from = 0;
  action step{};
};

struct unexplored {
  world at;
  std::uint32_t number = 0;
  std::uint32_t depth = 0;
};

std::string trace_to(const std::vector<origin>& origins, std::uint32_t number, const action& last) {
  std::vector<std::string> steps{text_of(last)};
  for (; number != 0; number = origins[number].from)
    steps.push_back(text_of(origins[number].step));
  std::string text;
  for (const auto& each : steps | std::views::reverse)
    text += "\n  " + each;
  return text;
}

} // namespace

std::vector<action> engine::actions(const world& from) const {
  std::vector<action> out;
  const auto each = [&out](act what, std::size_t count, std::initializer_list<int> seconds = {0}) {
    for (std::size_t i = 0; i < count; ++i)
      for (const int second : seconds)
        out.push_back({what, static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(second)});
  };
  each(act::spend, holder_count, {1, 2});
  each(act::decide, from.questions.size());
  each(act::take, from.replies.size());
  each(act::collect, holder_count);
  each(act::give_back, from.returns.size(), {0, 1, 2});
  if (from.left.repeats > 0) each(act::say_again, from.returns.size(), {0, 1, 2});
  each(act::lose_return, from.returns.size());
  each(act::give_up, holder_count);
  each(act::lose_reply, from.replies.size());
  each(act::die, holder_count);
  each(act::leave, holder_count);
  each(act::end, holder_count);
  each(act::reclaim, owner_count);
  if (from.left.moves > 0) each(act::move, owner_count, {0, 1});
  if (from.views.size() > 1) {
    each(act::see, owner_count, {0, 1});
    each(act::send, owner_count);
  }
  each(act::lose_shard, from.shards.size());
  each(act::arrive, from.shards.size(), {0, 1});
  each(act::withhold, from.held.size());
  for (const act what : {act::silence, act::speak, act::change_plan, act::forget, act::sweep})
    each(what, owner_count);
  out.push_back({act::back_up});
  out.push_back({act::take_over});
  out.push_back({act::crowd, 0, 0});
  out.push_back({act::crowd, 1, 0});
  for (const std::uint8_t ticks : {1, 2})
    out.push_back({act::pass, ticks, 0});
  return out;
}

findings search(const setup& what, std::size_t max_states) {
  findings out;
  engine real(what);
  boost::unordered_flat_set<fingerprint> seen;
  std::vector<origin> origins(1);
  std::deque<unexplored> open{{real.start(), 0, 0}};
  seen.insert(fingerprint_of(open.front().at));
  std::string why;
  while (!open.empty() && seen.size() < max_states) {
    const unexplored from = std::move(open.front());
    open.pop_front();
    for (const action& step : real.actions(from.at)) {
      world to = from.at;
      if (!real.apply(to, step, why)) continue;
      ++out.transitions;
      const bool is_new = why.empty() && seen.insert(fingerprint_of(to)).second;
      if (is_new) why = real.check(to);
      if (!why.empty()) {
        out.fault = why + ", after" + trace_to(origins, from.number, step);
        out.states = seen.size();
        return out;
      }
      if (!is_new) continue;
      out.depth = from.depth + 1;
      origins.push_back({from.number, step});
      open.push_back(
          {std::move(to), static_cast<std::uint32_t>(origins.size() - 1), from.depth + 1});
    }
  }
  out.states = seen.size();
  out.complete = open.empty();
  return out;
}

} // namespace penstock::lease_model
