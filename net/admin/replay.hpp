// Replays on the admin plane, and the jobs of both kinds.
#pragma once

#include "net/admin/admin_routes.hpp"

namespace penstock {

/// POST /v1/admin/replay {"stream":…,"sink":…,"from":…,"to":…,"rate":…,"dry_run":…}, all but the
/// first two optional; `from` and `to`, inclusive, are an event's id or a time: 202 with the job. A
/// dry run only counts: 200 with "job" null.
boost::asio::awaitable<admin_answer> post_replay(admin_context& context, admin_request& request);

/// GET /v1/admin/replay: {"jobs":[…]}, replays and retries of dead letters, running ones first,
/// then the newest.
boost::asio::awaitable<admin_answer> get_replays(admin_context& context, admin_request& request);

/// GET /v1/admin/replay/{id}: one of these.
boost::asio::awaitable<admin_answer> get_replay(admin_context& context, admin_request& request);

/// POST /v1/admin/replay/{id}/cancel: the job, cancelled, or as it had ended before. The up to
/// max_again_events that are under way still go.
boost::asio::awaitable<admin_answer> cancel_replay(admin_context& context, admin_request& request);

/// POST /v1/admin/replay/{id}/resume: the job, running. Retries can't be resumed; 400 says why.
boost::asio::awaitable<admin_answer> resume_replay(admin_context& context, admin_request& request);

} // namespace penstock
