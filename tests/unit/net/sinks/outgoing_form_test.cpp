#include "net/sinks/outgoing_form.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;

namespace {

outgoing_event event_with(std::string_view body, std::string_view type,
                          std::string_view attributes = {}) {
  auto block = std::make_shared<event_block>();
  block->first_seq = 10;
  block->time_ms = 1'700'000'000'123;
  block->stream = "errors";
  block->push("first", "text/plain", 1);
  block->push(body, type, 0xabc, attributes);
  return {block, 1};
}

const sink_batch errors_batch{.stream = "errors", .tag = "nbjoxe3h"};

std::string structured(const outgoing_event& event) {
  std::string out;
  outgoing_form{"/penstock/a"}.append_structured(out, event, errors_batch);
  return out;
}

} // namespace

TEST_CASE("an ordinary event becomes a CloudEvent with our id") {
  CHECK(
      structured(event_with("{\"a\":1}", "application/json")) ==
      R"({"specversion":"1.0","id":"000000000000000b-nbjoxe3h","source":"/penstock/a",)"
      R"("type":"penstock.errors","time":"2023-11-14T22:13:20.123Z",)"
      R"("partitionkey":"0000000000000abc","datacontenttype":"application/json","data":{"a":1}})");
}

TEST_CASE("text is a string, other bytes are base 64") {
  CHECK(structured(event_with("a\"b", "text/plain")).ends_with(R"("data":"a\"b"})"));
  CHECK(structured(event_with("\xff", "image/png")).ends_with(R"("data_base64":"/w=="})"));
}

TEST_CASE("an event without data has none") {
  const auto text =
      structured(event_with("", "application/json", R"({"ce_id":"7","ce_source":"/s"})"));
  CHECK(text.ends_with(R"("datacontenttype":"application/json"})"));
  CHECK(structured(event_with("", "text/plain")).ends_with(R"("data":""})"));
}

TEST_CASE("a structured CloudEvent keeps its bytes and gets our id and the key") {
  const auto text =
      structured(event_with(R"( { "id" : "7",  "source":"/s","specversion":"1.0"})",
                            "application/cloudevents+json", R"({"ce_id":"7","ce_source":"/s"})"));
  CHECK(text == R"({"penstockid":"000000000000000b-nbjoxe3h","partitionkey":"0000000000000abc",)"
                R"("id" : "7",  "source":"/s","specversion":"1.0"})");
}

TEST_CASE("what is ours nobody else can set, and what came under its name is kept beside it") {
  const std::string ours =
      R"({"penstockid":"000000000000000b-nbjoxe3h","partitionkey":"0000000000000abc")";
  const auto relayed = [](std::string_view body) {
    return structured(event_with(body, "application/cloudevents+json", R"({"ce_id":"7"})"));
  };
  CHECK(relayed(R"({"penstockid":"x", "id":"7" , "partitionkey":"k"})") ==
        ours + R"(,"upstreamid":"x","id":"7","upstreamkey":"k"})");
  // As an escape, without a value, as a second member; what is nested is data.
  CHECK(relayed(R"({"\u0070enstockid":"x","id":"7"})") == ours + R"(,"upstreamid":"x","id":"7"})");
  CHECK(relayed(R"({"id":"7","penstockid":null,"partitionkey":null})") == ours + R"(,"id":"7"})");
  CHECK(relayed(R"({"upstreamid":"old","penstockid":"x"})") == ours + R"(,"upstreamid":"x"})");
  CHECK(relayed(R"({"upstreamid":"mine","data":{"penstockid":"}\""},"n":[1,{"a":2}]})") ==
        ours + R"(,"upstreamid":"mine","data":{"penstockid":"}\""},"n":[1,{"a":2}]})");
  CHECK(relayed(R"({"penstockid":null})") == ours + "}");
}

TEST_CASE("nor can a client in binary mode") {
  outgoing_form form{"/penstock/a"};
  const auto event = event_with(
      "x", "text/plain",
      R"({"traceparent":"00-1","ce_id":"7","ce_source":"/s","ce_penstockid":"p","ce_upstreamid":"o",)"
      R"("ce_partitionkey":"k","ce_traceparent":"00-2"})");
  const std::vector<std::pair<std::string, std::string>> expected{
      {"traceparent", "00-1"},
      {"id", "7"},
      {"source", "/s"},
      {"upstreamid", "p"},
      {"upstreamkey", "k"},
      {"specversion", "1.0"},
      {"penstockid", "000000000000000b-nbjoxe3h"},
      {"partitionkey", "0000000000000abc"}};
  CHECK(form.attributes(event, errors_batch) == expected);
}

TEST_CASE("attributes of a binary CloudEvent are its own") {
  outgoing_form form{"/penstock/a"};
  const auto event =
      event_with("<a/>", "text/xml",
                 R"({"traceparent":"00-1","ce_id":"7","ce_source":"/s","ce_type":"t",)"
                 R"("ce_specversion":"1.0"})");
  const auto& all = form.attributes(event, errors_batch);
  const std::vector<std::pair<std::string, std::string>> expected{
      {"traceparent", "00-1"},
      {"id", "7"},
      {"source", "/s"},
      {"type", "t"},
      {"specversion", "1.0"},
      {"penstockid", "000000000000000b-nbjoxe3h"},
      {"partitionkey", "0000000000000abc"}};
  CHECK(all == expected);
}

TEST_CASE("templates name the stream") {
  CHECK(outgoing_form::fill_template("a.{stream}.{stream}", "x") == "a.x.x");
  CHECK(outgoing_form::fill_template("plain", "x") == "plain");
}
