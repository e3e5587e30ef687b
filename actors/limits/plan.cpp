#include "actors/limits/plan.hpp"

#include "actors/limits/algorithms/algorithms.hpp"

#include <xxhash.h>

#include <algorithm>

namespace penstock {

namespace {

std::uint32_t hash_of(std::string_view text, std::uint32_t seed = 0) {
  return XXH32(text.data(), text.size(), seed);
}

bool matches(std::string_view pattern, std::string_view path) {
  if (!pattern.ends_with('*')) return path == pattern;
  return path.starts_with(pattern.substr(0, pattern.size() - 1));
}

} // namespace

std::uint32_t plan_id(std::string_view name) {
  return hash_of(name);
}

std::uint32_t stream_id(std::string_view name) {
  return hash_of(name);
}

std::uint32_t limit_id(const limit& rule) {
  const auto kind = static_cast<std::uint32_t>(rule.kind);
  const auto cost = static_cast<std::uint32_t>(rule.cost);
  return hash_of(rule.name, kind << 8 | cost);
}

std::uint16_t plan_digest(const plan& rules) {
  std::uint32_t hash = 0;
  for (const limit& rule : rules.limits) {
    const std::uint64_t numbers[] = {
        static_cast<std::uint64_t>(rule.kind),      rule.amount,
        static_cast<std::uint64_t>(rule.window_ns), rule.burst,
        static_cast<std::uint64_t>(rule.unit),      static_cast<std::uint64_t>(rule.cost),
        static_cast<std::uint64_t>(rule.scope),     static_cast<std::uint64_t>(rule.shadow)};
    hash = XXH32(numbers, sizeof numbers, hash_of(rule.name, hash));
  }
  return static_cast<std::uint16_t>(hash % 65'535 + 1);
}

bool counts_the_same(const limit& a, const limit& b) {
  return a.name == b.name && a.kind == b.kind && a.cost == b.cost && a.scope == b.scope;
}

bool survives_restart(const limit& rule) {
  return algorithm_of(rule.kind).nominal_window_ns(rule) >= min_surviving_window_ns;
}

bool applies_to(const limit& rule, std::string_view method, std::string_view path) {
  const auto is_path = [path](const std::string& pattern) { return matches(pattern, path); };
  return (rule.methods.empty() || std::ranges::find(rule.methods, method) != rule.methods.end()) &&
         (rule.paths.empty() || std::ranges::any_of(rule.paths, is_path));
}

limit_mask limits_that_apply(const plan& rules, std::string_view method, std::string_view path) {
  unsigned mask = 0;
  for (std::size_t i = 0; i < rules.limits.size(); ++i)
    if (applies_to(rules.limits[i], method, path)) mask |= 1u << i;
  return static_cast<limit_mask>(mask);
}

bool is_selective(const plan& rules) {
  return std::ranges::any_of(
      rules.limits, [](const limit& rule) { return !rule.paths.empty() || !rule.methods.empty(); });
}

bool counts_bytes(const plan& rules) {
  return std::ranges::any_of(rules.limits,
                             [](const limit& rule) { return rule.cost == limit_cost::byte; });
}

} // namespace penstock
