// The ingest plane's answers as they stand on the wire.
#include "net/http/answer.hpp"
#include "tests/unit/net/support.hpp"

#include <boost/json.hpp>

#include <ctime>

using namespace penstock;

namespace {

constexpr const char* date_field = "Date: Fri, 01 Mar 2024 09:08:07 GMT\r\n";

answer_writer writer() {
  answer_writer out;
  out.set_time(1'709'284'087);
  return out;
}

const plan_headers& headers() {
  static const plan_headers made{
      plan{"p", {{.name = "l", .amount = 5, .window_ns = 10'000'000'000}}}};
  return made;
}

constexpr const char* limit_fields =
    "RateLimit-Policy: \"l\";q=5;w=10\r\nRateLimit: \"l\";r=3;t=4\r\n";

answer_context identified() {
  answer_context ctx;
  ctx.plan = &headers();
  ctx.state = {.granted = 1, .remaining = 3, .reset_s = 4, .limit = 0};
  return ctx;
}

} // namespace

TEST_CASE("answers: 202 to the letter") {
  std::string out;
  writer().accepted(out, identified(), "00000000000000ff-abcdefgh");
  CHECK(out == std::string{"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n"
                           "Content-Length: 34\r\n"} +
                   date_field + limit_fields + "\r\n{\"id\":\"00000000000000ff-abcdefgh\"}");
  auto got = take_answer(out);
  REQUIRE(got);
  CHECK(boost::json::parse(got->body).at("id").as_string().size() == 25);
  CHECK(out.empty());
}

TEST_CASE("answers: they are appended, and the length is the body's") {
  std::string out;
  const auto w = writer();
  w.json(out, {}, 200, R"({"a":1})");
  w.plain(out, {}, 503, "not ready\n");
  CHECK(out == std::string{"HTTP/1.1 200 OK\r\n"} + date_field +
                   "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{\"a\":1}" +
                   "HTTP/1.1 503 Service Unavailable\r\n" + date_field +
                   "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\n" +
                   "not ready\n");
}

TEST_CASE("answers: what becomes of the connection is told where it must be") {
  const auto connection = [](bool keep_alive, bool http_1_0) {
    answer_context ctx;
    ctx.keep_alive = keep_alive;
    ctx.http_1_0 = http_1_0;
    std::string out, accepted;
    writer().json(out, ctx, 200, "");
    writer().accepted(accepted, ctx, std::string(25, 'i'));
    auto got = take_answer(out);
    REQUIRE(got);
    CHECK((*got)["connection"] == (*take_answer(accepted))["connection"]);
    return (*got)["connection"];
  };
  CHECK(connection(true, false).empty());
  CHECK(connection(true, true) == "keep-alive");
  CHECK(connection(false, false) == "close");
  CHECK(connection(false, true) == "close");
}

TEST_CASE("answers: HEAD gets the length but no body") {
  answer_context ctx;
  ctx.head_only = true;
  std::string out;
  writer().plain(out, ctx, 200, "ok\n");
  CHECK(out.ends_with("Content-Length: 3\r\n\r\n"));
}

TEST_CASE("answers: errors are problem documents, with Retry-After and Allow where given") {
  std::string out;
  writer().error(out, identified(), {503, "busy"}, 7);
  auto busy = take_answer(out);
  REQUIRE(busy);
  CHECK(busy->status == 503);
  CHECK((*busy)["content-type"] == "application/problem+json");
  CHECK((*busy)["retry-after"] == "7");
  CHECK((*busy)["ratelimit"] == R"("l";r=3;t=4)");
  CHECK(boost::json::parse(busy->body).at("detail").as_string() == "busy");
  writer().error(out, {}, {405, "no"}, 0, "GET, HEAD");
  auto no = take_answer(out);
  REQUIRE(no);
  CHECK((*no)["allow"] == "GET, HEAD");
  CHECK_FALSE(no->fields.contains("retry-after"));
  CHECK_FALSE(no->fields.contains("ratelimit"));
  CHECK_FALSE(busy->fields.contains("allow"));
}

TEST_CASE("answers: 429 tells when to come back") {
  auto ctx = identified();
  ctx.state = {.granted = 0, .remaining = 0, .reset_s = 4'294'967'295u, .limit = 0, .reason = 1};
  ctx.keep_alive = false;
  std::string out;
  writer().refused(out, ctx);
  CHECK(out.starts_with("HTTP/1.1 429 Too Many Requests\r\n"));
  auto got = take_answer(out);
  REQUIRE(got);
  CHECK((*got)["retry-after"] == "4294967295");
  CHECK((*got)["ratelimit"] == R"("l";r=0;t=4294967295)");
  CHECK((*got)["connection"] == "close");
  CHECK((*got)["content-type"] == "application/problem+json");
  CHECK(got->body == headers().refusal_body(0));
  // A reload took the limit away while the verdict was under way.
  ctx.state.limit = 5;
  writer().refused(out, ctx);
  auto gone = take_answer(out);
  REQUIRE(gone);
  CHECK((*gone)["retry-after"] == "4294967295");
  CHECK(gone->body == headers().refusal_body(5));
}

TEST_CASE("answers: Date is IMF-fixdate on every day of a year") {
  answer_writer w;
  for (std::time_t day = 0; day < 366; ++day) {
    const std::time_t now = 1'704'067'199 + day * 86'400; // from the last second of 2023 on
    w.set_time(now);
    std::string out;
    w.json(out, {}, 200, "");
    std::tm utc{};
    gmtime_r(&now, &utc);
    char expected[64];
    REQUIRE(std::strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &utc) > 0);
    CHECK((*take_answer(out))["date"] == expected);
  }
}
