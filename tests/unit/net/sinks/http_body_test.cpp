#include "net/sinks/http/http_body.hpp"
#include "net/sinks/http/http_sink.hpp"
#include "tests/unit/cli/fake_server.hpp"
#include "tests/unit/net/sinks/sink_support.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <future>

using namespace penstock;
using penstock::test::fake_answer;
using penstock::test::fake_request;
using penstock::test::fake_server;
using penstock::test::letters_of;
using penstock::test::sample_batch;
using namespace std::chrono_literals;

namespace {

const std::vector<std::uint32_t> first_two{0, 1};

std::shared_ptr<sink> http_sink_to(const std::string& url, http_sink_settings more = {}) {
  more.url = url;
  auto made = make_http_sink(more, {"next", "a"});
  REQUIRE(made);
  return *made;
}

std::string config_error(const http_sink_settings& settings) {
  const auto made = make_http_sink(settings, {"next", "a"});
  REQUIRE(made.has_error());
  CHECK(made.error().code == errc::config);
  return made.error().message;
}

} // namespace

TEST_CASE("JSON goes a line each, its bytes unchanged but for line ends") {
  http_body_writer writer{http_format::ndjson, "/penstock/a"};
  const auto batch = sample_batch({{R"({"a" : 1.10})"}, {"{\r\n \"b\":\n2}\n"}});
  const auto encoded = writer.encode(batch);
  CHECK(writer.join(encoded, first_two) == "{\"a\" : 1.10}\n{   \"b\": 2}\n");
}

TEST_CASE("what is not JSON can't be a line; other types may be JSON all the same") {
  http_body_writer writer{http_format::ndjson, "/penstock/a"};
  const auto batch = sample_batch({{"hello", 1, "text/plain"},
                                   {"\"hello\"", 1, "text/plain"},
                                   {"", 1, "application/json"},
                                   {"{\"a\":\"\xff\"}", 1, "image/png"}});
  const auto encoded = writer.encode(batch);
  CHECK(encoded.pieces[0].refusal.find("cloudevents-batch") != std::string::npos);
  CHECK(encoded.pieces[1].refusal.empty());
  CHECK_FALSE(encoded.pieces[2].refusal.empty());
  CHECK_FALSE(encoded.pieces[3].refusal.empty());
}

TEST_CASE("a batch of CloudEvents is an array") {
  http_body_writer writer{http_format::cloudevents_batch, "/penstock/a"};
  const auto batch = sample_batch({{"1"}, {"2"}});
  const auto body = writer.join(writer.encode(batch), first_two);
  CHECK(body.starts_with(R"([{"specversion":"1.0","id":"0000000000000010-nbjoxe3h")"));
  CHECK(body.find(R"("data":1},{"specversion")") != body.npos);
  CHECK(body.ends_with(R"("data":2}])"));
}

TEST_CASE("a repeat of the same events has the same idempotency key") {
  http_body_writer lines{http_format::ndjson, "/penstock/a"};
  auto batch = sample_batch({{"1"}, {"2"}});
  const std::string key = "0000000000000010-nbjoxe3h-0000000000000011-nbjoxe3h-2";
  CHECK(lines.idempotency_key(batch, first_two) == key);
  http_body_writer events{http_format::cloudevents_batch, "/penstock/a"};
  CHECK(events.idempotency_key(batch, first_two).empty());
  batch.again = "r1";
  CHECK(lines.idempotency_key(batch, first_two) == key + "-r1");
  CHECK(events.idempotency_key(batch, first_two) == key + "-r1");
}

