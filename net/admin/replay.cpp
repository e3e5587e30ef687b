// Replays on the admin plane, and the jobs of both kinds.
#include "net/admin/admin_route.hpp"

#include "actors/base/error_text.hpp"
#include "actors/dead_letters/replay_actor.hpp"
#include "net/admin/dead_letter_json.hpp"
#include "net/admin/dead_letters.hpp"
#include "net/base/json_body.hpp"
#include "net/base/rfc3339.hpp"
#include "net/base/stream_name.hpp"
#include "net/base/wall_time.hpp"
#include "storage/events/event_id.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace penstock {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using boost::asio::awaitable;

result<replay_place> place_of(std::string_view name, const json::value& value,
                              std::string_view tag) {
  if (value.is_string()) {
    const std::string_view text{value.get_string().data(), value.get_string().size()};
    if (const auto id = parse_event_id(text)) {
      if (id->tag == tag) return replay_place{.seq = id->seq};
      return error{errc::not_found, fmt::format("'{}' is an id of another node's journal", name)};
    }
    if (const auto time = parse_time(text, wall_ms())) return replay_place{.time_ms = *time};
  }
  return invalid(fmt::format("'{}' must be an event's id, an RFC 3339 time like "
                             "2026-01-31T12:00:00Z, \"now\", or a time before now like -24h",
                             name));
}

result<void> take_replay_member(std::string_view key, const json::value& value,
                                std::string_view tag, start_replay& command) {
  const std::string_view text =
      value.is_string() ? std::string_view{value.get_string().data(), value.get_string().size()}
                        : std::string_view{};
  if (key == "stream") {
    if (!is_stream_name(text)) return invalid(fmt::format("'stream': {}", stream_name_rule));
    command.stream = text;
  } else if (key == "sink") {
    if (!is_name(text)) return invalid(fmt::format("'sink' must be {}", name_rule));
    command.sink = text;
  } else if (key == "from" || key == "to") {
    auto place = place_of(key, value, tag);
    if (!place) return place.error();
    (key == "from" ? command.from : command.to) = *place;
  } else if (key == "rate") {
    const auto rate = job_rate_of(value);
    if (!rate) return rate.error();
    command.rate = *rate;
  } else if (key == "dry_run") {
    if (!value.is_bool()) return invalid("'dry_run' must be true or false");
    command.dry_run = value.get_bool();
  } else {
    return invalid(quote(key) +
                   " is not known; 'stream', 'sink', 'from', 'to', 'rate' and 'dry_run' are");
  }
  return {};
}

result<start_replay> replay_request(std::string_view body, std::string_view tag) {
  const auto members = json_object_of(body, R"({"stream":"default","sink":"NAME"})");
  if (!members) return members.error();
  start_replay command;
  for (const auto& [name, value] : *members)
    if (auto taken = take_replay_member({name.data(), name.size()}, value, tag, command); !taken)
      return taken.error();
  if (command.stream.empty()) return invalid(R"('stream' is missing; add "stream":"default")");
  if (command.sink.empty())
    return invalid(R"('sink' is missing; add "sink":"NAME", one of [sinks] in the configuration)");
  if (command.from.seq && command.to.seq && *command.to.seq < *command.from.seq)
    return invalid("'to' lies before 'from'");
  if (command.from.time_ms && command.to.time_ms && *command.to.time_ms < *command.from.time_ms)
    return invalid("'to' lies before 'from'");
  return command;
}

template <class Reply, class Handle, class Request>
awaitable<result<Reply>> ask_jobs(admin_context& context, Handle whom, Request request) {
  if (!whom) co_return error{errc::unavailable, "this node runs no replays"};
  co_return co_await context.actors.ask<Reply>(whom, std::move(request),
                                               dead_letters_answer_timeout);
}

admin_answer job_answered(admin_context& context, const result<job_answer>& answer,
                          unsigned status = 200) {
  if (!answer) return answer_of(answer.error());
  if (!answer->ok) return answer_of(answer->why);
  return {.status = status, .body = job_json(answer->job, context.node.tag)};
}

