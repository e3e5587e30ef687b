#include "actors/owed_book.hpp"

#include "actors/owed.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

owed_book::owed_book(std::vector<cursor> saved, std::vector<sink_route> routes,
                     const std::string& queue)
    : routes_(std::move(routes)) {
  for (auto& one : with_queue_as_lane(std::move(saved), queue))
    saved_[one.stream].push_back(std::move(one));
}

const owed_book::deliveries& owed_book::of(const std::string& stream) const {
  const auto [at, is_new] = known_.try_emplace(stream);
  if (!is_new) return at->second;
  static const std::vector<cursor> none;
  const auto saved = saved_.find(stream);
  for (const auto& [sink, feeds] : routes_)
    if (feeds(stream)) at->second.emplace_back(saved == saved_.end() ? none : saved->second, sink, stream);
  return at->second;
}

owed_events::portion owed_book::between(const std::string& stream, std::uint64_t first,
                                        std::uint64_t last) const {
  const auto& sinks = of(stream);
  if (std::ranges::all_of(sinks, [&](const auto& one) { return one.covers(first, last); }))
    return portion::none;
  const auto has_none = [&](const auto& one) { return one.end() < first; };
  return std::ranges::any_of(sinks, has_none) ? portion::all : portion::some;
}

bool owed_book::is_owed(const std::string& stream, std::uint64_t seq, std::uint64_t client) const {
  return std::ranges::any_of(of(stream), [&](const auto& one) { return !one.contains(seq, client); });
}

} // namespace penstock
