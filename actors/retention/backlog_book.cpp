#include "actors/retention/backlog_book.hpp"

#include "actors/retention/backlog.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace penstock {

backlog_book::backlog_book(std::vector<cursor> saved, std::vector<sink_route> routes,
                           const std::string& queue)
    : routes_(std::move(routes)) {
  for (auto& one : with_queue_as_lane(std::move(saved), queue))
    saved_[one.stream].push_back(std::move(one));
}

const backlog_book::deliveries& backlog_book::of(const std::string& stream) const {
  const auto [at, is_new] = known_.try_emplace(stream);
  if (!is_new) return at->second;
  static const std::vector<cursor> none;
  const auto saved = saved_.find(stream);
  for (const auto& [sink, feeds] : routes_)
    if (feeds(stream))
      at->second.emplace_back(saved == saved_.end() ? none : saved->second, sink, stream);
  return at->second;
}

backlog_events::portion backlog_book::between(const std::string& stream, std::uint64_t first,
                                              std::uint64_t last) const {
  const auto& sinks = of(stream);
  if (std::ranges::all_of(sinks, [&](const auto& one) { return one.covers(first, last); }))
    return portion::none;
  const auto has_none = [&](const auto& one) { return one.end() < first; };
  return std::ranges::any_of(sinks, has_none) ? portion::all : portion::some;
}

bool backlog_book::is_in_backlog(const std::string& stream, std::uint64_t seq,
                                 std::uint64_t client) const {
  return std::ranges::any_of(of(stream),
                             [&](const auto& one) { return !one.contains(seq, client); });
}

delivered_events backlog_book::delivered(const std::string& stream) const {
  constexpr auto all = std::numeric_limits<std::uint64_t>::max();
  const auto& sinks = of(stream);
  const auto slowest = std::ranges::min_element(sinks, {}, &delivered_before::position);
  if (slowest == sinks.end()) return {all, {}};
  auto others = all;
  for (auto one = sinks.begin(); one != sinks.end(); ++one)
    if (one != slowest) others = std::min(others, one->position());
  delivered_events out{slowest->position(), {}};
  for (const auto& [first, last] : slowest->ahead_of(0, 1)) {
    const seq_ranges::range range{std::max(first, out.floor + 1), std::min(last, others)};
    if (range.first <= range.second) out.beyond.push_back(range);
  }
  return out;
}

backlog_source backlog_by_cursors(std::shared_ptr<cursor_store> cursors,
                                  std::vector<sink_route> routes, std::string queue) {
  return [cursors = std::move(cursors), routes = std::move(routes),
          queue = std::move(queue)]() -> result<std::shared_ptr<const backlog_events>> {
    auto saved = cursors->load();
    if (!saved) return saved.error();
    return std::shared_ptr<const backlog_events>{
        std::make_shared<backlog_book>(std::move(*saved), routes, queue)};
  };
}

} // namespace penstock
