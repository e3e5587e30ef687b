// The admin plane over a real socket, with the queue's part played by the test.
#include "actors/queue_messages.hpp"
#include "actors/system_config.hpp"
#include "net/admin_server.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast.hpp>
#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <mutex>

using namespace penstock;
namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;

namespace {

/// Notes what it is asked; a receive with a wait is answered only when released.
struct fake_queue {
  std::mutex mutex;
  std::vector<queue_receive> receives;
  std::vector<queue_receipts> receipts;
  std::vector<queue_replay> replays;
  bool ack_fails = false;

  queue_delivery_ptr messages() {
    auto block = std::make_shared<event_block>();
    block->first_seq = 16;
    block->push("hello", "text/plain", 0);
    auto out = std::make_shared<queue_delivery>();
    out->messages.push_back({block, 0, {16, 3}, false});
    out->next_seq = 17;
    return out;
  }

  caf::behavior behavior() {
    return {[this](const queue_receive& r) {
              const std::lock_guard hold{mutex};
              receives.push_back(r);
              return messages();
            },
            [this](const queue_receipts& r) {
              const std::lock_guard hold{mutex};
              receipts.push_back(r);
              queue_receipts_done out;
              out.done = r.receipts.size();
              if (ack_fails) {
                out.ok = false;
                out.why = {errc::disk_full, "no room"};
              }
              return out;
            },
            [this](const queue_replay& r) {
              const std::lock_guard hold{mutex};
              replays.push_back(r);
              return messages();
            },
            [](const queue_stats_request& r) {
              queue_stats_reply out;
              out.ok = r.stream != "elsewhere";
              out.why = {errc::not_found, "that feeds no queue"};
              out.stats = {.stream = r.stream, .depth = 5, .in_flight = 2, .oldest_ms = 1'500};
              return out;
            }};
  }
};

struct running_server {
  system_config config{1};
  caf::actor_system sys{config};
  fake_queue queue;
  node_state node;
  metrics_sources metrics;
  caf::actor actor;
  std::unique_ptr<admin_server> server;
  asio::io_context io;
  boost::beast::tcp_stream stream{io};
  boost::beast::flat_buffer buffer;

  explicit running_server(const std::string& token = "") {
    node.tag = "abcdefgh";
    node.ready = true;
    metrics.node_name = "test";
    actor = sys.spawn([this] { return queue.behavior(); });
    auto started = admin_server::start({{"127.0.0.1:0", token}, sys, actor, node, metrics});
    REQUIRE(started.has_value());
    server = std::move(*started);
    connect();
  }
  ~running_server() {
    server.reset();
    caf::anon_send_exit(actor, caf::exit_reason::kill);
  }
  void connect() {
    buffer.clear();
    stream.close();
    stream.connect({asio::ip::make_address("127.0.0.1"), server->port()});
  }

