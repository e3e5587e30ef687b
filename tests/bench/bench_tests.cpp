// Checks of the load generator itself: a benchmark is only as good as what measures it.
#include "actors/base/metrics.hpp"
#include "tests/bench/latency_histogram.hpp"
#include "tests/bench/load_requests.hpp"
#include "tests/bench/load_response.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock::bench;
using state = response_view::state;

TEST_CASE("percentiles lie within one percent of the exact ones", "[bench]") {
  auto h = std::make_unique<latency_histogram>();
  for (std::uint64_t us = 1; us <= 100'000; ++us)
    h->record(us * 1000);
  for (double fraction : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    double exact = fraction * 100'000 * 1000;
    CHECK(double(h->percentile(fraction)) >= exact);
    CHECK(double(h->percentile(fraction)) <= exact * 1.01);
  }
  CHECK(h->percentile(1) == 100'000'000);
  CHECK(h->max() == 100'000'000);
  CHECK(h->mean() == Approx(50'000'500));
}

TEST_CASE("the histogram keeps its ends", "[bench]") {
  auto h = std::make_unique<latency_histogram>();
  CHECK(h->percentile(0.5) == 0);
  h->record(0);
  CHECK(h->percentile(0.99) == 0);
  h->record(latency_histogram::max_ns + 5);
  CHECK(h->percentile(1) == latency_histogram::max_ns);
  for (std::uint64_t ns : {127ull, 128ull, 255ull, 256ull, 65'535ull, 65'536ull}) {
    auto one = std::make_unique<latency_histogram>();
    one->record(ns);
    CHECK(one->percentile(0.5) == ns);
  }
}

TEST_CASE("merged histograms count both", "[bench]") {
  auto a = std::make_unique<latency_histogram>();
  auto b = std::make_unique<latency_histogram>();
  a->record(10);
  b->record(20);
  b->record(30);
  a->merge(*b);
  CHECK(a->count() == 3);
  CHECK(a->percentile(0.5) == 20);
  CHECK(a->max() == 30);
}

TEST_CASE("generated events are JSON of exactly the size asked for", "[bench]") {
  for (std::uint32_t bytes : {1u, 2u, 3u, 100u, 180u, 220u, 240u, 300u, 1000u, 30'000u})
    for (std::uint64_t number = 0; number < 200; ++number) {
      std::string event = make_event(number, bytes);
      REQUIRE(event.size() == bytes);
      boost::json::error_code ec;
      boost::json::parse(event, ec);
      REQUIRE_FALSE(ec);
    }
  CHECK(make_event(1, 300) != make_event(2, 300));
  CHECK(make_event(1, 300).find("\"kind\":\"error\"") != std::string::npos);
}

TEST_CASE("requests carry the body's length and the client's turn", "[bench]") {
  request_options options;
  options.host = "h:1";
  options.target = "/v1/events";
  options.headers = {"X-A: b"};
  options.client_header = "X-Client";
  options.clients = 2;
  std::vector<std::string> bodies{"{}", "[1]"};
  request_source source(options, bodies, 0);
  std::string out;
  source.next(out);
  CHECK(out == "POST /v1/events HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\n"
               "X-A: b\r\nX-Client: client-0\r\nContent-Length: 2\r\n\r\n{}");
  source.next(out);
  CHECK(out.find("client-1\r\nContent-Length: 3\r\n\r\n[1]") != std::string::npos);
  source.next(out);
  CHECK(out.find("client-0\r\n") != std::string::npos);
}

TEST_CASE("responses are told apart at every split", "[bench]") {
  const std::string whole = "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{}";
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK(parse_response(whole.substr(0, size)).is == state::incomplete);
  response_view view = parse_response(whole + "HTTP/1.1 429 ");
  CHECK(view.is == state::complete);
  CHECK(view.status == 202);
  CHECK(view.size == whole.size());
  CHECK(view.keep_alive);
}

TEST_CASE("responses without a body or a future are understood", "[bench]") {
  CHECK(parse_response("HTTP/1.1 100 Continue\r\n\r\n").is == state::complete);
  CHECK(parse_response("HTTP/1.1 204 No Content\r\n\r\n").is == state::complete);
  CHECK_FALSE(parse_response("HTTP/1.1 400 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                  .keep_alive);
  CHECK(parse_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is ==
        state::malformed);
  CHECK(parse_response("SMTP ready\r\n\r\n").is == state::malformed);
  CHECK(parse_response("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n").is == state::malformed);
}
