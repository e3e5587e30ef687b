// Following a replay, or a retry of dead letters, until it ends.
#pragma once

#include "cli/client/admin_call.hpp"

#include <boost/json/object.hpp>

#include <string>

namespace penstock {

/// How a command shows the job that it started or was asked about.
struct job_output {
  bool detach = false; ///< don't wait for its end
  bool json = false;
};

/// What call_admin gave, as a job. Errors: unavailable when it is something else.
result<boost::json::object> job_of(const result<boost::json::value>& answer);

/// Shows the job's progress on stderr until it ends, then what became of it on stdout; gives the
/// exit code: 69 when it failed, was cancelled, or its sink refused some events. An interrupt
/// leaves the job running, says how to go on, and is 0. A node that restarts is waited for.
int watch_job(const admin_options& admin, boost::json::object job, const job_output& output);

/// Prints a job as it stands; the exit code as above.
int print_job(const boost::json::object& job, const job_output& output);

} // namespace penstock