  http::response<http::string_body> send(http::verb method, const std::string& target,
                                         const std::string& body = "",
                                         const std::string& token = "") {
    http::request<http::string_body> request{method, target, 11};
    request.set(http::field::host, "localhost");
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
    request.body() = body;
    request.prepare_payload();
    http::write(stream, request);
    return read();
  }
  http::response<http::string_body> read() {
    http::response<http::string_body> response;
    http::read(stream, buffer, response);
    return response;
  }
  http::response<http::string_body> get(const std::string& target) {
    return send(http::verb::get, target);
  }
  http::response<http::string_body> post(const std::string& target, const std::string& body) {
    return send(http::verb::post, target, body);
  }
};

} // namespace

TEST_CASE("pages, status and health on one connection") {
  running_server s;
  CHECK(s.get("/livez").body() == "ok\n");
  CHECK(s.get("/readyz").result_int() == 200);
  s.node.draining = true;
  CHECK(s.get("/readyz?verbose").result_int() == 503);
  const auto page = s.get("/");
  CHECK(page[http::field::content_type] == "text/html; charset=utf-8");
  CHECK(page.body().find("http://") == std::string::npos); // nothing from elsewhere
  CHECK(page.body().find("https://") == std::string::npos);
  CHECK(s.get("/metrics").body().find("penstock_build_info{") != std::string::npos);
  CHECK(json::parse(s.get("/v1/admin/status").body()).at("node").as_string() == "test");
}

TEST_CASE("receive, ack, nack, statistics") {
  running_server s;
  const auto got =
      json::parse(s.post("/v1/queue/s/receive", R"({"max":7,"wait_s":1.5,"lease_s":60})").body());
  CHECK(got.at("messages").at(0).at("data").as_string() == "hello");
  CHECK(s.queue.receives[0].max == 7);
  CHECK(s.queue.receives[0].wait_ms == 1'500);
  CHECK(s.queue.receives[0].lease_ms == 60'000);
  CHECK(s.queue.receives[0].stream == "s");
  s.post("/v1/queue/s/receive", R"({"max":99999999,"wait_s":1e9})");
  CHECK(s.queue.receives[1].max == max_receive_messages);
  CHECK(s.queue.receives[1].wait_ms == max_receive_wait_ms);
  s.post("/v1/queue/s/receive", "");
  CHECK(s.queue.receives[2].wait_ms == 0);

  CHECK(s.post("/v1/queue/s/ack", R"({"receipts":["10.3"]})").body() == R"({"acked":1,"stale":0})");
  CHECK(s.queue.receipts[0].accept);
  CHECK(s.queue.receipts[0].receipts == std::vector<receipt>{{16, 3}});
  CHECK(s.post("/v1/queue/s/nack", R"({"receipts":[]})").body() == R"({"nacked":0,"stale":0})");
  CHECK_FALSE(s.queue.receipts[1].accept);

  const auto stats = json::parse(s.get("/v1/queue/s").body());
  CHECK(stats.at("depth").to_number<int>() == 5);
  CHECK(stats.at("in_flight").to_number<int>() == 2);
  CHECK(stats.at("oldest_age_s").to_number<double>() == 1.5);
}

TEST_CASE("reading again, from an id or a time") {
  running_server s;
  const auto first = json::parse(s.get("/v1/queue/s?from=0000000000000010-abcdefgh&max=3").body());
  CHECK(first.at("next").as_string() == "0000000000000011-abcdefgh");
  CHECK_FALSE(first.at("messages").at(0).as_object().contains("receipt"));
  CHECK(s.queue.replays[0].from_seq == 16);
  CHECK(s.queue.replays[0].max == 3);
  s.post("/v1/queue/s/receive?from=1970-01-01T00:00:01%2B00:00", R"({"max":4})");
  CHECK(s.queue.replays[1].from_time_ms == 1'000);
  CHECK(s.queue.replays[1].max == 4);
  CHECK(s.get("/v1/queue/s?from=0000000000000010-zzzzzzzz").result_int() == 404);
  CHECK(s.get("/v1/queue/s?from=yesterday").result_int() == 400);
  CHECK(s.get("/v1/queue/s?from=").result_int() == 400);
  CHECK(s.get("/v1/queue/s?from=1970-01-01T00:00:01Z&max=x").result_int() == 400);
  CHECK(s.queue.receives.empty());
}

TEST_CASE("bad input gets a problem that names what is wrong") {
  running_server s;
  const auto check = [&](const std::string& target, const std::string& body, unsigned status,
                         const std::string& names) {
    const auto answer = s.post(target, body);
    INFO(target << " " << body << " → " << answer.body());
    CHECK(answer.result_int() == status);
    CHECK(answer[http::field::content_type] == "application/problem+json");
    CHECK(answer.body().find(names) != std::string::npos);
  };
  check("/v1/queue/s/receive", "{", 400, "JSON");
  check("/v1/queue/s/receive", "[]", 400, "object");
  check("/v1/queue/s/receive", R"({"max":0})", 400, "'max'");
  check("/v1/queue/s/receive", R"({"max":"3"})", 400, "'max'");
  check("/v1/queue/s/receive", R"({"max":1.5})", 400, "'max'");
  check("/v1/queue/s/receive", R"({"wait_s":-1})", 400, "'wait_s'");
  check("/v1/queue/s/receive", R"({"lease_s":null})", 400, "'lease_s'");
  check("/v1/queue/s/receive", R"({"wait":1})", 400, "'wait'");
  check("/v1/queue/s/ack", "", 400, "receipts");
  check("/v1/queue/s/ack", R"({"receipts":"10.3"})", 400, "receipts");
  check("/v1/queue/s/ack", R"({"receipts":["10.3","nonsense"]})", 400, "receipts[1]");
  check("/v1/queue/s/ack", R"({"receipts":[5]})", 400, "receipts[0]");
  check("/v1/queue/a%20b/receive", "{}", 400, "stream");
  check("/nothing", "{}", 404, "path");
  check("/metrics", "{}", 405, "GET");
  CHECK(s.queue.receipts.empty());
  const auto wrong = s.get("/v1/queue/s/ack");
  CHECK(wrong[http::field::allow] == "POST");
  CHECK(s.get("/v1/queue/elsewhere").result_int() == 404);
  s.queue.ack_fails = true;
  check("/v1/queue/s/ack", R"({"receipts":["10.3"]})", 507, "no room");
}

TEST_CASE("what is not HTTP, or too large, is refused and closed") {
  running_server s;
  const auto raw = [&](const std::string& text) {
    s.connect();
    asio::write(s.stream.socket(), asio::buffer(text));
    return s.read().result_int();
  };
  CHECK(raw("nonsense\r\n\r\n") == 400);
  CHECK(raw("GET / HTTP/1.1\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n") == 431);
  CHECK(raw("POST /v1/queue/s/ack HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n") == 413);
  CHECK(raw("GET /livez HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\n\r\n") == 403);
  s.connect();
  CHECK(s.get("/livez").result_int() == 200);
}

TEST_CASE("with a token, only probes are open") {
  running_server s{"s3cret"};
  CHECK(s.get("/livez").result_int() == 200);
  CHECK(s.get("/metrics").result_int() == 401);
  CHECK(s.get("/nothing").result_int() == 401);
  CHECK(s.send(http::verb::get, "/metrics", "", "wrong").result_int() == 401);
  const auto answer = s.send(http::verb::get, "/metrics", "", "s3cret");
  CHECK(answer.result_int() == 200);
  CHECK(s.post("/v1/queue/s/receive", "{}").result_int() == 401);
  CHECK(s.queue.receives.empty());
}

TEST_CASE("a queue that is gone is a 503, and the server goes on") {
  running_server s;
  caf::anon_send_exit(s.actor, caf::exit_reason::kill);
  const auto answer = s.post("/v1/queue/s/receive", "{}");
  CHECK(answer.result_int() == 503);
  CHECK_FALSE(answer[http::field::retry_after].empty());
  CHECK(s.get("/livez").result_int() == 200);
}

TEST_CASE("addresses that can't be listened on are errors") {
  running_server s;
  const auto start = [&](const std::string& listen) {
    return admin_server::start({{listen, ""}, s.sys, s.actor, s.node, s.metrics});
  };
  CHECK(start("nonsense").error().code == errc::config);
  CHECK(start("127.0.0.1:http").error().code == errc::config);
  CHECK(start("127.0.0.1:" + std::to_string(s.server->port())).error().code == errc::unavailable);
}
