#include "actors/limits/algorithms/algorithms.hpp"

#include "actors/base/error_text.hpp"
#include "actors/base/units.hpp"
#include "actors/limits/algorithms/arithmetic.hpp"

#include <fmt/format.h>

#include <chrono>

namespace penstock {

std::int64_t lease_lifetime_ns(const limit& rule) {
  constexpr std::int64_t leased_window_part = 15;
  return std::clamp(algorithm_of(rule.kind).window_at_once_ns(rule) / leased_window_part,
                    min_lease_lifetime_ns, max_lease_lifetime_ns);
}

std::string written(const quantity& q) {
  return q.is_size ? quote(format_size(q.units)) : std::to_string(q.units);
}

namespace limit_arithmetic {

std::string check_amount(const limit_draft& draft) {
  if (draft.amount.units != 0) return {};
  return fmt::format("the limit {} has no amount; add amount = {}", quote(draft.name),
                     draft.cost == limit_cost::byte ? "\"10MiB\"" : "100");
}

std::string duration_text(const limit& rule) {
  constexpr std::int64_t ns_per_ms = 1'000'000;
  return format_duration(std::chrono::milliseconds{rule.window_ns / ns_per_ms});
}

} // namespace limit_arithmetic

} // namespace penstock
