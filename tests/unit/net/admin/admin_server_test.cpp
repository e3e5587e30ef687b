// The admin plane over a real socket, with the queue's part played by the test.
#include "tests/unit/net/admin/admin_support.hpp"

#include <boost/json.hpp>

using namespace penstock;
using namespace penstock::admin_test;
namespace json = boost::json;

TEST_CASE("pages, status and health on one connection") {
  running_server s;
  CHECK(s.get("/livez").body() == "ok\n");
  CHECK(s.get("/readyz").result_int() == 200);
  s.node.journal_failed = true;
  CHECK(s.get("/readyz").result_int() == 503);
  CHECK(s.get("/readyz?verbose").body() == "not ready\ndraining: no\njournal: failed\n");
  s.node.journal_failed = false;
  s.node.standing = cluster_standing::without_shards;
  CHECK(s.get("/readyz").result_int() == 503);
  CHECK(s.get("/readyz?verbose").body() ==
        "not ready\ndraining: no\njournal: ok\ncluster: waits for "
        "the counters of its shards\n");
  s.node.standing = cluster_standing::in;
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
  check("/v1/queue/s/ack", R"({"receipts":["10.3"]})", 507, "is full");
}

TEST_CASE("what is not HTTP, or too large, is refused and closed") {
  running_server s;
  const std::string host = " HTTP/1.1\r\nHost: localhost\r\n";
  const auto raw = [&](const std::string& text) {
    s.connect();
    asio::write(s.stream.socket(), asio::buffer(text));
    return s.read().result_int();
  };
  CHECK(raw("nonsense\r\n\r\n") == 400);
  CHECK(raw("GET /" + host + "A: " + std::string(20'000, 'x') + "\r\n\r\n") == 431);
  CHECK(raw("GET /" + host + "A: " + std::string(90'000, 'x') + "\r\n\r\n") == 431);
  const std::string ack = "POST /v1/queue/s/ack" + host + "Content-Type: application/json\r\n";
  CHECK(raw(ack + "Content-Length: 99999999\r\n\r\n") == 413);
  CHECK(raw(ack + "Transfer-Encoding: chunked\r\n\r\nffffff\r\n" + std::string(1'100'000, 'x')) ==
        413);
  CHECK(raw(ack + "Transfer-Encoding: gzip\r\n\r\n") == 501);
  CHECK(raw("GET /livez HTTP/1.1\r\n\r\n") == 400);
  CHECK(raw("GET /livez HTTP/1.0\r\n\r\n") == 200);
  CHECK(raw("GET /livez HTTP/1.1\r\nHost: evil.example\r\n\r\n") == 421);
  CHECK(raw("GET /livez" + host + "Sec-Fetch-Site: same-site\r\n\r\n") == 403);
  CHECK(raw("GET http://localhost/livez" + host + "\r\n") == 200);
  CHECK(raw("OPTIONS /v1/admin/keys" + host +
            "Origin: http://localhost:1\r\nAccess-Control-Request-Method: POST\r\n\r\n") == 403);
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
    return admin_server::start({{listen, ""}, s.sys, stand_in(s.actor), s.node, s.metrics});
  };
  CHECK(start("nonsense").error().code == errc::config);
  CHECK(start("127.0.0.1:http").error().code == errc::config);
  CHECK(start("127.0.0.1:" + std::to_string(s.server->port())).error().code == errc::unavailable);
}
