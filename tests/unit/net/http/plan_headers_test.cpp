// What every answer tells of the client's limits, to the letter.
#include "net/http/plan_headers.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr std::int64_t second = 1'000'000'000;

std::string header_lines(const std::vector<limit>& limits, verdict v) {
  std::string out = "Before: x\r\n";
  plan_headers{plan{"p", limits}}.append(out, v);
  REQUIRE(out.starts_with("Before: x\r\n"));
  return out.substr(11);
}

limit of(algorithm kind, std::uint32_t amount, std::int64_t window_ns) {
  return {.name = "l", .kind = kind, .amount = amount, .window_ns = window_ns};
}

std::string policy(const limit& rule) {
  auto text = header_lines({rule}, {.limit = 0});
  return text.substr(0, text.find("\r\n"));
}

} // namespace

TEST_CASE("RateLimit-Policy: amount and window of each algorithm") {
  auto burst = of(algorithm::gcra, 20, second);
  burst.burst = 40;
  CHECK(policy(burst) == R"(RateLimit-Policy: "l";q=20;w=1)");
  CHECK(policy(of(algorithm::fixed_window, 100, 60 * second)) ==
        R"(RateLimit-Policy: "l";q=100;w=60)");
  CHECK(policy(of(algorithm::sliding_window, 4'294'967'295u, 3600 * second)) ==
        R"(RateLimit-Policy: "l";q=4294967295;w=3600)");
  CHECK(policy(of(algorithm::interval, 1, 1'500'000'000)) == R"(RateLimit-Policy: "l";q=1;w=2)");
  CHECK(policy(of(algorithm::interval, 1, 1)) == R"(RateLimit-Policy: "l";q=1;w=1)");
  auto calendar = of(algorithm::calendar, 10'000, 0);
  calendar.unit = calendar_unit::hour;
  CHECK(policy(calendar) == R"(RateLimit-Policy: "l";q=10000;w=3600)");
  calendar.unit = calendar_unit::day;
  CHECK(policy(calendar) == R"(RateLimit-Policy: "l";q=10000;w=86400)");
  calendar.unit = calendar_unit::month;
  CHECK(policy(calendar) == R"(RateLimit-Policy: "l";q=10000;w=2592000)");
}

TEST_CASE("RateLimit: the limit that the verdict names, of all in the policy") {
  auto first = of(algorithm::gcra, 20, second), second_one = of(algorithm::fixed_window, 5, second);
  first.name = "burst";
  second_one.name = "slow";
  const std::vector<limit> both{first, second_one};
  const std::string policies = R"(RateLimit-Policy: "burst";q=20;w=1, "slow";q=5;w=1)";
  CHECK(header_lines(both, {.remaining = 19, .reset_s = 1, .limit = 0}) ==
        policies + "\r\nRateLimit: \"burst\";r=19;t=1\r\n");
  CHECK(header_lines(both, {.remaining = 0, .reset_s = 4'294'967'295u, .limit = 1}) ==
        policies + "\r\nRateLimit: \"slow\";r=0;t=4294967295\r\n");
  CHECK(header_lines(both, {.remaining = 1, .limit = 2}).empty());
  CHECK(header_lines(both, {}).empty()); // no limit was looked at
  CHECK(header_lines({}, {.limit = 0}).empty());
}

TEST_CASE("the refusal by a limit names it, and one by a limit that is gone names none") {
  auto rule = of(algorithm::gcra, 20, 2 * second);
  rule.name = "bu\\rst";
  const plan_headers headers{plan{"p", {rule}}};
  const auto document = boost::json::parse(headers.refusal_body(0));
  CHECK(document.at("status").as_int64() == 429);
  CHECK(document.at("type").as_string() ==
        "https://iana.org/assignments/http-problem-types#quota-exceeded");
  CHECK(document.at("violated-policies").as_array() == boost::json::array{"bu\\rst"});
  CHECK(document.at("detail").as_string() ==
        R"(The limit "bu\rst" of 20 in 2 s is used up; Retry-After says when to come back.)");
  CHECK(headers.violated_policies(0) == R"("violated-policies":["bu\\rst"])");
  const auto nameless = boost::json::parse(headers.refusal_body(1));
  CHECK(nameless.at("status").as_int64() == 429);
  CHECK_FALSE(nameless.as_object().contains("violated-policies"));
  CHECK(headers.violated_policies(1).empty());
  CHECK(headers.refusal_body(verdict::no_limit) == headers.refusal_body(1));
}

TEST_CASE("limits of bytes tell their unit, and those in shadow are not told") {
  auto bytes = of(algorithm::fixed_window, 1000, 60 * second);
  bytes.name = "b";
  bytes.cost = limit_cost::byte;
  auto shadow = of(algorithm::fixed_window, 5, second);
  shadow.name = "s";
  shadow.shadow = true;
  const auto plain = of(algorithm::fixed_window, 7, second);
  CHECK(header_lines({shadow, bytes, plain}, {.remaining = 3, .reset_s = 4, .limit = 1}) ==
        "RateLimit-Policy: \"b\";q=1000;w=60;qu=\"content-bytes\", \"l\";q=7;w=1\r\n"
        "RateLimit: \"b\";r=3;t=4\r\n");
  // As when a verdict was under way while a reload put its limit in shadow.
  CHECK(header_lines({shadow}, {.remaining = 3, .limit = 0}).empty());
  const auto document = boost::json::parse(plan_headers{plan{"p", {bytes}}}.refusal_body(0));
  CHECK(document.at("detail").as_string() ==
        R"(The limit "b" of 1000 bytes in 60 s is used up; Retry-After says when to come back.)");
}
