#include "net/admin/drain.hpp"

#include "actors/base/error_text.hpp"
#include "actors/delivery/sink_metrics.hpp"
#include "net/base/json_body.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace penstock {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using boost::asio::awaitable;

/// As node.drain_timeout may be.
constexpr double max_drain_timeout_s = 3600;
constexpr std::string_view drain_example = R"({"timeout_s":60})";

result<drain_request> drain_request_of(std::string_view body) {
  drain_request command;
  if (body.empty()) return command;
  const auto members = json_object_of(body, drain_example);
  if (!members) return members.error();
  for (const auto& [name, value] : *members) {
    const std::string_view key{name.data(), name.size()};
    if (key == "timeout_s") {
      boost::system::error_code failed;
      const auto seconds = value.to_number<double>(failed);
      if (failed || !(seconds >= 0 && seconds <= max_drain_timeout_s))
        return invalid("'timeout_s' must be a number of seconds from 0 to 3600");
      command.timeout_ms = std::chrono::milliseconds{static_cast<std::int64_t>(seconds * 1e3)};
    } else if (key == "wait_for_queue") {
      if (!value.is_bool()) return invalid("'wait_for_queue' must be true or false");
      command.wait_for_queue = value.get_bool();
    } else {
      return invalid(quote(key) + " is not known; 'timeout_s' and 'wait_for_queue' are");
    }
  }
  return command;
}

json::array debts_json(const drain_status::state& at, const metrics_sources& from) {
  json::array out;
  for (const auto& sink : from.sinks) {
    const auto status = sink->status();
    std::uint64_t events = 0;
    for (const auto& lag : sink->lags())
      events += lag.events;
    out.push_back(json::object{{"sink", status.sink},
                               {"kind", status.kind},
                               {"state", sink_state_names[static_cast<std::size_t>(status.state)]},
                               {"events", events},
                               {"given_up", at.given_up.contains(status.sink)}});
  }
  return out;
}

admin_answer drain_answer(const admin_context& context, unsigned status) {
  const auto now = drain_status::clock::now();
  context.drain->note_reader(now);
  return {.status = status,
          .body = json::serialize(drain_json(context.drain->get(), context.metrics, now))};
}

admin_answer no_drain() {
  return answer_of(error{errc::unavailable, "this node can't be asked to drain"});
}

} // namespace

json::object drain_json(const drain_status::state& at, const metrics_sources& from,
                        drain_status::clock::time_point now) {
  const bool runs = at.stage != drain_stage::serving && at.stage != drain_stage::ended;
  std::int64_t connections = 0, units = 0, shards = 0;
  for (const auto* one : from.front_ends)
    connections += one->connections.value();
  for (const auto& one : from.limiter_clusters) {
    units += one->leased_units.value();
    shards += one->owned_shards.value() + one->waiting_shards.value() + one->leaving_shards.value();
  }
  auto queued = at.queue_events.value_or(0);
  if (from.queue && !at.queue_events) // not looked at yet
    for (const auto& one : from.queue->streams())
      queued += one.depth;
  json::object out{{"stage", drain_stage_names[static_cast<std::size_t>(at.stage)]},
                   {"seconds_left", nullptr},
                   {"connections", connections},
                   {"leased_units", units},
                   {"shards", shards},
                   {"sinks", debts_json(at, from)},
                   {"queue_events", queued},
                   {"left", json::array(at.left.begin(), at.left.end())}};
  if (runs && at.deadline)
    out["seconds_left"] = std::max(0.0, std::chrono::duration<double>(*at.deadline - now).count());
  return out;
}

namespace {

awaitable<admin_answer> get_drain(admin_context& context, admin_request&) {
  co_return context.drain ? drain_answer(context, 200) : no_drain();
}

// Answers with 202; also when a drain runs already, which goes on as it was asked for.
awaitable<admin_answer> post_drain(admin_context& context, admin_request& request) {
  if (!context.drain || !context.begin_drain) co_return no_drain();
  const auto command = drain_request_of(request.body);
  if (!command) co_return answer_of(command.error());
  if (context.drain->ask(*command)) context.begin_drain();
  co_return drain_answer(context, 202);
}

constexpr admin_route routes_of_drain[] = {
    {http::verb::get, "/v1/admin/drain", get_drain, {.session = true, .vital = true}},
    {http::verb::post,
     "/v1/admin/drain",
     post_drain,
     {.max_body_bytes = small_body_bytes, .vital = true}},
};

} // namespace

std::span<const admin_route> drain_routes() {
  return routes_of_drain;
}

} // namespace penstock
