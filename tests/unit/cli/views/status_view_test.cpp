#include "cli/views/status_view.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
using Catch::Matchers::Contains;

namespace {

boost::json::object status_of(const char* sinks = "[]") {
  return boost::json::parse(
             std::string{R"({"node":"a","version":"1","uptime_s":7500,"ready":true,)"
                         R"("draining":false,"http":{"requests":12,"accepted":9,"refused":2,)"
                         R"("shed":1,"connections":3},"journal":{"events":900,"bytes":5242880,)"
                         R"("max_bytes":10485760,"full":false},"cluster":{"peers_up":0},)"
                         R"("queues":[{"stream":"orders","depth":4,"in_flight":1,"bytes":2048,)"
                         R"("oldest_age_s":130}],"sinks":)"} +
             sinks + "}")
      .as_object();
}

} // namespace

TEST_CASE("a status is a few lines and tables") {
  CHECK(*status_text(status_of()) ==
        "node         a\n"
        "state        ready\n"
        "uptime       2.1 h\n"
        "version      1\n"
        "requests     12: 9 accepted, 2 over their limit, 1 turned away\n"
        "connections  3\n"
        "journal      5.0 MiB of 10.0 MiB (50%), 900 events since the start\n"
        "peers up     0\n"
        "\n"
        "QUEUE OF STREAM  WAITING  IN FLIGHT  SIZE     OLDEST\n"
        "orders           4        1          2.0 KiB  2 min\n");
}

TEST_CASE("events of replicated streams that are on one node only are told") {
  auto status = status_of();
  status["replication"] = {{"has_holder", true},
                           {"waiting_bytes", 0},
                           {"single_events", 3},
                           {"holds_nodes", 0},
                           {"holds_bytes", 0}};
  CHECK_THAT(*status_text(status), Contains("; up to 3 events on one node only\n"));
  status["replication"].as_object()["single_events"] = 0;
  CHECK_THAT(*status_text(status), !Contains("one node only"));
}

TEST_CASE("a sink has a row a stream, its error once and shortened") {
  const auto long_error = std::string(150, 'e');
  const auto text = status_text(
      status_of((R"([{"sink":"bus","kind":"nats","state":"open","last_error":")" + long_error +
                 R"(","last_error_age_s":5,"streams":[)"
                 R"({"stream":"a","lag_events":7,"lag_bytes":100,"lag_s":90},)"
                 R"({"stream":"b","lag_events":0,"lag_bytes":0,"lag_s":0}]},)"
                 R"({"sink":"idle","kind":"http","state":"ok","last_error":null,)"
                 R"("last_error_age_s":null,"streams":[]}])")
                    .c_str()));
  REQUIRE(text.has_value());
  CHECK_THAT(*text, Contains("\nbus   nats  open   a       7    100 B  90 s    5 s ago: " +
                             std::string(120, 'e') + "...\n"));
  CHECK_THAT(*text, Contains("\nbus   nats  open   b       0    0 B    -\n"));
  CHECK_THAT(*text, Contains("\nidle  http  ok     -       -    -      -\n"));
}

TEST_CASE("rates are told from two samples, and not across a restart") {
  auto status = status_of();
  const auto before = sample_of(status, 10);
  REQUIRE(before.has_value());
  status["http"].as_object()["requests"] = 212;
  status["journal"].as_object()["events"] = 1900;
  const auto now = sample_of(status, 12);
  CHECK_THAT(*status_text(status, *before, *now),
             Contains("rates  100 requests/s, 500 events/s durable\n"));
  CHECK_THAT(*status_text(status, *now, *before), !Contains("rates"));
}

TEST_CASE("what is no status is an error") {
  CHECK(status_text({}).error().code == errc::unavailable);
  auto broken = status_of();
  broken["http"] = 5;
  CHECK(status_text(broken).has_error());
  CHECK(sample_of(broken, 0).has_error());
}
