// `penstock drain` against a node that the test plays.
#include "cli/base/exit_code.hpp"
#include "cli/views/cluster_view.hpp"
#include "cli/views/drain_view.hpp"
#include "tests/unit/cli/fake_server.hpp"
#include "tests/unit/cli/run_penstock.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <memory>

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;

namespace {

std::string drain_text(const std::string& stage, int events = 0, const std::string& left = "",
                       int queued = 0) {
  return R"({"stage":")" + stage +
         R"(","seconds_left":12.4,"connections":2,"leased_units":0,"shards":0,"sinks":[)"
         R"({"sink":"bus","kind":"nats","state":"ok","events":)" +
         std::to_string(events) + R"(,"given_up":false},{"sink":"gone","kind":"http",)" +
         R"("state":"open","events":9,"given_up":true}],"queue_events":)" + std::to_string(queued) +
         R"(,"left":[)" + (left.empty() ? "" : '"' + left + '"') + "]}";
}

/// Answers with the texts one after the other, then not as a node does, so that it is gone.
run_outcome drain_with(std::vector<std::string> answers, std::vector<std::string> more = {},
                       std::vector<fake_request>* requests = nullptr) {
  std::size_t at = 0;
  fake_server server{[&](const fake_request& request) -> fake_answer {
    if (at >= answers.size()) return {503, "{}", true};
    return {request.method == "POST" ? 202u : 200u, answers[at++], false};
  }};
  std::vector<std::string> command{"drain", "--admin", server.url()};
  command.insert(command.end(), more.begin(), more.end());
  auto out = run_penstock(command);
  if (requests) *requests = server.requests();
  return out;
}

} // namespace

TEST_CASE("drain shows its progress until the node is gone", "[drain]") {
  std::vector<fake_request> requests;
  const auto done = drain_with({drain_text("announcing", 5), drain_text("publishing", 5),
                                drain_text("publishing", 2), drain_text("ended", 0)},
                               {"--timeout", "90s", "--wait-for-queue"}, &requests);
  CHECK(done.exit == exit_ok);
  CHECK(done.out == "drained\n");
  CHECK_THAT(done.err, Contains("announcing: 2 connections, 5 events for bus, 12 s left\n") &&
                           Contains("publishing: 2 connections, 5 events for bus, 12 s left\n") &&
                           !Contains("\x1b"));
  CHECK(requests[0].method == "POST");
  CHECK(requests[0].target == "/v1/admin/drain");
  CHECK(boost::json::parse(requests[0].body) ==
        boost::json::parse(R"({"timeout_s":90.0,"wait_for_queue":true})"));
  CHECK(requests[1].method == "GET");
}

TEST_CASE("what a drain left is told, and is the exit code", "[drain]") {
  const auto left = drain_with({drain_text("ended", 3, "sink bus is owed 3 events", 7)});
  CHECK(left.exit == exit_unavailable);
  CHECK(left.out == "drained, but for this:\n  sink bus is owed 3 events\n"
                    "7 events of the embedded queue stay in the node's directory for consumers\n");
  const auto text = drain_text("ended", 3, "sink bus is owed 3 events");
  const auto machine = drain_with({text}, {"--json"});
  CHECK(machine.exit == exit_unavailable);
  CHECK(boost::json::parse(machine.out) == boost::json::parse(text));
  const auto queued = drain_with({drain_text("ended", 0, "", 7)});
  CHECK(queued.exit == exit_ok); // they are the consumers' affair
}

TEST_CASE("drain need not wait", "[drain]") {
  std::vector<fake_request> requests;
  const auto begun = drain_with({drain_text("announcing", 5)}, {"--no-wait"}, &requests);
  CHECK(begun.exit == exit_ok);
  CHECK(requests.size() == 1);
  CHECK(begun.out == "announcing: 2 connections, 5 events for bus, 12 s left\n");
}

TEST_CASE("a node that goes without a word is no success", "[drain]") {
  const auto gone = drain_with({drain_text("publishing", 5)});
  CHECK(gone.exit == exit_unavailable);
  CHECK_THAT(gone.err, Contains("went before it told how its drain ended"));
  CHECK(gone.out.empty());
  CHECK(drain_with({"{}"}).exit == exit_unavailable);
  CHECK(run_penstock({"drain", "--timeout", "soon"}).exit == exit_usage);
  CHECK(run_penstock({"drain", "--admin", "http://127.0.0.1:1"}).exit == exit_unavailable);
}

TEST_CASE("a cluster is a heading and a table of members", "[status]") {
  const auto nats = boost::json::parse(
      R"({"directory":"nats","name":"dev","address":"127.0.0.1:4200","peers_up":1,)"
      R"("wire_version":4,"oldest_wire_version":3,"epoch":7,"directory_up":false,)"
      R"("shards":{"owned":128,"arriving":1,"leaving":2},"leased_units":40,"held_requests":5,)"
      R"("unsent_units":0,"members":[{"address":"127.0.0.1:4200","self":true,"node":"a",)"
      R"("state":"up","linked":true,"shards":128,"version":"1.2","wire_version":4,)"
      R"("incarnation":"x","uptime_s":200,"heard_s_ago":0.1,"requests_per_s":12,)"
      R"("journal_bytes":5,"lag_events":9},{"address":"127.0.0.1:4201","self":false,"node":"",)"
      R"("state":"silent","linked":false,"shards":128,"version":"","wire_version":0,)"
      R"("incarnation":"y","uptime_s":0,"heard_s_ago":3,"requests_per_s":0,"journal_bytes":0,)"
      R"("lag_events":0}]})");
  CHECK(cluster_text(nats.as_object()) ==
        "\ncluster dev, view 7, directory away, wire versions 3 to 4\n"
        "here: 128 shards, 1 arriving, 2 leaving; 40 units leased; 5 requests held\n"
        "MEMBER                 NODE  STATE            SHARDS  VERSION  WIRE  UPTIME  HEARD  "
        "REQUESTS/S  LAG\n"
        "127.0.0.1:4200 (this)  a     up               128     1.2      4     3 min   0 s    "
        "12          9\n"
        "127.0.0.1:4201         -     silent, no link  128     -        0     0 s     3 s    "
        "0           0\n");
  const auto fixed = boost::json::parse(
      R"({"directory":"static","name":"dev","peers_up":0,"wire_version":4,)"
      R"("oldest_wire_version":4,"shards":{"owned":256,"arriving":0,"leaving":0},)"
      R"("leased_units":0,"held_requests":0,"unsent_units":0,"members":[{"address":"a:1",)"
      R"("self":false,"node":"","state":"down","linked":false,"shards":128}]})");
  CHECK_THAT(cluster_text(fixed.as_object()),
             Contains("cluster dev, a fixed list, wire") && Contains("a:1     -     down   128"));
  CHECK(cluster_text({{"peers_up", 0}}).empty());
}
