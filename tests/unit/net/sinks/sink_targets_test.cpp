// Where a stream's events go, and that its name leads nowhere else.
#include "net/sinks/aws/sqs_message.hpp"
#include "net/sinks/http/http_target.hpp"
#include "net/sinks/json_members.hpp"
#include "net/sinks/nats/nats_diagnosis.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

std::string http_url(std::string_view pattern, std::string_view stream) {
  const auto url = fill_http_url(pattern, stream);
  return url ? *url : "refused";
}

} // namespace

TEST_CASE("a stream's name stays within its part of a URL") {
  CHECK(http_url("http://h/v1/events/{stream}", "a.b-c_d") == "http://h/v1/events/a.b-c_d");
  CHECK(http_url("http://h/v1/{stream}/in?s={stream}", "a/../b?#&") ==
        "http://h/v1/a%2F..%2Fb%3F%23%26/in?s=a%2F..%2Fb%3F%23%26");
  for (const auto* name : {".", ".."}) {
    CHECK(http_url("http://h/v1/events/{stream}", name) == "refused");
    CHECK(http_url("http://h/{stream}/in", name) == "refused");
    CHECK(http_url("http://h/in?stream={stream}", name) != "refused");
    CHECK(http_url("http://h/in/x-{stream}", name) != "refused");
  }
  CHECK(http_url("http://h/.{stream}", ".") == "refused");
  CHECK(http_url("http://h/%2E{stream}/", ".") == "refused");
  CHECK(http_url("http://h/{stream}{stream}", ".") == "refused");
  CHECK(http_url("http://h/{stream}", "...") == "http://h/...");
  CHECK(http_url("http://h", "a") == "http://h");
}

TEST_CASE("a stream's name never says to which server its events go") {
  CHECK(http_pattern_fault("http://h/{stream}").empty());
  CHECK(http_pattern_fault("http://h?s={stream}").empty());
  for (const auto* pattern : {"http://{stream}.example.com/in", "http://gw-{stream}/",
                              "https://{stream}@h/", "http://h:{stream}/x"})
    CHECK_FALSE(http_pattern_fault(pattern).empty());
}

TEST_CASE("SQS takes no other names than it has") {
  CHECK(queue_name_fault("http://h/1/a-b_C9", false).empty());
  CHECK(queue_name_fault("http://h/1/a.fifo", true).empty());
  CHECK_FALSE(queue_name_fault("http://h/1/a.fifo", false).empty());
  CHECK_FALSE(queue_name_fault("http://h/1/a", true).empty());
  CHECK_FALSE(queue_name_fault("http://h/1/a.b", false).empty());
  CHECK_FALSE(queue_name_fault("http://h/1/", false).empty());
  CHECK_FALSE(queue_name_fault("http://h/1/.fifo", true).empty());
  CHECK_FALSE(queue_name_fault("http://h/1/" + std::string(81, 'a'), false).empty());
}

TEST_CASE("which subjects a stream takes") {
  CHECK(nats_subject_matches("events.>", "events.a.b"));
  CHECK(nats_subject_matches("events.*", "events.a"));
  CHECK(nats_subject_matches("events.a", "events.a"));
  CHECK_FALSE(nats_subject_matches("events.*", "events.a.b"));
  CHECK_FALSE(nats_subject_matches("events.>", "events"));
  CHECK_FALSE(nats_subject_matches("events.a", "events.b"));
  CHECK_FALSE(nats_subject_matches("events.a.b", "events.a"));
  CHECK(nats_subject_matches(">", "x"));
}

TEST_CASE("the members of a JSON object are found") {
  const auto members = split_json_members(R"( {"a" : [1,{"b":"]}"}] , "c\"":"\\" ,"d":null})");
  REQUIRE(members.size() == 3);
  CHECK(members[0].name == "a");
  CHECK(members[0].value == R"([1,{"b":"]}"}])");
  CHECK(members[0].text == R"("a" : [1,{"b":"]}"}])");
  CHECK(members[1].name == "c\"");
  CHECK(members[1].value == R"("\\")");
  CHECK(members[2].value == "null");
  CHECK(split_json_members("{}").empty());
  for (const auto* cut : {"{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[", "{\"a\":\"\\"})
    (void)split_json_members(cut);
}
