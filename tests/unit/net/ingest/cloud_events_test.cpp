// CloudEvents in their three forms: the specification's examples, and what is none.
#include "net/http/event_body.hpp"
#include "net/ingest/cloud_events.hpp"
#include "tests/unit/net/padded.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include <random>

using namespace penstock;

namespace {

constexpr std::string_view required =
    R"("specversion":"1.0","type":"com.example.orders.placed","source":"/shop/7","id":"A-1")";

std::string event_with(std::string_view more) {
  return "{" + std::string{required} + (more.empty() ? "" : ",") + std::string{more} + "}";
}

boost::json::object attributes_of(const cloud_event& event) {
  return boost::json::parse(event.attributes).as_object();
}

std::string structured_error(std::string_view text) {
  cloud_event_reader reader{1 << 20};
  cloud_event event;
  return reader.structured(padded{text}, event) ? "" : reader.why();
}

std::string binary_error(const std::vector<header_field>& fields) {
  cloud_event_reader reader{1 << 20};
  cloud_event event;
  return reader.binary(fields, event) ? "" : reader.why();
}

std::vector<header_field> headers(std::initializer_list<header_field> more) {
  std::vector<header_field> out{{"ce-specversion", "1.0"},
                                {"ce-type", "com.example.orders.placed"},
                                {"ce-source", "/shop/7"},
                                {"ce-id", "A-1"}};
  out.insert(out.end(), more);
  return out;
}

std::string decoded(std::string_view value) {
  cloud_event_reader reader{1 << 20};
  cloud_event event;
  if (!reader.binary(headers({{"ce-subject", value}}), event)) return "error: " + reader.why();
  return std::string{attributes_of(event).at("ce_subject").as_string()};
}

} // namespace

TEST_CASE("cloud events: a structured event with every kind of attribute") {
  cloud_event_reader reader{1 << 20};
  cloud_event event;
  padded text{
      event_with(R"("time":"2024-02-29T12:00:00.5+01:00","subject":null,"comexampleword":"w",)"
                 R"("comexamplenumber":-5,"comexampleflag":true,"unset":null,)"
                 R"("datacontenttype":"application/json","data":{"a":[1,2,{"b":null}]})")};
  REQUIRE(reader.structured(text, event));
  CHECK(event.id == "A-1");
  CHECK(event.source == "/shop/7");
  CHECK(attributes_of(event) ==
        boost::json::parse(R"({"ce_specversion":"1.0","ce_type":"com.example.orders.placed",
             "ce_source":"/shop/7","ce_id":"A-1","ce_time":"2024-02-29T12:00:00.5+01:00",
             "ce_comexampleword":"w","ce_comexamplenumber":"-5","ce_comexampleflag":"true",
             "ce_datacontenttype":"application/json"})"));
}

TEST_CASE("cloud events: data of any JSON value, or in Base64, or none") {
  for (auto data : {"", R"("data":null)", R"("data":"text")", R"("data":17)", R"("data":[])",
                    R"("data_base64":"AAEC/+==")", R"("data_base64":"")"})
    CHECK(structured_error(event_with(data)) == "");
  CHECK(structured_error(event_with(R"("data_base64":"AAE")")).find("data_base64") !=
        std::string::npos);
  CHECK(structured_error(event_with(R"("data_base64":"AA-_")")).find("data_base64") !=
        std::string::npos);
  CHECK(structured_error(event_with(R"("data_base64":7)")).find("data_base64") !=
        std::string::npos);
  CHECK(structured_error(event_with(R"("data":1,"data_base64":"AAEC")")).find("data") !=
        std::string::npos);
  CHECK(structured_error(event_with(R"("data":1,"data":2)")).find("once") != std::string::npos);
}