TEST_CASE("a sink sends its headers, and keeps its connection") {
  fake_server server{[](const fake_request&) { return fake_answer{200, ""}; }};
  http_sink_settings settings;
  settings.headers = {{"Authorization", "Bearer a-secret"}, {"X-Empty", ""}};
  const auto sink = http_sink_to(server.url() + "/in/{stream}", settings);
  const auto connection = sink->connect();
  for (int i = 0; i < 3; ++i)
    CHECK(letters_of(connection->deliver(sample_batch({{"1"}, {"2"}}), 5s).events) == "dd");
  CHECK(server.connections() == 1);
  const auto seen = server.requests();
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].target == "/in/errors");
  CHECK(seen[0].body == "1\n2\n");
  CHECK(seen[0].authorization == "Bearer a-secret");
  CHECK(seen[0].field("content-type") == "application/x-ndjson");
  CHECK(seen[0].field("idempotency-key") == seen[2].field("idempotency-key"));
  CHECK(seen[0].field("expect").empty());
}

TEST_CASE("a server's words name no secret of ours") {
  fake_server server{[](const fake_request& r) {
    return fake_answer{403, "{\"detail\":\"" + r.authorization + " and a-secret are not known\"}"};
  }};
  http_sink_settings settings;
  settings.headers = {{"Authorization", "Bearer a-secret"}};
  const auto out =
      http_sink_to(server.url(), settings)->connect()->deliver(sample_batch({{"1"}}), 5s);
  CHECK(letters_of(out.events) == "f");
  CHECK(out.failure.find("*** and *** are not known") != std::string::npos);
}

TEST_CASE("a server that takes less than a megabyte is found out once") {
  fake_server server{[](const fake_request& r) {
    return r.body.size() > 100'000 ? fake_answer{413, ""} : fake_answer{200, ""};
  }};
  const auto connection = http_sink_to(server.url())->connect();
  std::vector<penstock::test::sample_event> events(
      20, {'"' + std::string(20'000, 'x') + '"', 1, "application/json"});
  const auto send_and_count = [&] {
    const auto before = server.requests().size();
    CHECK(letters_of(connection->deliver(sample_batch(events), 5s).events) == std::string(20, 'd'));
    const auto seen = server.requests();
    return std::count_if(seen.begin() + static_cast<std::ptrdiff_t>(before), seen.end(),
                         [](const fake_request& r) { return r.body.size() > 100'000; });
  };
  CHECK(send_and_count() > 0);
  CHECK(send_and_count() == 0);
  CHECK(send_and_count() == 0);
}

TEST_CASE("a refused connection and a silent server are failures in time") {
  std::string url;
  {
    fake_server gone{[](const fake_request&) { return fake_answer{200, ""}; }};
    url = gone.url();
  }
  auto out = http_sink_to(url)->connect()->deliver(sample_batch({{"1"}}), 5s);
  CHECK(letters_of(out.events) == "f");
  CHECK(out.failure.find("127.0.0.1") != std::string::npos);
  std::promise<void> given_up;
  fake_server silent{[heard = given_up.get_future().share()](const fake_request&) {
    heard.wait();
    return fake_answer{200, ""};
  }};
  out = http_sink_to(silent.url())->connect()->deliver(sample_batch({{"1"}}), 100ms);
  given_up.set_value();
  CHECK(letters_of(out.events) == "f");
}

TEST_CASE("a stopped sink sends nothing more") {
  fake_server server{[](const fake_request&) { return fake_answer{200, ""}; }};
  const auto sink = http_sink_to(server.url());
  const auto connection = sink->connect();
  sink->stop();
  const auto out = connection->deliver(sample_batch({{"1"}}), 5s);
  CHECK(letters_of(out.events) == "f");
  CHECK(out.failure.find("stopping") != std::string::npos);
  CHECK(server.requests().empty());
}

TEST_CASE("what is wrong with an http sink's settings is named") {
  http_sink_settings settings;
  settings.url = "ftp://x";
  CHECK(config_error(settings).starts_with("sinks.next.url"));
  settings.url = "http://127.0.0.1:1/";
  settings.format = "xml";
  CHECK(config_error(settings).starts_with("sinks.next.format"));
  settings.format = "ndjson";
  settings.headers = {{"X-A", "a-secret\r\nX-B: b"}};
  CHECK(config_error(settings).find("a-secret") == std::string::npos);
  settings.headers = {{"content-TYPE", "x"}};
  CHECK(config_error(settings).find("set by the sink") != std::string::npos);
}
