#include "net/admin/dead_letters.hpp"

#include "actors/base/error_text.hpp"
#include "actors/dead_letters/dead_letters_actor.hpp"
#include "net/admin/dead_letter_json.hpp"
#include "net/base/json_body.hpp"
#include "net/base/rfc3339.hpp"
#include "net/base/stream_name.hpp"
#include "net/base/wall_time.hpp"
#include "storage/events/event_id.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <charconv>

namespace penstock {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using boost::asio::awaitable;

constexpr std::string_view letters_time_rule =
    "an RFC 3339 time like 2026-01-31T12:00:00Z, \"now\", or a time before now like -24h";

error letters_wrong(std::string_view name, std::string_view rule) {
  return invalid(fmt::format("'{}' must be {}", name, rule));
}

std::string_view letters_view(const json::value& value) {
  if (!value.is_string()) return {};
  return {value.get_string().data(), value.get_string().size()};
}

// -- which letters --------------------------------------------------------------------------------

result<void> take_sink(std::string_view text, dead_letter_filter& filter) {
  if (!is_name(text)) return letters_wrong("sink", name_rule);
  filter.sink = text;
  return {};
}

result<void> take_stream(std::string_view text, dead_letter_filter& filter) {
  if (!is_stream_name(text)) return invalid(fmt::format("'stream': {}", stream_name_rule));
  filter.stream = text;
  return {};
}

result<dead_letter_id> dead_letter_id_of(std::string_view name, std::string_view text) {
  const auto id = parse_event_id(text);
  if (!id)
    return invalid(fmt::format("'{}' is not an event's id, like 000000000000002a-abcdefgh", name));
  return dead_letter_id{id->seq, std::string{id->tag}};
}

result<void> take_ids(const json::value& value, dead_letter_filter& filter) {
  if (!value.is_array() || value.get_array().empty())
    return letters_wrong("ids", "a list of events' ids, one at least");
  const auto& list = value.get_array();
  if (list.size() > max_dead_letter_ids)
    return invalid(fmt::format("'ids' has {} entries; send at most {} at once", list.size(),
                               max_dead_letter_ids));
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto id = dead_letter_id_of(fmt::format("ids[{}]", i), letters_view(list[i]));
    if (!id) return id.error();
    filter.ids.push_back(std::move(*id));
  }
  return {};
}

/// What the body of a retry or a drop says; the rate only of a retry.
result<retry_dead_letters> dead_letters_request(std::string_view body, bool with_rate) {
  const auto members = json_object_of(body, R"({"sink":"NAME"} or {"ids":["…"]})");
  if (!members) return members.error();
  retry_dead_letters command;
  bool all = false;
  for (const auto& [name, value] : *members) {
    const std::string_view key{name.data(), name.size()};
    result<void> taken;
    if (key == "ids") {
      taken = take_ids(value, command.filter);
    } else if (key == "sink") {
      taken = take_sink(letters_view(value), command.filter);
    } else if (key == "stream") {
      taken = take_stream(letters_view(value), command.filter);
    } else if (key == "all") {
      if (!value.is_bool()) return letters_wrong("all", "true or false");
      all = value.get_bool();
    } else if (key == "rate" && with_rate) {
      const auto rate = job_rate_of(value);
      if (!rate) return rate.error();
      command.rate = *rate;
    } else {
      return invalid(quote(key) + " is not known; 'ids', 'sink', 'stream', 'all'" +
                     (with_rate ? " and 'rate'" : "") + " are");
    }
    if (!taken) return taken.error();
  }
  const auto& filter = command.filter;
  if (!all && filter.ids.empty() && filter.sink.empty() && filter.stream.empty())
    return invalid(R"(which ones? Add "ids":["…"], "sink":"…", "stream":"…" or "all":true)");
  return command;
}

result<std::uint64_t> letters_number(std::string_view name, const std::string& text,
                                     std::uint64_t min, std::uint64_t max) {
  std::uint64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < min || number > max)
    return letters_wrong(name, fmt::format("a whole number from {} to {}", min, max));
  return number;
}

result<void> take_parameter(std::string_view name, const std::string& text,
                            list_dead_letters& command) {
  if (name == "sink") return take_sink(text, command.filter);
  if (name == "stream") return take_stream(text, command.filter);
  if (name == "from" || name == "to") {
    const auto time = parse_time(text, wall_ms());
    if (!time) return letters_wrong(name, letters_time_rule);
    (name == "from" ? command.filter.from_ms : command.filter.to_ms) = *time;
    return {};
  }
  const bool limit = name == "limit";
  const auto number = letters_number(name, text, limit ? 1 : 0,
                                     limit ? max_dead_letters_page : std::uint64_t{1} << 62);
  if (!number) return number.error();
  if (limit)
    command.limit = static_cast<std::uint32_t>(*number);
  else
    command.after = *number;
  return {};
}

result<list_dead_letters> letters_query(std::string_view query) {
  list_dead_letters command;
  command.limit = default_dead_letters_page;
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto pair = query.substr(0, end);
    query = end == query.npos ? std::string_view{} : query.substr(end + 1);
    if (pair.empty()) continue;
    const auto name = pair.substr(0, pair.find('='));
    constexpr std::string_view known[] = {"sink", "stream", "from", "to", "limit", "after"};
    if (std::find(std::begin(known), std::end(known), name) == std::end(known))
      return invalid(quote(name) + " is not known; sink, stream, from, to, limit and after are");
    const auto text = percent_decode(pair.substr(std::min(name.size() + 1, pair.size())));
    if (!text) return letters_wrong(name, "percent-encoded: % and two hexadecimal digits");
    if (auto taken = take_parameter(name, *text, command); !taken) return taken.error();
  }
  return command;
}

// -- asking ---------------------------------------------------------------------------------------