TEST_CASE("cloud events: an error names the attribute") {
  struct {
    std::string text, names;
  } cases[] = {
      {R"({"type":"t","source":"s","id":"i"})", "specversion"},
      {R"({"specversion":"1.0","source":"s","id":"i"})", "type"},
      {R"({"specversion":"1.0","type":"t","id":"i"})", "source"},
      {R"({"specversion":"1.0","type":"t","source":"s"})", "id"},
      {R"({"specversion":"1.0","type":"t","source":"s","id":null})", "id"},
      {R"({"specversion":"1.0","type":"t","source":"s","id":""})", "id"},
      {R"({"specversion":"1.0","type":"","source":"s","id":"i"})", "type"},
      {R"({"specversion":"0.3","type":"t","source":"s","id":"i"})", "specversion"},
      {R"({"specversion":1.0,"type":"t","source":"s","id":"i"})", "specversion"},
      {R"({"specversion":"1.0","type":"t","source":"s","id":7.5})", "id"},
      {event_with(R"("id":"again")"), "id"},
      {event_with(R"("subject":"")"), "subject"},
      {event_with(R"("time":"yesterday")"), "time"},
      {event_with(R"("dataschema":"")"), "dataschema"},
      {event_with(R"("datacontenttype":"")"), "datacontenttype"},
      {event_with(R"("Upper":"x")"), "Upper"},
      {event_with(R"("with_underscore":"x")"), "with_underscore"},
      {event_with(R"("":"x")"), "\"\""},
      {event_with(R"("abcdefghijklmnopqrstu":"21 characters")"), "abcdefghijklmnopqrstu"},
      {event_with(R"("map":{})"), "map"},
      {event_with(R"("list":[])"), "list"},
      {event_with(R"("half":0.5)"), "half"},
      {event_with(R"("wide":2147483648)"), "wide"},
      {event_with(R"("wider":18446744073709551615)"), "wider"},
      {event_with(R"("bell":"\u0007")"), "bell"},
      {event_with(R"("nextline":"a\u0085b")"), "nextline"},
      {event_with("\"long\":\"" + std::string(max_cloud_event_attribute_bytes, 'x') + '"'), "long"},
  };
  for (auto& one : cases) {
    INFO(one.text.substr(0, 200));
    CHECK(structured_error(one.text).find(one.names) != std::string::npos);
  }
  CHECK(structured_error(
            event_with(R"("abcdefghijklmnopqrst":"20 characters","small":-2147483648)")) == "");
}

TEST_CASE("cloud events: no more attributes than an event may have") {
  std::string text{required};
  for (std::size_t i = 4; i < max_cloud_event_attributes; ++i)
    text += ",\"x" + std::to_string(i) + "\":1";
  CHECK(structured_error("{" + text + "}") == "");
  CHECK(structured_error("{" + text + ",\"toomany\":1}").find("toomany") != std::string::npos);
  const std::string added =
      R"("penstockid":"0000000000000001-nbjoxe3h","partitionkey":"00112233445566ff")";
  CHECK(structured_error("{" + added + ',' + text + "}") == "");
  CHECK(structured_error("{" + text + ',' + added + "}") == "");
  CHECK(structured_error("{" + added + ',' + text + ",\"toomany\":1}") != "");
}

TEST_CASE("cloud events: no more bytes of attributes than an event may have") {
  const auto with_bytes = [](std::size_t bytes, const std::string& more = "") {
    return "{" + std::string{required} + more + ",\"pad\":\"" + std::string(bytes, 'x') + "\"}";
  };
  std::size_t most = (16 << 10) - 100;
  while (structured_error(with_bytes(most)).empty())
    ++most;
  CHECK(most < (16 << 10));
  CHECK(most > (16 << 10) - 100);
  --most;
  const std::string added =
      R"(,"penstockid":"0000000000000001-nbjoxe3h","partitionkey":"00112233445566ff")";
  CHECK(structured_error(with_bytes(most, added)) == "");
  CHECK(structured_error(with_bytes(most + 1, added)) != "");
  CHECK(structured_error(with_bytes(most, R"(,"partitionkey":")" + std::string(99, 'x') + '"')) !=
        "");
}

TEST_CASE("cloud events: what is no JSON object is no event") {
  for (auto text : {"", "{", "[]", "null", "\"x\"", "{} {}", "\xff"})
    CHECK_FALSE(structured_error(text).empty());
}

TEST_CASE("cloud events: a batch gives every element's bytes as they came") {
  cloud_event_reader reader{1 << 20};
  auto one = event_with(R"("data" :  { "a" : [ "]}" , 1.50 ] })");
  auto two = event_with("\"data\":\"\\\"}\\u007d\"  ");
  padded text{" [ " + one + "  ,\n\t" + two + " \r\n , {} , 7, [" + one + "], \"}\" ,null]  "};
  REQUIRE(reader.open_batch(text));
  REQUIRE(reader.batch_size() == 7);
  std::vector<std::string> slices, errors;
  reader.for_each_in_batch([&](std::string_view raw, const cloud_event* event) {
    slices.emplace_back(raw);
    errors.push_back(event ? "" : reader.why());
    if (event) CHECK(event->id == "A-1");
    return true;
  });
  std::size_t seen = 0;
  reader.for_each_in_batch([&](std::string_view, const cloud_event*) { return ++seen < 3; });
  CHECK(seen == 3);
  CHECK(slices[0] == one);
  CHECK(slices[1] == two);
  CHECK(errors[0].empty());
  CHECK(errors[1].empty());
  CHECK(errors[2].find("specversion") != std::string::npos);
  for (std::size_t i = 3; i < 7; ++i)
    CHECK(errors[i].find("JSON object") != std::string::npos);
}

