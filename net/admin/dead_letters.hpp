// Dead letters on the admin plane.
#pragma once

#include "net/admin/admin_route.hpp"

#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>

namespace penstock {

/// How long an answer may take that changes many letters at once.
inline constexpr std::chrono::seconds dead_letters_answer_timeout{60};
/// Letters in one answer, unless ?limit= says otherwise; at most max_dead_letters_page.
inline constexpr std::uint32_t default_dead_letters_page = 100;
/// The highest rate that a job can be held to.
inline constexpr std::uint32_t max_job_rate = 10'000'000;

/// What "rate" says. Errors: invalid.
result<std::uint32_t> job_rate_of(const boost::json::value& value);

} // namespace penstock
