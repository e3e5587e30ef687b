// `penstock replay` and `penstock dead-letters` against a server that the test plays; the bar.
#include "cli/base/exit_code.hpp"
#include "cli/base/progress.hpp"
#include "tests/unit/cli/fake_server.hpp"
#include "tests/unit/cli/run_penstock.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
using namespace penstock::test;
using Catch::Matchers::Contains;

namespace {

std::string job_text(const std::string& state, int sent, int refused = 0,
                     const std::string& why = "null") {
  return R"({"job":"r1","kind":"replay","state":")" + state + R"(","total":10,"sent":)" +
         std::to_string(sent) + R"(,"refused":)" + std::to_string(refused) + R"(,"why":)" + why +
         "}";
}

} // namespace

TEST_CASE("replay asks for what was said and follows the job to its end", "[replay]") {
  int asked = 0;
  fake_server server{[&](const fake_request& request) -> fake_answer {
    if (request.method == "POST") return {202, job_text("running", 0)};
    return {200, ++asked < 3 ? job_text("running", 3 * asked) : job_text("done", 10)};
  }};
  const auto done = run_penstock({"replay", "errors", "--sink", "bus", "--from", "-24h", "--to",
                                  "now", "--rate", "100", "--admin", server.url()});
  CHECK(done.exit == exit_ok);
  CHECK(done.out == "r1: done, 10 of 10 events sent\n");
  CHECK(done.err.empty()); // no bar where stderr is no terminal
  const auto requests = server.requests();
  CHECK(requests.front().target == "/v1/admin/replay");
  CHECK(boost::json::parse(requests.front().body) ==
        boost::json::parse(
            R"({"stream":"errors","sink":"bus","from":"-24h","to":"now","rate":100})"));
  CHECK(requests.back().target == "/v1/admin/replay/r1");
}

TEST_CASE("what became of a job is in the exit code", "[replay]") {
  const auto status = [](const std::string& answer, unsigned code = 200) {
    fake_server server{[&](const fake_request&) { return fake_answer{code, answer}; }};
    return run_penstock({"replay", "status", "r1", "--admin", server.url()});
  };
  CHECK(status(job_text("running", 5)).exit == exit_ok);
  CHECK(status(job_text("done", 10)).exit == exit_ok);
  const auto refused = status(job_text("done", 9, 1));
  CHECK(refused.exit == exit_unavailable);
  CHECK_THAT(refused.out, Contains("1 refused") && Contains("dead-letters list"));
  const auto failed = status(job_text("failed", 3, 0, R"("it was retired")"));
  CHECK(failed.exit == exit_unavailable);
  CHECK_THAT(failed.out, Contains("it was retired"));
  CHECK(status(job_text("cancelled", 3)).exit == exit_unavailable);
  CHECK(status(R"({"title":"Not Found","detail":"there is no job r1"})", 404).exit == exit_usage);
  CHECK(status("{}").exit == exit_unavailable);
}

TEST_CASE("a replay needs a stream and a sink", "[replay]") {
  CHECK(run_penstock({"replay"}).exit == exit_usage);
  CHECK_THAT(run_penstock({"replay", "errors"}).err, Contains("--sink"));
  CHECK(run_penstock({"replay", "errors", "--sink", "bus", "--rate", "0"}).exit == exit_usage);
  CHECK(run_penstock({"replay", "errors", "--sink", "bus", "--dry-run", "--detach"}).exit ==
        exit_usage);
}

TEST_CASE("dead letters are listed from all pages", "[letters]") {
  fake_server server{[](const fake_request& request) -> fake_answer {
    const bool second = request.target.find("after=7") != std::string::npos;
    const std::string letter = second ? R"({"id":"b","sink":"bus","tries":5,"size":3})"
                                      : R"({"id":"a","sink":"bus","reason":"no\u001b[2J"})";
    return {200, R"({"dead_letters":[)" + letter + R"(],"totals":{"dead_letters":2})" +
                     (second ? "}" : R"(,"next":7})")};
  }};
  const auto list =
      run_penstock({"dead-letters", "list", "--sink", "bus", "--admin", server.url()});
  CHECK(list.exit == exit_ok);
  CHECK(list.out == "ID  SINK  STREAM  ACCEPTED  DIED  TRIES  SIZE  REASON\n"
                    "a   bus                           0      0     no?[2J\n"
                    "b   bus                           5      3\n");
  CHECK(server.requests().front().target == "/v1/admin/dead-letters?limit=100&sink=bus");
}

TEST_CASE("retry and drop need to be told which letters", "[letters]") {
  for (const auto* what : {"retry", "drop"}) {
    const auto refused = run_penstock({"dead-letters", what});
    CHECK(refused.exit == exit_usage);
    CHECK_THAT(refused.err, Contains("--all"));
  }
  fake_server server{[](const fake_request&) { return fake_answer{200, R"({"dropped":2})"}; }};
  const auto dropped =
      run_penstock({"dead-letters", "drop", "a", "b", "--sink", "bus", "--admin", server.url()});
  CHECK(dropped.out == "dropped 2\n");
  CHECK(boost::json::parse(server.requests().front().body) ==
        boost::json::parse(R"({"ids":["a","b"],"sink":"bus"})"));
}

TEST_CASE("a progress line fits its width and tells what is left", "[progress]") {
  progress state{
      .label = "r7", .done = 250, .total = 1000, .elapsed_s = 2, .since_start = 250, .note = {}};
  CHECK(progress_line(state, 79) ==
        "r7 [##########------------------------------]  25% 250/1000 125/s 6s left");
  CHECK(progress_line(state, 40) == "r7  25% 250/1000 125/s 6s left");
  for (std::size_t width = 0; width < 120; ++width)
    CHECK(progress_line(state, width).size() <= width);
  state.since_start = 0; // nothing yet: no rate, no guess
  CHECK(progress_line(state, 30) == "r7 [##---------]  25% 250/1000");
  state = {.label = "x", .done = 0, .total = 0, .elapsed_s = 0, .since_start = 0, .note = {}};
  CHECK(progress_line(state, 40) == "x [###########################] 100% 0/0");
  state = {.label = "x", .done = 1, .total = 10'000, .elapsed_s = 1, .since_start = 1, .note = {}};
  CHECK_THAT(progress_line(state, 79), Contains("2h46m left"));
  state.note = "the sink is down";
  CHECK_THAT(progress_line(state, 79), Contains("the sink is down"));
}
