// What the admin plane writes and reads, without a socket.
#include "actors/delivery/sink_metrics.hpp"
#include "actors/journal/journal_metrics.hpp"
#include "actors/queue/queue_metrics.hpp"
#include "net/admin/admin_routes.hpp"
#include "net/admin/usage_rebuild.hpp"
#include "net/base/json_message.hpp"
#include "net/base/json_text.hpp"
#include "net/base/problem.hpp"
#include "net/base/rfc3339.hpp"
#include "net/http/bearer_token.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/telemetry/metrics_page.hpp"
#include "net/telemetry/status_page.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <random>

using namespace penstock;
namespace json = boost::json;

namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

json::value parsed(const std::string& text) {
  boost::system::error_code failed;
  auto out = json::parse(text, failed);
  INFO(text);
  REQUIRE_FALSE(failed);
  return out;
}

queue_delivery delivery_of(const std::vector<std::string>& bodies, const std::string& type,
                           const std::string& attributes) {
  auto block = std::make_shared<event_block>();
  block->first_seq = 255;
  block->time_ms = 1'795'294'077'123;
  for (const auto& body : bodies)
    block->push(body, type, 0, attributes);
  queue_delivery out;
  for (std::uint32_t i = 0; i < bodies.size(); ++i)
    out.messages.push_back({block, i, {255 + i, 7}, false});
  out.next_seq = 256;
  return out;
}

} // namespace

TEST_CASE("JSON strings: every escape, and random text read back by a parser") {
  CHECK(as_json("") == R"("")");
  CHECK(as_json("a\"b\\c\n\r\t\b\f") == R"("a\"b\\c\n\r\t\b\f")");
  CHECK(as_json(std::string_view{"\0\x1f/", 3}) == R"("\u0000\u001f/")");
  CHECK(as_json("é😀") == "\"é😀\"");
  std::mt19937 random{7};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (unsigned i = random() % 40; i > 0; --i)
      text += static_cast<char>(random() % 128);
    CHECK(parsed(as_json(text)).as_string() == text);
  }
}

TEST_CASE("text that is not UTF-8 never breaks a document") {
  const auto document = parsed(to_json({.status = 400, .detail = "bad \xff\xfe name"}));
  CHECK(document.at("detail").as_string() == "bad ?? name");
}

TEST_CASE("problems: type, title, status, detail and further members") {
  const auto full = parsed(to_json({.status = 429,
                                    .detail = "too fast",
                                    .members = R"("violated-policies":[{"name":"burst"}])"}));
  CHECK(full.at("type").as_string() ==
        "https://iana.org/assignments/http-problem-types#quota-exceeded");
  CHECK(full.at("title").as_string() == "Too Many Requests");
  CHECK(full.at("status").as_int64() == 429);
  CHECK(full.at("violated-policies").as_array().size() == 1);
  const auto plain = parsed(to_json(problem_from({errc::not_found, "no such stream"})));
  CHECK(plain.at("type").as_string() == "about:blank");
  CHECK(plain.at("status").as_int64() == 404);
  CHECK(http_status(errc::journal_full) == 507);
  CHECK(status_phrase(507) == "Insufficient Storage");
  CHECK(status_phrase(699) == "Error");
}

TEST_CASE("RFC 3339 times") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(1'795'294'077'123) == "2026-11-21T20:47:57.123Z");
  CHECK(parse_rfc3339("2026-11-21T20:47:57.123Z") == 1'795'294'077'123);
  CHECK(parse_rfc3339("2026-11-21T20:47:57Z") == 1'795'294'077'000);
  CHECK(parse_rfc3339("2026-11-21T22:47:57.123999+02:00") == 1'795'294'077'123);
  CHECK(parse_rfc3339("2026-11-21t15:17:57.1-05:30") == 1'795'294'077'100);
  CHECK(parse_rfc3339("2024-02-29T00:00:00Z").has_value());
  for (const auto* bad :
       {"", "2026", "2026-11-21", "2026-11-21T20:47:57", "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T20:47:57.Z",
        "2026-11-21T20:47:57Zx", "2026-11-21T20:47:57+2:00", "-026-11-21T20:47:57Z"})
    CHECK_FALSE(parse_rfc3339(bad).has_value());
}

