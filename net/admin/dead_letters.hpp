// Dead letters on the admin plane.
#pragma once

#include "net/admin/admin_routes.hpp"

#include <boost/json/value.hpp>

#include <chrono>
#include <cstdint>

namespace penstock {

/// How long an answer may take that changes many letters at once.
inline constexpr std::chrono::seconds letters_answer_timeout{60};
/// Letters in one answer, unless ?limit= says otherwise; at most max_letters_page.
inline constexpr std::uint32_t default_letters_page = 100;
/// The highest rate that a job can be held to.
inline constexpr std::uint32_t max_job_rate = 10'000'000;

/// GET /v1/admin/dead-letters?sink=&stream=&from=&to=&limit=&after=: without bodies, the oldest
/// dead letter first; `from` and `to` are when events were accepted.
boost::asio::awaitable<admin_answer> get_dead_letters(admin_context& context,
                                                      admin_request& request);
/// GET /v1/admin/dead-letters/{id}?sink=: one with its body.
boost::asio::awaitable<admin_answer> get_dead_letter(admin_context& context,
                                                     admin_request& request);
/// GET /v1/admin/dead-letters/export: as the list, with bodies, one a line; some 4 MiB at most. The
/// next page is that with ?after= the last line's "number"; the last one is empty.
boost::asio::awaitable<admin_answer> export_dead_letters(admin_context& context,
                                                         admin_request& request);

/// POST /v1/admin/dead-letters/replay {"ids":[…]}, {"sink":…,"stream":…} or {"all":true}, also with
/// "rate": 202 with the job. "job" is null and "total" 0 when nothing matches; 404 if ids were
/// named.
boost::asio::awaitable<admin_answer> retry_dead_letters(admin_context& context,
                                                        admin_request& request);
/// POST /v1/admin/dead-letters/drop, which says likewise: {"dropped":n}.
boost::asio::awaitable<admin_answer> drop_dead_letters(admin_context& context,
                                                       admin_request& request);

/// What "rate" says. Errors: invalid.
result<std::uint32_t> job_rate_of(const boost::json::value& value);

} // namespace penstock