template <class Reply, class Request>
awaitable<result<Reply>> ask_letters(admin_context& context, Request request) {
  if (!context.dead_letters) co_return error{errc::unavailable, "this node keeps no dead letters"};
  co_return co_await context.actors.ask<Reply>(context.dead_letters, std::move(request),
                                               dead_letters_answer_timeout);
}

awaitable<result<dead_letters_page_ptr>> ask_page(admin_context& context,
                                                  list_dead_letters command) {
  auto page = co_await ask_letters<dead_letters_page_ptr>(context, std::move(command));
  if (page && !(*page)->ok) co_return (*page)->why;
  co_return page;
}

} // namespace

result<std::uint32_t> job_rate_of(const json::value& value) {
  boost::system::error_code failed;
  const auto rate = value.to_number<std::uint64_t>(failed);
  if (failed || rate < 1 || rate > max_job_rate)
    return letters_wrong("rate", fmt::format("events per second, a whole number from 1 to {}; "
                                             "left out, it is as fast as the sink takes them",
                                             max_job_rate));
  return static_cast<std::uint32_t>(rate);
}

namespace {

// GET /v1/admin/dead-letters?sink=&stream=&from=&to=&limit=&after=: without bodies, the oldest
// dead letter first; `from` and `to` are when events were accepted.
awaitable<admin_answer> get_dead_letters(admin_context& context, admin_request& request) {
  auto command = letters_query(request.query);
  if (!command) co_return answer_of(command.error());
  const auto page = co_await ask_page(context, std::move(*command));
  if (!page) co_return answer_of(page.error());
  co_return admin_answer{.body = letters_json(**page)};
}

// GET /v1/admin/dead-letters/export: as the list, with bodies, one a line; some 4 MiB at most. The
// next page is that with ?after= the last line's "number"; the last one is empty.
awaitable<admin_answer> export_dead_letters(admin_context& context, admin_request& request) {
  auto command = letters_query(request.query);
  if (!command) co_return answer_of(command.error());
  command->with_bodies = true;
  const auto page = co_await ask_page(context, std::move(*command));
  if (!page) co_return answer_of(page.error());
  co_return admin_answer{.content_type = "application/x-ndjson", .body = letters_ndjson(**page)};
}

// GET /v1/admin/dead-letters/{id}?sink=: one with its body.
awaitable<admin_answer> get_dead_letter(admin_context& context, admin_request& request) {
  auto id = dead_letter_id_of("id", request.name);
  if (!id) co_return answer_of(id.error());
  auto command = letters_query(request.query);
  if (!command) co_return answer_of(command.error());
  command->filter.ids.push_back(std::move(*id));
  command->with_bodies = true;
  const auto page = co_await ask_page(context, std::move(*command));
  if (!page) co_return answer_of(page.error());
  const auto& letters = (*page)->letters;
  if (letters.empty())
    co_return answer_of(error{errc::not_found, "there is no dead letter " + request.name});
  if (letters.size() > 1)
    co_return answer_of(invalid("it is a dead letter of several sinks; add ?sink=" +
                                letters[0].letter.sink + " or ?sink=" + letters[1].letter.sink));
  std::string body;
  append_letter(body, letters.front(), true);
  co_return admin_answer{.body = std::move(body)};
}

// POST /v1/admin/dead-letters/replay {"ids":[…]}, {"sink":…,"stream":…} or {"all":true}, also with
// "rate": 202 with the job. "job" is null and "total" 0 when nothing matches; 404 if ids were
// named.
awaitable<admin_answer> serve_retry(admin_context& context, admin_request& request) {
  auto command = dead_letters_request(request.body, true);
  if (!command) co_return answer_of(command.error());
  const bool by_id = !command->filter.ids.empty();
  const auto answer = co_await ask_letters<job_answer>(context, std::move(*command));
  if (!answer) co_return answer_of(answer.error());
  if (!answer->ok) co_return answer_of(answer->why);
  if (by_id && answer->job.total == 0)
    co_return answer_of(error{errc::not_found, "none of these is a dead letter that is not being "
                                               "retried already"});
  co_return admin_answer{.status = 202, .body = job_json(answer->job, context.node.tag)};
}

// POST /v1/admin/dead-letters/drop, which says likewise: {"dropped":n}.
awaitable<admin_answer> serve_drop(admin_context& context, admin_request& request) {
  auto command = dead_letters_request(request.body, false);
  if (!command) co_return answer_of(command.error());
  drop_dead_letters drop{std::move(command->filter)};
  const auto answer = co_await ask_letters<dead_letters_dropped>(context, std::move(drop));
  if (!answer) co_return answer_of(answer.error());
  if (!answer->ok) co_return answer_of(answer->why);
  co_return admin_answer{.body = fmt::format(R"({{"dropped":{}}})", answer->dropped)};
}

constexpr admin_route routes_of_dead_letters[] = {
    {http::verb::get,
     "/v1/admin/dead-letters",
     get_dead_letters,
     {.answer_bytes = page_answer_bytes}},
    {http::verb::get,
     "/v1/admin/dead-letters/{id}",
     get_dead_letter,
     {.answer_bytes = page_answer_bytes}},
    {http::verb::get,
     "/v1/admin/dead-letters/export",
     export_dead_letters,
     {.answer_bytes = page_answer_bytes}},
    {http::verb::post,
     "/v1/admin/dead-letters/replay",
     serve_retry,
     {.max_body_bytes = list_body_bytes}},
    {http::verb::post,
     "/v1/admin/dead-letters/drop",
     serve_drop,
     {.max_body_bytes = list_body_bytes}},
};

} // namespace

std::span<const admin_route> dead_letters_routes() {
  return routes_of_dead_letters;
}

} // namespace penstock