/// Sends a request about one job to the actor that has it.
template <class Request>
awaitable<admin_answer> about_job(admin_context& context, const std::string& id) {
  auto number = job_number(job_kind::replay, id);
  jobs_handle whom = context.replays;
  if (!number) {
    number = job_number(job_kind::retry, id);
    whom = context.dead_letters;
  }
  if (!number) co_return answer_of(error{errc::not_found, "there is no job " + quote(id)});
  Request request{*number};
  const auto answer = co_await ask_jobs<job_answer>(context, whom, request);
  co_return job_answered(context, answer);
}

// POST /v1/admin/replay {"stream":…,"sink":…,"from":…,"to":…,"rate":…,"dry_run":…}, all but the
// first two optional; `from` and `to`, inclusive, are an event's id or a time: 202 with the job. A
// dry run only counts: 200 with "job" null.
awaitable<admin_answer> post_replay(admin_context& context, admin_request& request) {
  auto command = replay_request(request.body, context.node.tag);
  if (!command) co_return answer_of(command.error());
  const bool dry = command->dry_run;
  const auto answer = co_await ask_jobs<job_answer>(context, context.replays, std::move(*command));
  co_return job_answered(context, answer, dry ? 200 : 202);
}

// GET /v1/admin/replay: {"jobs":[…]}, replays and retries of dead letters, running ones first,
// then the newest.
awaitable<admin_answer> get_replays(admin_context& context, admin_request&) {
  const auto replays = co_await ask_jobs<job_list_ptr>(context, context.replays, list_jobs{});
  const auto retries = co_await ask_jobs<job_list_ptr>(context, context.dead_letters, list_jobs{});
  std::vector<delivery_job> jobs;
  for (const auto* list : {&replays, &retries}) {
    if (!*list) co_return answer_of(list->error());
    if (!(**list)->ok) co_return answer_of((**list)->why);
    jobs.insert(jobs.end(), (**list)->jobs.begin(), (**list)->jobs.end());
  }
  std::stable_sort(jobs.begin(), jobs.end(), [](const delivery_job& a, const delivery_job& b) {
    const bool a_runs = a.state == job_state::running, b_runs = b.state == job_state::running;
    return a_runs != b_runs ? a_runs : a.created_ms > b.created_ms;
  });
  std::string body = R"({"jobs":[)";
  for (std::size_t i = 0; i < jobs.size(); ++i)
    body += (i > 0 ? "," : "") + job_json(jobs[i], context.node.tag);
  body += "]}";
  co_return admin_answer{.body = std::move(body)};
}

// GET /v1/admin/replay/{id}: one of these.
awaitable<admin_answer> get_replay(admin_context& context, admin_request& request) {
  return about_job<get_job>(context, request.name);
}

// POST /v1/admin/replay/{id}/cancel: the job, cancelled, or as it had ended before. The up to
// max_again_events that are under way still go.
awaitable<admin_answer> cancel_replay(admin_context& context, admin_request& request) {
  return about_job<cancel_job>(context, request.name);
}

// POST /v1/admin/replay/{id}/resume: the job, running. Retries can't be resumed; 400 says why.
awaitable<admin_answer> resume_replay(admin_context& context, admin_request& request) {
  return about_job<resume_job>(context, request.name);
}

constexpr admin_route routes_of_replay[] = {
    {http::verb::get, "/v1/admin/replay", get_replays},
    {http::verb::post, "/v1/admin/replay", post_replay, {.max_body_bytes = small_body_bytes}},
    {http::verb::get, "/v1/admin/replay/{id}", get_replay},
    {http::verb::post,
     "/v1/admin/replay/{id}/cancel",
     cancel_replay,
     {.max_body_bytes = small_body_bytes}},
    {http::verb::post,
     "/v1/admin/replay/{id}/resume",
     resume_replay,
     {.max_body_bytes = small_body_bytes}},
};

} // namespace

std::span<const admin_route> replay_routes() {
  return routes_of_replay;
}

} // namespace penstock
