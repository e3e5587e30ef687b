// Limits as people write them, in JSON here and in TOML in the configuration: the same keys, the
// same checks, the same words when something is wrong.
#pragma once

#include "actors/plan.hpp"
#include "actors/wording.hpp"
#include "storage/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace boost::json {
class value;
}

namespace penstock {

inline constexpr std::uint64_t max_limit_amount = 4'000'000'000;

/// A limit as written, before its keys are checked against each other.
struct limit_draft {
  std::string name;
  algorithm kind = algorithm::gcra;
  std::uint32_t amount = 0; ///< 0: not given
  std::uint32_t burst = 0;  ///< 0: not given
  std::string window;       ///< empty: not given
};

choices<algorithm> algorithm_names();

/// What a window may be, in words, and what is wrong with one; empty when nothing is.
std::string window_type();
std::string check_window(const std::string& text);

/// What is wrong with the draft, and what would do; empty when it is a limit.
std::string check_limit(const limit_draft& draft);
/// The limit it describes. The draft has passed check_limit.
limit make_limit(const limit_draft& draft);

/// The words for a key that a limit does not have.
std::string unknown_limit_key(std::string_view key, const std::vector<std::string>& known);

/// `[{"name":"burst","algorithm":"gcra","amount":20,"window":"1s"}]` as limits, at most
/// max_limits_per_plan with names of their own. Errors: invalid, as "limits[0].amount: …" with
/// what would do.
result<std::vector<limit>> parse_limits(std::string_view json);
result<std::vector<limit>> parse_limits(const boost::json::value& list);

/// The limits as such JSON; parse_limits() gives them back.
std::string limits_text(const std::vector<limit>& limits);

} // namespace penstock