TEST_CASE("messages: text as a string, other bytes as base64, unchanged either way") {
  const std::vector<std::string> bodies{
      "{\"a\": 1}\n", std::string{"\xff\x00\xfe", 3}, "", "\xff\xff", "\xff", "snö ☃"};
  const auto document = parsed(
      messages_json(delivery_of(bodies, "application/json", R"({"k":"v"})"), "abcdefgh", false));
  const auto& messages = document.at("messages").as_array();
  REQUIRE(messages.size() == bodies.size());
  CHECK(messages[0].at("id").as_string() == "00000000000000ff-abcdefgh");
  CHECK(messages[0].at("receipt").as_string() == "ff.7");
  CHECK(messages[0].at("time").as_string() == "2026-11-21T20:47:57.123Z");
  CHECK(messages[0].at("content_type").as_string() == "application/json");
  CHECK(messages[0].at("attributes").at("k").as_string() == "v");
  CHECK(messages[0].at("data").as_string() == bodies[0]);
  CHECK(messages[1].at("data_base64").as_string() == "/wD+");
  CHECK_FALSE(messages[1].as_object().contains("data"));
  CHECK(messages[2].at("data").as_string().empty());
  CHECK(messages[3].at("data_base64").as_string() == "//8=");
  CHECK(messages[4].at("data_base64").as_string() == "/w==");
  CHECK(messages[5].at("data").as_string() == bodies[5]);
  CHECK_FALSE(document.as_object().contains("next"));
}

TEST_CASE("messages read again have no receipt but tell where to go on") {
  const auto document =
      parsed(messages_json(delivery_of({"x"}, "text/plain", ""), "abcdefgh", true));
  CHECK_FALSE(document.at("messages").at(0).as_object().contains("receipt"));
  CHECK(document.at("messages").at(0).at("attributes").as_object().empty());
  CHECK(document.at("next").as_string() == "0000000000000100-abcdefgh");
}

TEST_CASE("a content type that is not UTF-8 still makes a document") {
  parsed(messages_json(delivery_of({"x"}, "text/\xff", ""), "abcdefgh", false));
}

TEST_CASE("routes") {
  CHECK(match_route("/metrics", "/metrics") == "");
  CHECK_FALSE(match_route("/metrics", "/metrics/").has_value());
  CHECK(match_route("/v1/queue/{stream}/ack", "/v1/queue/a.b-c/ack") == "a.b-c");
  CHECK(match_route("/v1/queue/{stream}", "/v1/queue/%61b") == "ab");
  CHECK_FALSE(match_route("/v1/queue/{stream}", "/v1/queue/").has_value());
  CHECK_FALSE(match_route("/v1/queue/{stream}", "/v1/queue/a/b").has_value());
  CHECK_FALSE(match_route("/v1/queue/{stream}/ack", "/v1/queue/a/nack").has_value());
  CHECK_FALSE(match_route("/v1/queue/{stream}/ack", "/v1/queue/ack").has_value());
  CHECK(query_value("a=1&from=2026-01-01T00%3A00:00+02:00", "from") == "2026-01-01T00:00:00+02:00");
  CHECK(query_value("from", "from") == "");
  CHECK_FALSE(query_value("xfrom=1", "from").has_value());
  CHECK_FALSE(query_value("from=%2", "from").has_value());
}

