#include "net/http/plan_headers.hpp"

#include "actors/limits/algorithms/algorithms.hpp"
#include "net/base/json_text.hpp"
#include "net/base/problem.hpp"

#include <charconv>

namespace penstock {

namespace {

constexpr std::int64_t ns_per_s = 1'000'000'000;

std::int64_t window_s(const limit& rule) {
  return (algorithm_of(rule.kind).nominal_window_ns(rule) + ns_per_s - 1) / ns_per_s;
}

// A structured-field string (RFC 8941): the configuration allows only plain characters in names.
std::string quoted(const std::string& name) {
  return '"' + name + '"';
}

void append_number(std::string& out, std::uint32_t value) {
  char digits[10];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

} // namespace

plan_headers::plan_headers(const plan& rules)
    : nameless_refusal_(to_json({429, "A limit is used up; Retry-After says when to come back."})) {
  for (auto& rule : rules.limits) {
    auto q = std::to_string(rule.amount);
    auto w = std::to_string(window_s(rule));
    bool bytes = rule.cost == limit_cost::byte;
    if (!rule.shadow) {
      policy_line_ += policy_line_.empty() ? "RateLimit-Policy: " : ", ";
      policy_line_ += quoted(rule.name) + ";q=" + q + ";w=" + w;
      if (bytes) policy_line_ += ";qu=\"content-bytes\"";
    }
    problem refusal{429, "The limit \"" + rule.name + "\" of " + q +
                             (bytes ? " bytes in " : " in ") + w +
                             " s is used up; Retry-After says when to come back."};
    refusal.members = "\"violated-policies\":[";
    append_json_string(refusal.members, rule.name);
    refusal.members += ']';
    limits_.push_back(
        {"\r\nRateLimit: " + quoted(rule.name) + ";r=", to_json(refusal), refusal.members});
  }
}

void plan_headers::append(std::string& out, const verdict& v) const {
  if (v.limit >= limits_.size() || policy_line_.empty()) return;
  out += policy_line_;
  out += limits_[v.limit].prefix;
  append_number(out, v.remaining);
  out += ";t=";
  append_number(out, v.reset_s);
  out += "\r\n";
}

} // namespace penstock
