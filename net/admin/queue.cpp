#include "net/admin/queue.hpp"

#include "net/base/json_body.hpp"
#include "net/base/json_message.hpp"
#include "net/base/json_text.hpp"
#include "net/base/rfc3339.hpp"
#include "net/base/stream_name.hpp"
#include "storage/events/event_id.hpp"

#include <boost/json.hpp>

#include <charconv>
#include <cmath>

namespace penstock {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using boost::asio::awaitable;

/// A number of seconds as milliseconds.
result<std::int64_t> milliseconds_of(const json::value& value, std::string_view name,
                                     std::int64_t max_ms) {
  boost::system::error_code failed;
  const auto seconds = value.to_number<double>(failed);
  if (failed || !std::isfinite(seconds) || seconds < 0)
    return invalid("'" + std::string{name} + "' must be a number of seconds, 0 or more");
  return static_cast<std::int64_t>(std::min(seconds * 1e3, static_cast<double>(max_ms)));
}

result<std::uint32_t> count_of(std::int64_t count) {
  if (count < 1) return invalid("'max' must be a whole number, 1 or more");
  return static_cast<std::uint32_t>(std::min<std::int64_t>(count, max_receive_messages));
}

/// What a receive's body says.
result<queue_receive> receive_of(const admin_request& request) {
  const auto body = json_object_of(request.body.empty() ? "{}" : request.body, R"({"max":10})");
  if (!body) return body.error();
  queue_receive out{.stream = request.name,
                    .max = default_receive_messages,
                    .max_bytes = request.max_answer_bytes};
  for (const auto& [key, value] : *body) {
    if (key == "max") {
      boost::system::error_code failed;
      const auto max = value.to_number<std::int64_t>(failed);
      const auto count = count_of(failed ? 0 : max);
      if (!count) return count.error();
      out.max = *count;
    } else if (key == "wait_s" || key == "lease_s") {
      const bool wait = key == "wait_s";
      const auto ms = milliseconds_of(value, std::string_view{key.data(), key.size()},
                                      wait ? max_receive_wait_ms : max_lease_ms);
      if (!ms) return ms.error();
      (wait ? out.wait_ms : out.lease_ms) = *ms;
    } else {
      return invalid("'" + std::string{key} + "' is not known; 'max', 'wait_s' and 'lease_s' are");
    }
  }
  return out;
}

/// Where ?from= points.
result<queue_replay> replay_of(const admin_request& request, const std::string& from,
                               std::string_view tag, std::uint32_t max) {
  queue_replay out{.stream = request.name,
                   .from_seq = 0,
                   .from_time_ms = {},
                   .max = max,
                   .max_bytes = request.max_answer_bytes};
  if (const auto id = parse_event_id(from)) {
    if (id->tag != tag) return error{errc::not_found, "'from' is an id of another node's journal"};
    out.from_seq = id->seq;
  } else if (const auto time = parse_rfc3339(from)) {
    out.from_time_ms = *time;
  } else {
    return invalid("'from' must be an event's id or an RFC 3339 time, like "
                   "2026-01-31T12:00:00Z");
  }
  return out;
}

result<queue_receipts> receipts_of(const admin_request& request, bool accept) {
  const auto body = json_object_of(request.body, R"({"receipts":["…"]})");
  if (!body) return body.error();
  const auto* list = body->if_contains("receipts");
  if (!list || !list->is_array() || body->size() != 1)
    return invalid(R"(the body must be {"receipts":["…"]})");
  queue_receipts out{.stream = request.name, .accept = accept, .receipts = {}};
  out.receipts.reserve(list->get_array().size());
  for (const auto& entry : list->get_array()) {
    const auto text = entry.is_string() ? std::string_view{entry.get_string()} : "";
    const auto parsed = parse_receipt(text);
    if (!parsed)
      return invalid("receipts[" + std::to_string(out.receipts.size()) +
                     "] is not a receipt that a receive gave; none of the list was counted");
    out.receipts.push_back(*parsed);
  }
  return out;
}

awaitable<admin_answer> read_again(admin_context& context, admin_request& request,
                                   std::uint32_t max) {
  const auto from = query_value(request.query, "from");
  const auto& tag = context.node.tag;
  auto replay = replay_of(request, from.value_or(""), tag, max);
  if (!replay) co_return answer_of(replay.error());
  const auto answer = co_await context.actors.ask<queue_delivery_ptr>(
      context.queue, std::move(*replay), queue_answer_timeout);
  if (!answer) co_return answer_of(answer.error());
  if (!(*answer)->ok) co_return answer_of((*answer)->why);
  co_return admin_answer{.body = messages_json(**answer, tag, true)};
}

bool reads_again(const admin_request& request) {
  const auto& query = request.query;
  return query.substr(0, 5) == "from=" || query.find("&from=") != query.npos;
}

/// Gives messages back that never reached their consumer.
std::function<void()> give_back(queue_handle queue, std::string stream, queue_delivery_ptr got) {
  return [queue = std::move(queue), stream = std::move(stream), got = std::move(got)] {
    queue_receipts back{.stream = stream, .accept = false, .receipts = {}};
    for (const auto& message : got->messages)
      back.receipts.push_back(message.ticket);
    caf::anon_send(queue, std::move(back));
  };
}

awaitable<admin_answer> settle(admin_context& context, admin_request& request, bool accept) {
  auto receipts = receipts_of(request, accept);
  if (!receipts) co_return answer_of(receipts.error());
  const auto answer = co_await context.actors.ask<queue_receipts_done>(
      context.queue, std::move(*receipts), queue_answer_timeout);
  if (!answer) co_return answer_of(answer.error());
  if (!answer->ok) co_return answer_of(answer->why);
  std::string body = accept ? R"({"acked":)" : R"({"nacked":)";
  body += std::to_string(answer->done) + R"(,"stale":)" + std::to_string(answer->stale) + "}";
  co_return admin_answer{.body = std::move(body)};
}

// GET: {"stream":…,"depth":…,"oldest_age_s":…,"in_flight":…}; with ?from= (an event's id or an
// RFC 3339 time) and ?max= reads again: messages without receipts, and "next" for the next from.
awaitable<admin_answer> get_queue(admin_context& context, admin_request& request) {
  if (reads_again(request)) {
    const auto text = query_value(request.query, "max");
    std::int64_t number = default_receive_messages;
    if (text) {
      const auto* end = text->data() + text->size();
      const auto read = std::from_chars(text->data(), end, number);
      if (read.ec != std::errc{} || read.ptr != end) number = 0;
    }
    const auto max = count_of(number);
    if (!max) co_return answer_of(max.error());
    co_return co_await read_again(context, request, *max);
  }
  queue_stats_request question{request.name};
  const auto answer = co_await context.actors.ask<queue_stats_reply>(
      context.queue, std::move(question), queue_answer_timeout);
  if (!answer) co_return answer_of(answer.error());
  if (!answer->ok) co_return answer_of(answer->why);
  const auto& stats = answer->stats;
  std::string body = R"({"stream":)";
  append_json_string(body, stats.stream);
  body += R"(,"depth":)" + std::to_string(stats.depth);
  body += R"(,"oldest_age_s":)" + json::serialize(json::value(stats.oldest_ms / 1e3));
  body += R"(,"in_flight":)" + std::to_string(stats.in_flight) + "}";
  co_return admin_answer{.body = std::move(body)};
}

// POST {"max":n,"wait_s":s,"lease_s":l}, all optional. `max` and `wait_s` are cut to what one
// answer and one wait may be; ?from= reads again instead. When the answer can't be written its
// messages go back to the queue at once.
awaitable<admin_answer> receive_from_queue(admin_context& context, admin_request& request) {
  auto command = receive_of(request);
  if (!command) co_return answer_of(command.error());
  if (reads_again(request)) co_return co_await read_again(context, request, command->max);
  const auto timeout = std::chrono::milliseconds{command->wait_ms} + queue_answer_timeout;
  command->wait_id = ++context.last_wait;
  if (request.on_gone)
    *request.on_gone = [queue = context.queue,
                        stop = queue_stop_waiting{command->stream, command->wait_id}] {
      caf::anon_send(queue, stop);
    };
  const auto answer =
      co_await context.actors.ask<queue_delivery_ptr>(context.queue, std::move(*command), timeout);
  if (!answer) co_return answer_of(answer.error());
  const auto& got = *answer;
  if (!got->ok) co_return answer_of(got->why);
  admin_answer out{.body = messages_json(*got, context.node.tag, false)};
  if (!got->messages.empty()) out.undelivered = give_back(context.queue, request.name, got);
  co_return out;
}

// POST {"receipts":[…]} → {"acked":n,"stale":m} once it is durable. A stale receipt is one whose
// message went to another consumer since; its acknowledgement does not count.
awaitable<admin_answer> ack_to_queue(admin_context& context, admin_request& request) {
  return settle(context, request, true);
}

// The same with {"nacked":n,"stale":m}: the messages are handed out again at once.
awaitable<admin_answer> nack_to_queue(admin_context& context, admin_request& request) {
  return settle(context, request, false);
}

constexpr admin_name_check stream_name{is_stream_name, stream_name_rule};
constexpr admin_rules queue_read_rules{
    .name = &stream_name, .kind = admin_kind::consumers, .sized = true};
constexpr admin_rules queue_receive_rules{.name = &stream_name,
                                          .max_body_bytes = small_body_bytes,
                                          .kind = admin_kind::consumers,
                                          .waits = true,
                                          .sized = true};
constexpr admin_rules queue_settle_rules{
    .name = &stream_name, .max_body_bytes = list_body_bytes, .kind = admin_kind::consumers};

constexpr admin_route routes_of_queue[] = {
    {http::verb::get, "/v1/queue/{stream}", get_queue, queue_read_rules},
    {http::verb::post, "/v1/queue/{stream}/receive", receive_from_queue, queue_receive_rules},
    {http::verb::post, "/v1/queue/{stream}/ack", ack_to_queue, queue_settle_rules},
    {http::verb::post, "/v1/queue/{stream}/nack", nack_to_queue, queue_settle_rules},
};

} // namespace

std::span<const admin_route> queue_routes() {
  return routes_of_queue;
}

} // namespace penstock