TEST_CASE("a sink: its lag, its counts and its state, as metrics and in the status") {
  auto sink = std::make_shared<sink_metrics>("bus", "nats");
  metrics_sources from;
  from.sinks = {sink};
  CHECK(metrics_page(from).find("penstock_sink_up{sink=\"bus\"} 1\n") != std::string::npos);
  node_state node;
  const auto before = parsed(status_json(from, node)).at("sinks").at(0).as_object();
  CHECK(before.at("last_error").is_null());
  CHECK(before.at("streams").as_array().empty());

  sink->delivered.add(5);
  sink->refused.add(1);
  sink->failures.add(2);
  sink->inflight_batches.set(3);
  sink->batch_us.observe(60);
  sink->publish(sink_state::open, "connection refused", 1,
                {{"bus", "nats", "orders", 7, 700, 1'500}});
  const auto page = metrics_page(from);
  for (const auto* line :
       {"penstock_sink_lag_events{sink=\"bus\",stream=\"orders\"} 7\n",
        "penstock_sink_lag_bytes{sink=\"bus\",stream=\"orders\"} 700\n",
        "penstock_sink_lag_seconds{sink=\"bus\",stream=\"orders\"} 1.5\n",
        "penstock_sink_up{sink=\"bus\"} 0\n", "penstock_sink_delivered_total{sink=\"bus\"} 5\n",
        "penstock_sink_refused_total{sink=\"bus\"} 1\n",
        "penstock_sink_failures_total{sink=\"bus\"} 2\n",
        "penstock_sink_inflight_batches{sink=\"bus\"} 3\n",
        "penstock_sink_batch_seconds_bucket{sink=\"bus\",le=\"0.0001\"} 1\n",
        "penstock_sink_batch_seconds_count{sink=\"bus\"} 1\n"}) {
    INFO(line << page);
    CHECK(page.find(line) != page.npos);
  }
  const auto after = parsed(status_json(from, node)).at("sinks").at(0).as_object();
  CHECK(after.at("state").as_string() == "open");
  CHECK(after.at("last_error").as_string() == "connection refused");
  CHECK(after.at("last_error_age_s").to_number<double>() > 0);
  CHECK(after.at("streams").at(0).at("lag_events").to_number<int>() == 7);
}

TEST_CASE("what a rebuild of usage is asked for, and what it tells") {
  constexpr std::int64_t now_ms = 1'800'000'000'500;
  const auto hour = parse_rebuild_request("", now_ms);
  REQUIRE(hour.has_value());
  CHECK(hour->to_s == 1'800'000'001);
  CHECK(hour->from_s == 1'799'996'400);
  CHECK_FALSE(hour->dry_run);
  CHECK(parse_rebuild_request(R"({"to":"2090-01-01T00:00:00Z"})", now_ms)->to_s == 1'800'000'001);
  CHECK(parse_rebuild_request(R"({"from":"-5m","dry_run":true})", now_ms)->dry_run);
  for (const auto* wrong : {"[]", R"({"form":"-1h"})", R"({"from":5})", R"({"from":"soon"})",
                            R"({"from":"now","to":"-1h"})", R"({"dry_run":1})"})
    CHECK(parse_rebuild_request(wrong, now_ms).error().code == errc::invalid);

  usage_rebuild_status board;
  CHECK(rebuild_json(board.read()) == R"({"state":"none"})");
  CHECK(board.begin());
  CHECK_FALSE(board.begin());
  board.progress(5, 10);
  CHECK(rebuild_json(board.read()) == R"({"state":"running","done_bytes":5,"all_bytes":10})");
  board.finish(error{errc::io, "the disk is gone"});
  CHECK(parsed(rebuild_json(board.read())).at("error").as_string() ==
        "The node can't use its files; its log says why.");
  CHECK(board.begin());
  usage_rebuilt outcome;
  outcome.read = {3, 30};
  outcome.ids.push_back({usage_dimension::account, "acme", {3, 30}, {1, 10}, {2, 20}});
  board.finish(outcome);
  const auto told = parsed(rebuild_json(board.read())).at("result").as_object();
  CHECK(told.at("read").at("events").to_number<int>() == 3);
  CHECK(told.at("ids").at(0).at("by").as_string() == "account");
  CHECK(told.at("ids").at(0).at("added").at("bytes").to_number<int>() == 20);
}

TEST_CASE("the token") {
  const bearer_token token{"s3cret"};
  CHECK(token.admits("Bearer s3cret"));
  CHECK(token.admits("bearer s3cret"));
  for (const auto* wrong :
       {"", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3crets", "s3cret", "Basic s3cret"})
    CHECK_FALSE(token.admits(wrong));
  CHECK(bearer_token{""}.admits(""));
}

TEST_CASE("metrics: sums over front ends, cumulative buckets, base units") {
  front_end_metrics one, two;
  one.count_status(202);
  two.count_status(202);
  two.count_status(418);
  one.request_us.observe(60);
  two.request_us.observe(1'000);
  two.request_us.observe(9'000'000);
  one.count(shed_reason::in_flight);
  auto journal = std::make_shared<journal_metrics>();
  journal->bytes.set(4096);
  auto queue = std::make_shared<queue_metrics>();
  queue->publish({{.stream = "s", .depth = 3, .in_flight = 1, .oldest_ms = 1'500}});
  metrics_sources from;
  from.node_name = "a";
  from.version = "1";
  from.front_ends = {&one, &two};
  auto limiter = std::make_shared<limiter_metrics>();
  limiter->refused_by_limit[1].add(7);
  limiter->shadowed_by_limit[0].add(3);
  from.limiters = {limiter};
  auto names = std::make_shared<limit_labels>();
  names->slot_of("free", "burst");
  names->slot_of("free", "daily");
  from.limit_names = names;
  auto counters = std::make_shared<counters_metrics>();
  counters->rows.add(9);
  from.counters = counters;
  from.dropped_log_lines = [] { return std::uint64_t{4}; };
  one.received_lost.add(3);
  journal->damaged.set(2);
  from.journal = journal;
  from.queue = queue;
  from.mailboxes = {{"journal", [] { return std::uint64_t{5}; }}};
  const auto page = metrics_page(from);
  for (const auto* line :
       {"# TYPE penstock_http_requests_total counter\n",
        "penstock_http_requests_total{status=\"202\"} 2\n",
        "penstock_http_requests_total{status=\"other\"} 1\n",
        "penstock_http_request_seconds_bucket{le=\"+Inf\"} 3\n",
        "penstock_http_request_seconds_count 3\n", "penstock_shed_total{reason=\"in_flight\"} 1\n",
        "penstock_verdicts_total{result=\"refused\",reason=\"quota\"} 0\n",
        "penstock_limit_refusals_total{plan=\"free\",limit=\"burst\"} 0\n",
        "penstock_limit_refusals_total{plan=\"free\",limit=\"daily\"} 7\n",
        "penstock_limit_shadow_refusals_total{plan=\"free\",limit=\"burst\"} 3\n",
        "penstock_limiter_saved_rows_total 9\n", "penstock_log_dropped_total 4\n",
        "penstock_received_lost_total 3\n", "penstock_journal_damaged_segments 2\n",
        "penstock_damaged_stores 0\n", "penstock_journal_bytes 4096\n",
        "penstock_queue_depth{stream=\"s\"} 3\n",
        "penstock_queue_oldest_seconds{stream=\"s\"} 1.5\n",
        "penstock_mailbox_depth{actor=\"journal\"} 5\n"}) {
    INFO(line << page);
    CHECK(page.find(line) != page.npos);
  }
  CHECK(page.find("penstock_cluster_peers_up") == page.npos);
  const auto totals = totals_of(from);
  CHECK(totals.requests == 3);
  CHECK(totals.accepted == 2);
  CHECK(totals.shed == 1);

  node_state node;
  node.ready = true;
  const auto status = parsed(status_json(from, node));
  CHECK(status.at("node").as_string() == "a");
  CHECK(status.at("ready").as_bool());
  CHECK(status.at("queues").at(0).at("depth").to_number<int>() == 3);
}
