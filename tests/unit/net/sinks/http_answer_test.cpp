#include "net/sinks/http/http_answer.hpp"
#include "tests/unit/net/sinks/sink_support.hpp"

#include <catch2/catch.hpp>

using namespace penstock;
using penstock::test::letters_of;

namespace {

request_outcome read_answer(long status, std::string body, std::size_t events = 4,
                            int retry_after_s = 0) {
  return read_http_answer({.status = status,
                           .body = std::move(body),
                           .retry_after_ms = std::chrono::milliseconds{retry_after_s * 1000}},
                          events);
}

} // namespace

TEST_CASE("any 2xx takes all events") {
  CHECK(letters_of(read_answer(200, "").events) == "dddd");
  CHECK(letters_of(read_answer(204, "{\"ok\":true}").events) == "dddd");
  CHECK(letters_of(read_answer(202, R"({"accepted":4,"rejected":0,"errors":[]})").events) ==
        "dddd");
}

TEST_CASE("Penstock's answer tells of each event") {
  const auto out = read_answer(202, R"({"accepted":1,"rejected":3,"errors":[
    {"index":1,"status":400,"title":"Bad Request","detail":"no JSON"},
    {"index":2,"status":429,"title":"Too Many Requests","detail":"used up"},
    {"index":3,"status":503,"title":"","detail":"x"}]})",
                               4, 7);
  CHECK(letters_of(out.events) == "drff");
  CHECK(out.refusal == "the server answered 400: no JSON");
  CHECK(out.failure == "the server answered 429: used up");
  CHECK(out.pause_ms.count() == 7000);
  CHECK_FALSE(out.refused_as_whole);
}

TEST_CASE("a problem document may tell of each event too") {
  const auto out = read_answer(400, R"({"status":400,"detail":"No event","accepted":0,"rejected":2,
    "errors":[{"index":0,"status":400,"detail":"a"},{"index":1,"status":422,"detail":"b"}]})",
                               2);
  CHECK(letters_of(out.events) == "rr");
  CHECK_FALSE(out.refused_as_whole);
}

TEST_CASE("where not all errors are told, what is behind the last one comes again") {
  const auto out = read_answer(202, R"({"accepted":2,"rejected":3,"errors_omitted":1,"errors":[
    {"index":0,"status":400,"detail":"a"},{"index":2,"status":400,"detail":"b"}]})",
                               5);
  CHECK(letters_of(out.events) == "rdrff");
  CHECK_FALSE(out.failure.empty());
}

TEST_CASE("a path that is missing, or not for us, is told apart from a server that is ill") {
  CHECK(read_answer(404, "").scope == failure_scope::missing);
  CHECK(read_answer(410, "").scope == failure_scope::missing);
  CHECK(read_answer(403, "").scope == failure_scope::stream);
  for (const long status : {301L, 401L, 429L, 500L, 503L})
    CHECK(read_answer(status, "").scope == failure_scope::sink);
}

TEST_CASE("behind the last error that is told nothing counts as delivered when some are omitted") {
  const auto out = read_answer(202, R"({"accepted":1,"rejected":4,"errors":[
    {"index":1,"status":400,"detail":"no JSON"}],"errors_omitted":3})",
                               5);
  CHECK(letters_of(out.events) == "drfff");
  CHECK(out.refusal == "the server answered 400: no JSON");
  CHECK_FALSE(out.failure.empty());
  CHECK(letters_of(read_answer(202, R"({"accepted":0,"rejected":4,"errors":[
    {"index":1,"status":400}],"errors_omitted":3})")
                       .events) == "ffff");
}

TEST_CASE("an account that does not add up delivers nothing") {
  for (const char* body : {R"({"accepted":2,"rejected":2,"errors":[]})",
                           R"({"accepted":3,"rejected":1,"errors":[{"index":4,"status":400}]})",
                           R"({"accepted":3,"rejected":1,"errors":["x"]})"}) {
    const auto out = read_answer(202, body);
    CHECK(letters_of(out.events) == "ffff");
    CHECK(out.failure.find("add up") != std::string::npos);
  }
}

TEST_CASE("a refusal of the whole says nothing of which event") {
  for (const long status : {400L, 413L, 415L, 422L}) {
    const auto out = read_answer(status, R"({"detail":"why\nnot"})");
    CHECK(letters_of(out.events) == "rrrr");
    CHECK(out.refused_as_whole);
    CHECK(out.refusal == "the server answered " + std::to_string(status) + ": why not");
  }
}

TEST_CASE("other answers say nothing against the events") {
  for (const long status : {301L, 401L, 403L, 404L, 405L, 408L, 429L, 500L, 502L, 503L, 507L}) {
    const auto out = read_answer(status, "<html>", 4, 3);
    CHECK(letters_of(out.events) == "ffff");
    CHECK_FALSE(out.refused_as_whole);
    CHECK(out.failure.find(std::to_string(status)) != std::string::npos);
    CHECK(out.pause_ms.count() == 3000);
  }
  CHECK(read_answer(401, "").failure.find("headers") != std::string::npos);
  CHECK(read_answer(404, "").failure.find("url") != std::string::npos);
  CHECK(read_answer(302, "").failure.find("redirect") != std::string::npos);
}
