// What a body is: its kind, its lines, and whether it is JSON.
#include "net/http/event_body.hpp"
#include "tests/unit/net/padded.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <cstring>
#include <memory>

using namespace penstock;

namespace {

std::vector<std::string> lines_of(std::string_view body) {
  std::vector<std::string> out;
  for_each_line(body, [&](std::string_view line) {
    out.emplace_back(line);
    return true;
  });
  return out;
}

using lines = std::vector<std::string>;
constexpr auto example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

} // namespace

TEST_CASE("kinds of body by media type, whatever its case and parameters") {
  for (const auto* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8",
        "application/json ;x", "text/json", "application/vnd.a+JSON;v=1"}) {
    INFO(type);
    CHECK(classify_body(type) == body_kind::json);
  }
  for (const auto* type :
       {"application/x-ndjson", "APPLICATION/NDJSON", "application/ndjson\t;a=b"})
    CHECK(classify_body(type) == body_kind::ndjson);
  CHECK(classify_body("application/cloudevents+json") == body_kind::cloud_event);
  CHECK(classify_body("Application/CloudEvents+JSON; charset=UTF-8") == body_kind::cloud_event);
  CHECK(classify_body("application/cloudevents-batch+json") == body_kind::cloud_events);
  CHECK(classify_body("Application/CloudEvents-Batch+json ;charset=utf-8") ==
        body_kind::cloud_events);
  for (const auto* type : {"application/cloudevents", "application/cloudevents+avro",
                           "application/cloudevents-batch+protobuf", "Application/CloudEvents+xml"})
    CHECK(classify_body(type) == body_kind::unsupported);
  for (const auto* type : {"", ";", "text/plain", "application/jsonx", "application/octet-stream",
                           "x; application/json", "application/xml;a=+json", "json"})
    CHECK(classify_body(type) == body_kind::opaque);
  // Longer than any type that matters.
  CHECK(classify_body(std::string(59, 'a') + "+json") == body_kind::json);
  CHECK(classify_body(std::string(60, 'a') + "+json") == body_kind::opaque);
  CHECK(classify_body(std::string(60'000, 'a')) == body_kind::opaque);
}

TEST_CASE("lines: blank ones are no events, and line ends are none of theirs") {
  CHECK(lines_of("").empty());
  CHECK(lines_of("\n\r\n \t\n\n").empty());
  CHECK(lines_of("1") == lines{"1"});
  CHECK(lines_of("1\n") == lines{"1"});
  CHECK(lines_of("1\n2") == lines{"1", "2"});
  CHECK(lines_of("\n1\r\n\n 2 \r\n\t\r\n3\r") == lines{"1", " 2 ", "3"});
  CHECK(lines_of("a\rb\n\r\r\n") == lines{"a\rb", "\r"}); // a CR is blank only as a line's end
  CHECK(lines_of(std::string_view{"\0\n", 2}) == lines{std::string(1, '\0')});
  std::size_t seen = 0;
  for_each_line("1\n2\n3\n", [&](std::string_view) { return ++seen < 2; });
  CHECK(seen == 2);
}

TEST_CASE("JSON is checked in full") {
  json_checker json{1 << 16};
  for (const auto* good : {"{}", "[]", "0", "\"x\"", "true", "null", " [1, 2.5e3, {\"a\":[]}] ",
                           "\"\\u00e9\\ud83d\\ude00\"", "\"snö\"", "{\"a\":1,\"a\":2}"}) {
    INFO(good);
    CHECK(json.valid(padded{good, '\0'}.text()));
  }
  for (const auto* bad :
       {"",     " ",      "{",        "[1,2",     "{\"a\":}", "[1,]",    "1 2",
        "{}{}", "nul",    "tru",      "01",       "'x'",      "\"\\x\"", "\"\\ud83d\"",
        "\"a",  "\"\t\"", "\"\xff\"", "\"\xc3\"", "NaN",      "[1]]",    "{\"a\" 1}",
        "\xff", "-",      "1.",       "1e"}) {
    INFO(bad);
    CHECK_FALSE(json.valid(padded{bad, '\0'}.text()));
    CHECK(std::strlen(json.why()) > 0);
  }
  CHECK(json.valid(padded{"{}", '\0'}.text())); // after a bad one
}

TEST_CASE("JSON: what follows a text never changes what it is") {
  json_checker json{1 << 16};
  for (char filler : {'\0', ' ', '"', '}', ']', '1', '{', '\\', '\xff', 'l', 'e', '.'}) {
    INFO(static_cast<int>(filler));
    for (const auto* good : {"{\"a\":1}", "12", "\"x\"", "null", "[]", "1.5"})
      CHECK(json.valid(padded{good, filler}.text()));
    for (const auto* bad : {"{\"a\":1", "[1", "\"x", "nul", "tru", "-", "1.", "\"\\"})
      CHECK_FALSE(json.valid(padded{bad, filler}.text()));
  }
}

TEST_CASE("JSON: every size around the parser's blocks, and what is too large or too deep") {
  json_checker json{4096};
  for (std::size_t size = 0; size < 300; ++size) {
    const auto text = "\"" + std::string(size, 'x') + "\"";
    CHECK(json.valid(padded{text, '"'}.text()));
    CHECK_FALSE(json.valid(padded{text.substr(0, size + 1), '"'}.text()));
  }
  CHECK(json.valid(padded{"\"" + std::string(4094, 'x') + "\"", ' '}.text()));
  CHECK_FALSE(json.valid(padded{"\"" + std::string(4095, 'x') + "\"", ' '}.text()));
  CHECK(json.valid(padded{std::string(900, '[') + std::string(900, ']'), ' '}.text()));
  CHECK_FALSE(json.valid(padded{std::string(1'500, '[') + std::string(1'500, ']'), ' '}.text()));
}

TEST_CASE("trace context: kept when well formed, else not at all") {
  const auto only = boost::json::parse(trace_attributes(example, ""));
  CHECK(only.as_object().size() == 1);
  CHECK(only.at("traceparent").as_string() == example);
  const auto both = boost::json::parse(trace_attributes(example, "a=\"1\",b=2"));
  CHECK(both.at("tracestate").as_string() == "a=\"1\",b=2");
  const std::string text = example;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto bad = text;
    bad[i] = bad[i] == '-' ? '0' : 'G';
    INFO(bad);
    CHECK(trace_attributes(bad, "a=1").empty());
    CHECK(trace_attributes(text.substr(0, i), "a=1").empty());
  }
  CHECK(trace_attributes("00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "").empty());
  CHECK(trace_attributes(text + "\x7f", "").empty());
  // A tracestate that is not as it must be does not take the traceparent with it.
  for (const auto& state : {std::string(513, 'a'), std::string{"a=\xff"}, std::string{"a\tb"}})
    CHECK_FALSE(
        boost::json::parse(trace_attributes(example, state)).as_object().contains("tracestate"));
  CHECK(boost::json::parse(trace_attributes(example, std::string(512, 'a')))
            .as_object()
            .contains("tracestate"));
}