TEST_CASE("cloud events: a batch may be empty, and nothing but an array") {
  cloud_event_reader reader{1 << 20};
  REQUIRE(reader.open_batch(padded{"[ ]"}));
  CHECK(reader.batch_size() == 0);
  for (auto text : {"", "{}", "[", "[{}", "[{},]", "[1]]", "null", "\"[]\""}) {
    INFO(text);
    CHECK_FALSE(reader.open_batch(padded{text}));
    CHECK_FALSE(reader.why().empty());
    CHECK(reader.batch_size() == 0);
  }
}

TEST_CASE("cloud events: binary mode, whatever the case of the fields") {
  cloud_event_reader reader{1 << 20};
  cloud_event event;
  REQUIRE(reader.binary({{"CE-Id", "A-1"},
                         {"ce-SOURCE", "/shop/7"},
                         {"Ce-Type", "com.example.orders.placed"},
                         {"ce-specversion", "1.0"},
                         {"ce-comexampleflag", "true"}},
                        event));
  CHECK(event.id == "A-1");
  CHECK(attributes_of(event) == boost::json::parse(R"({"ce_id":"A-1","ce_source":"/shop/7",
             "ce_type":"com.example.orders.placed","ce_specversion":"1.0","ce_comexampleflag":"true"})"));
}

TEST_CASE("cloud events: values of header fields are unquoted, then percent-decoded once") {
  CHECK(decoded("Euro%20%E2%82%AC%20%F0%9F%98%80") == "Euro € 😀");
  CHECK(decoded("%e2%82%ac") == "€");
  CHECK(decoded("%41%42") == "AB");
  CHECK(decoded("100%25") == "100%");
  CHECK(decoded("%2541") == "%41");
  CHECK(decoded("\"two words\"") == "two words");
  CHECK(decoded(R"("a \"word\" and a \\")") == R"(a "word" and a \)");
  CHECK(decoded("\"%E2%82%AC\"") == "€");
  CHECK(decoded("€") == "€"); // raw UTF-8, as some clients send it
  for (auto bad : {"%C0%A0", "%ff", "%", "%4", "100%", "%zz", "a%0g", "\"open", "%0A", "%C2%85",
                   "\xff", "%ED%A0%80"}) {
    INFO(bad);
    CHECK(decoded(bad).find("\"subject\"") != std::string::npos);
  }
}

TEST_CASE("cloud events: binary mode's errors name the attribute") {
  CHECK(binary_error(headers({})) == "");
  CHECK(binary_error({{"ce-id", "1"}}).find("specversion") != std::string::npos);
  CHECK(binary_error(headers({{"ce-id", "2"}})).find("\"id\"") != std::string::npos);
  CHECK(binary_error(headers({{"ce-", "2"}})).find("named") != std::string::npos);
  CHECK(binary_error(headers({{"ce-a-b", "2"}})).find("a-b") != std::string::npos);
  CHECK(binary_error(headers({{"ce-time", "noon"}})).find("time") != std::string::npos);
  CHECK(binary_error(headers({{"ce-datacontenttype", "text/plain"}})).find("Content-Type") !=
        std::string::npos);
  CHECK(binary_error(headers({{"ce-data", "x"}})).find("ce-data") != std::string::npos);
}

TEST_CASE("cloud events: broken input is refused or read, never more") {
  std::mt19937 random{7};
  const auto whole = "[" +
                     event_with(R"("data":{"x":[1,"two",null]},"time":"2024-01-01T00:00:00Z")") +
                     "," + event_with(R"("data_base64":"AAEC")") + "]";
  cloud_event_reader reader{1 << 20};
  constexpr std::string_view alphabet = "{}[]\",:\\u00e9019truefalsn \xc3\xff\x00";
  std::size_t read = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto text = whole;
    for (auto edits = random() % 3 + 1; edits > 0; --edits) {
      auto at = random() % text.size();
      switch (random() % 3) {
      case 0:
        text[at] = alphabet[random() % alphabet.size()];
        break;
      case 1:
        text.erase(at, random() % 8 + 1);
        break;
      default:
        text.insert(at, 1, alphabet[random() % alphabet.size()]);
        break;
      }
      if (text.empty()) text = "x";
    }
    padded body{text};
    if (!reader.open_batch(body)) {
      ++refused;
      continue;
    }
    ++read;
    reader.for_each_in_batch([&](std::string_view raw, const cloud_event* event) {
      if (!event) return true;
      // What is taken is a slice of what came, and by itself the same event.
      REQUIRE(text.find(raw) != std::string::npos);
      cloud_event alone;
      cloud_event_reader other{1 << 20};
      REQUIRE(other.structured(padded{raw}, alone));
      REQUIRE(alone.attributes == event->attributes);
      boost::json::parse(event->attributes);
      return true;
    });
  }
  CHECK(read > 100);
  CHECK(refused > 100);
}
