// Limits as people write them, in JSON here and in TOML in the configuration: the same keys, the
// same checks, the same words when something is wrong.
#pragma once

#include "actors/base/error_text.hpp"
#include "actors/limits/algorithms/limit_draft.hpp"
#include "actors/limits/plan.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace boost::json {
class value;
}

namespace penstock {

inline constexpr std::uint64_t max_limit_amount = 4'000'000'000;
/// 4 GiB; as this does not fit 32 bits, a limit of just so many bytes admits one less.
inline constexpr std::uint64_t max_limit_bytes = std::uint64_t{4} << 30;
inline constexpr std::size_t max_paths_per_limit = 32;
inline constexpr std::size_t max_methods_per_limit = 7;

choices<algorithm> algorithm_names();
/// "gcra: a steady rate and a burst. …": what each does, for the reference of the configuration.
std::string algorithm_summaries();
choices<limit_scope> scope_names();
choices<limit_cost> cost_names();

/// What a window may be, in words, and what is wrong with one; empty when nothing is.
std::string window_type();
std::string check_window(const std::string& text);

/// The window as it is written.
std::string window_text(const limit& rule);

/// What an amount or burst may be, in words.
std::string quantity_type();
/// What is wrong with one entry of `paths` or `methods`; empty when nothing is.
std::string check_path(const std::string& text);
std::string check_method(const std::string& text);

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
