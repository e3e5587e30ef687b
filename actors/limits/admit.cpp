#include "actors/limits/admit.hpp"

#include <algorithm>
#include <bit>
#include <span>

namespace penstock {
namespace {

bool has_sizes(const request_cost& cost) {
  return !cost.sizes.empty() && cost.sizes.size() == cost.events;
}

std::uint32_t saturated(std::uint64_t n) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(n, UINT32_MAX));
}

std::uint32_t bytes_of_first(const request_cost& cost, std::uint32_t events) {
  if (!has_sizes(cost)) return events == 0 ? 0 : cost.bytes;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < events; ++i)
    sum += cost.sizes[i];
  return saturated(sum);
}

// How many of the events, from the first on, this many bytes last for.
std::uint32_t events_within(const request_cost& cost, std::uint32_t bytes) {
  if (!has_sizes(cost)) return cost.bytes <= bytes ? cost.events : 0;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < cost.events; ++i)
    if ((sum += cost.sizes[i]) > bytes) return i;
  return cost.events;
}

std::uint32_t units_of_first(const limit& rule, const request_cost& cost, std::uint32_t events) {
  return rule.cost == limit_cost::event ? events : bytes_of_first(cost, events);
}

std::uint32_t units_of_event(const limit& rule, const request_cost& cost, std::uint32_t index) {
  if (rule.cost == limit_cost::event) return 1;
  return has_sizes(cost) ? cost.sizes[index] : cost.bytes;
}

std::uint32_t mean_units(const limit& rule, const request_cost& cost) {
  if (rule.cost == limit_cost::event || cost.events == 0) return 1;
  return std::max(bytes_of_first(cost, cost.events) / cost.events, 1u);
}

std::uint32_t seconds_rounded_up(std::int64_t ns) {
  constexpr std::int64_t second = 1'000'000'000;
  const std::int64_t seconds = ns / second + (ns % second != 0);
  return static_cast<std::uint32_t>(std::min<std::int64_t>(seconds, UINT32_MAX));
}

// Taken once a decision: the compiler takes each state that is written for what might have changed
// the plan.
using limit_list = std::span<const limit>;

limit_list limits_of(const plan& rules) {
  return {rules.limits.data(), std::min(rules.limits.size(), max_limits_per_plan)};
}

constexpr unsigned bit(std::size_t i) {
  return 1u << i;
}

// What the limits say before anything is charged.
struct opinion {
  std::array<std::uint32_t, max_limits_per_plan> admitted{}; // events, by limit
  std::uint32_t granted = 0;                                 // by all that have a say
  unsigned nearest = 0; // the limits that speak: those nearest to refusing, or that refused
};

opinion ask(limit_list limits, const limit_states& states, std::int64_t now_ns,
            const request_cost& cost) {
  opinion found;
  found.granted = cost.events;
  unsigned having_a_say = 0;
  std::uint32_t least = UINT32_MAX;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    if (!states[i]) continue;
    const limit& rule = limits[i];
    const std::uint32_t available = available_units(rule, *states[i], now_ns);
    const bool by_event = rule.cost == limit_cost::event;
    const std::uint32_t fit =
        by_event ? std::min(cost.events, available) : events_within(cost, available);
    found.admitted[i] = fit;
    if (rule.shadow) continue;
    having_a_say |= bit(i);
    found.granted = std::min(found.granted, fit);
    const std::uint32_t room = by_event ? available : available / mean_units(rule, cost);
    if (room < least) found.nearest = 0;
    least = std::min(least, room);
    if (room == least) found.nearest |= bit(i);
  }
  if (found.granted == cost.events) return found;
  found.nearest = 0;
  for (unsigned left = having_a_say; left != 0; left &= left - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(left));
    if (found.admitted[i] == found.granted) found.nearest |= bit(i);
  }
  return found;
}

// Fills in what the verdict tells of the limit that speaks; gives the time told, in ns.
std::int64_t tell(verdict& answer, limit_list limits, const limit_states& states,
                  std::int64_t now_ns, const request_cost& cost, unsigned nearest) {
  const bool refused = answer.granted < cost.events;
  std::int64_t longest = -1;
  std::int64_t told = 0;
  for (; nearest != 0; nearest &= nearest - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(nearest));
    const limit& rule = limits[i];
    const limit_view view = look(rule, *states[i], now_ns);
    std::int64_t wait = view.available == 0 ? view.retry_ns : view.reset_ns;
    if (refused) // there is an event that was not granted
      wait = wait_ns(rule, *states[i], now_ns, units_of_event(rule, cost, answer.granted));
    if (wait <= longest) continue;
    longest = wait;
    told = wait == never ? view.reset_ns : wait;
    answer.limit = static_cast<std::uint8_t>(i);
    answer.remaining = view.available;
  }
  answer.reset_s = seconds_rounded_up(told);
  if (answer.granted == 0 && refused)
    answer.reason =
        static_cast<std::uint8_t>(longest == never ? refusal::too_large : refusal::quota);
  return told;
}

} // namespace

admission admit(const plan& rules, const limit_states& states, std::int64_t now_ns,
                const request_cost& cost) {
  const limit_list limits = limits_of(rules);
  const opinion found = ask(limits, states, now_ns, cost);
  admission result;
  result.answer.granted = found.granted;
  result.answer.remaining = UINT32_MAX;
  for (std::size_t i = 0; found.granted != 0 && i < limits.size(); ++i) {
    if (!states[i]) continue;
    const limit& rule = limits[i];
    const std::uint32_t events = std::min(found.granted, found.admitted[i]);
    PENSTOCK_ASSERT(rule.shadow || events == found.granted);
    if (events < found.granted) result.shadowed |= static_cast<limit_mask>(bit(i));
    *states[i] = charge(rule, *states[i], now_ns, units_of_first(rule, cost, events));
  }
  if (found.nearest != 0)
    result.retry_ns = tell(result.answer, limits, states, now_ns, cost, found.nearest);
  return result;
}

} // namespace penstock
