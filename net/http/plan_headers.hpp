// What the answers say of a plan, written once a plan instead of once a request.
#pragma once

#include "actors/limits/plan.hpp"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-11 has them, and the
/// body of a refusal. Immutable.
class plan_headers {
 public:
  explicit plan_headers(const plan& rules);

  /// Appends both header lines for the state that `v` tells; nothing for a plan without limits.
  void append(std::string& out, const verdict& v) const;

  /// The problem document of a 429 by limit `index`; one without the limit's name when there is no
  /// such limit, as when a verdict was under way while a reload took the limit away.
  const std::string& refusal_body(std::size_t index) const {
    return index < limits_.size() ? limits_[index].refusal_body : nameless_refusal_;
  }
  /// The member `"violated-policies":[…]` of such a document; empty when there is no such limit.
  std::string_view violated_policies(std::size_t index) const {
    return index < limits_.size() ? std::string_view{limits_[index].violated} : std::string_view{};
  }

 private:
  struct one_limit {
    std::string prefix; // RateLimit: "name";r=
    std::string refusal_body;
    std::string violated;
  };
  std::string policy_line_;
  std::vector<one_limit> limits_;
  std::string nameless_refusal_;
};

} // namespace penstock
