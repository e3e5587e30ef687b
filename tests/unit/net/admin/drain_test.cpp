// /v1/admin/drain over a real socket, and what it tells.
#include "actors/delivery/sink_metrics.hpp"
#include "actors/system_config.hpp"
#include "net/admin/admin_server.hpp"
#include "net/admin/drain.hpp"
#include "net/http/front_end_metrics.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast.hpp>
#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
using namespace std::chrono_literals;
namespace http = boost::beast::http;
namespace json = boost::json;
using Catch::Matchers::Contains;

namespace {

struct drain_server {
  system_config config{1};
  caf::actor_system sys{config};
  node_state node;
  metrics_sources metrics;
  std::shared_ptr<drain_status> board = std::make_shared<drain_status>();
  std::atomic<int> begun{0};
  std::unique_ptr<admin_server> server;

  drain_server() {
    admin_parts parts{{"127.0.0.1:0", ""}, sys, {}, node, metrics};
    parts.drain = board;
    parts.begin_drain = [this] { ++begun; };
    auto started = admin_server::start(std::move(parts));
    REQUIRE(started.has_value());
    server = std::move(*started);
  }

  std::pair<unsigned, json::object> send(http::verb method, const std::string& body = "") {
    boost::asio::io_context io;
    boost::beast::tcp_stream stream{io};
    stream.connect({boost::asio::ip::make_address("127.0.0.1"), server->port()});
    http::request<http::string_body> request{method, "/v1/admin/drain", 11};
    request.set(http::field::host, "localhost");
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    http::write(stream, request);
    boost::beast::flat_buffer buffer;
    http::response<http::string_body> response;
    http::read(stream, buffer, response);
    return {response.result_int(), json::parse(response.body()).as_object()};
  }
};

} // namespace

TEST_CASE("a drain is asked for once, and its progress told", "[drain]") {
  drain_server s;
  CHECK_FALSE(s.board->has_reader(drain_status::clock::now(), 1h));
  const auto [status, before] = s.send(http::verb::get);
  CHECK(status == 200);
  CHECK(before.at("stage") == "serving");
  CHECK(before.at("seconds_left").is_null());
  CHECK(s.board->has_reader(drain_status::clock::now(), 1h));
  CHECK(s.begun == 0);

  const auto [asked, answer] =
      s.send(http::verb::post, R"({"timeout_s":2.5,"wait_for_queue":true})");
  CHECK(asked == 202);
  CHECK(answer.at("stage") == "announcing");
  CHECK(s.begun == 1);
  CHECK(s.board->request().timeout_ms == 2500ms);
  CHECK(s.board->request().wait_for_queue);

  CHECK(s.send(http::verb::post, R"({"timeout_s":900})").first == 202);
  CHECK(s.begun == 1);
  CHECK(s.board->request().timeout_ms == 2500ms);
}

TEST_CASE("what a drain can't be told is refused by name", "[drain]") {
  drain_server s;
  for (const auto& [body, word] :
       std::map<std::string, std::string>{{"[]", "timeout_s"},
                                          {R"({"timeout":5})", R"("timeout" is not known)"},
                                          {R"({"timeout_s":"5s"})", "number of seconds"},
                                          {R"({"timeout_s":-1})", "from 0 to 3600"},
                                          {R"({"timeout_s":1e300})", "from 0 to 3600"},
                                          {R"({"wait_for_queue":1})", "true or false"}}) {
    CAPTURE(body);
    const auto [status, answer] = s.send(http::verb::post, body);
    CHECK(status == 400);
    CHECK_THAT(std::string{answer.at("detail").as_string()}, Contains(word));
  }
  CHECK(s.begun == 0);
}

TEST_CASE("a drain that a signal began is not begun again", "[drain]") {
  drain_server s;
  s.board->change([](drain_status::state& to) { to.stage = drain_stage::publishing; });
  const auto [status, answer] = s.send(http::verb::post);
  CHECK(status == 202);
  CHECK(answer.at("stage") == "publishing");
  CHECK(s.begun == 0);
}

TEST_CASE("the figures of a drain", "[drain]") {
  metrics_sources from;
  front_end_metrics front;
  front.connections.set(3);
  from.front_ends.push_back(&front);
  const auto lanes = std::make_shared<limiter_cluster_metrics>();
  lanes->owned_shards.set(5);
  lanes->leaving_shards.set(2);
  lanes->leased_units.set(40);
  from.limiter_clusters.push_back(lanes);
  const auto bus = std::make_shared<sink_metrics>("bus", "nats");
  bus->publish(sink_state::open, "refused", 1,
               {{.sink = "bus", .kind = "nats", .stream = "a", .events = 7},
                {.sink = "bus", .kind = "nats", .stream = "b", .events = 1}});
  from.sinks.push_back(bus);
  const auto now = drain_status::clock::now();
  drain_status::state at;
  at.stage = drain_stage::publishing;
  at.deadline = now + 1500ms;
  at.given_up = {"bus"};
  at.queue_events = 4;
  at.left = {"something"};
  const auto told = drain_json(at, from, now);
  CHECK(told == json::parse(R"({"stage":"publishing","seconds_left":1.5,"connections":3,)"
                            R"("leased_units":40,"shards":7,"sinks":[{"sink":"bus",)"
                            R"("kind":"nats","state":"open","events":8,"given_up":true}],)"
                            R"("queue_events":4,"left":["something"]})"));
  CHECK(drain_json(at, from, now + 1h).at("seconds_left").to_number<double>() == 0);
  at.stage = drain_stage::ended;
  CHECK(drain_json(at, from, now).at("seconds_left").is_null());
}
