// The admin plane's usage reports: what is asked, what is refused, what is answered.
#include "net/admin/usage.hpp"
#include "net/base/network.hpp"
#include "net/base/rfc3339.hpp"
#include "net/ingest/usage_notes.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace penstock;
namespace json = boost::json;

namespace {

constexpr std::int64_t now_ms = 1'795'294'077'123; // 2026-11-21T20:47:57.123Z

usage_query query_of(const std::string& text) {
  const auto got = parse_usage_request(text, now_ms);
  INFO(text);
  REQUIRE(got.has_value());
  return got->query;
}

} // namespace

TEST_CASE("relative times", "[usage]") {
  CHECK(parse_time("now", now_ms) == now_ms);
  CHECK(parse_time("-24h", now_ms) == now_ms - 86'400'000);
  CHECK(parse_time("-90m", now_ms) == now_ms - 5'400'000);
  CHECK(parse_time("-1s", now_ms) == now_ms - 1000);
  CHECK(parse_time("-30d", now_ms) == now_ms - 30 * 86'400'000ll);
  CHECK(parse_time("2026-11-21T20:47:57.123Z", 0) == now_ms);
  for (const auto* bad : {"", "-", "24h", "-h", "-24", "-24w", "--24h", "-24h ", "-1.5h",
                          "yesterday", "-99999999999999999999h", "-40000d", "Now"})
    CHECK_FALSE(parse_time(bad, now_ms).has_value());
}

TEST_CASE("a usage query: defaults and every parameter", "[usage]") {
  const auto plain = query_of("");
  CHECK(plain.by == usage_dimension::account);
  CHECK(plain.per == usage_period::hour);
  CHECK(plain.top == 10);
  CHECK(plain.from_s == now_ms / 1000 - 86'400);
  CHECK(plain.to_s == now_ms / 1000 + 1);
  CHECK_FALSE(plain.id.has_value());
  CHECK_FALSE(parse_usage_request("", now_ms)->of_node);
  CHECK(parse_usage_request("scope=node", now_ms)->of_node);
  const auto full = query_of("by=ip&per=minute&from=-1h&to=2026-11-21T20:30:00Z&top=1000&"
                             "order=refused&id=2001%3Adb8%3A%3A%2F64&format=csv");
  CHECK(full.by == usage_dimension::ip);
  CHECK(full.per == usage_period::minute);
  CHECK(full.from_s == now_ms / 1000 - 3600);
  CHECK(full.to_s == 1'795'293'000);
  CHECK(full.top == 1000);
  CHECK(full.order == usage_order::refused);
  CHECK(full.id == "2001:db8::/64");
  CHECK(query_of("to=-1h").from_s == now_ms / 1000 - 25 * 3600); // 24 hours before its end
}

TEST_CASE("a wrong parameter is named, with what would do", "[usage]") {
  const auto refused = [](const std::string& text, const std::string& name,
                          const std::string& rule) {
    const auto got = parse_usage_request(text, now_ms);
    INFO(text);
    REQUIRE_FALSE(got.has_value());
    CHECK(got.error().code == errc::invalid);
    CHECK(got.error().message.find("'" + name + "'") != std::string::npos);
    CHECK(got.error().message.find(rule) != std::string::npos);
  };
  refused("by=client", "by", "account, key, ip, referer or stream");
  refused("per=week", "per", "minute, hour, day or month");
  refused("from=yesterday", "from", "-24h");
  refused("to=", "to", "RFC 3339");
  refused("from=now", "from", "before 'to'");
  refused("from=-1h&to=-2h", "from", "before 'to'");
  for (const auto* top : {"0", "1001", "ten", "-1", "1.5", ""})
    refused("top=" + std::string{top}, "top", "from 1 to 1000");
  refused("order=name", "order", "requests, events, bytes or refused");
  refused("format=xml", "format", "json or csv");
  refused("id=", "id", "names them");
  refused("id=%zz", "id", "percent");
  refused("limit=5", "limit", "by, per, from, to, top, id, order, format and scope");
  refused("scope=all", "scope", "cluster or node");
}

TEST_CASE("reports as JSON and CSV", "[usage]") {
  usage_report report;
  report.from_s = 1'795'291'200;
  report.to_s = 1'795'294'800;
  report.total = {9, 8, 7, 6};
  report.ids = 3;
  report.rows = {{"https://a.example", 0, {5, 4, 3, 2}},
                 {"=cmd|'/c calc'!A1,\"x\"", 0, {4, 4, 4, 4}},
                 {"caf\xff\x1b[2J", 0, {0, 0, 0, 1}}};
  usage_query query;
  query.by = usage_dimension::referer;
  const auto document = json::parse(usage_json(query, report));
  CHECK(document.at("by").as_string() == "referer");
  CHECK(document.at("per").as_string() == "hour");
  CHECK(document.at("from").as_string() == "2026-11-21T20:00:00.000Z");
  CHECK(document.at("to").as_string() == "2026-11-21T21:00:00.000Z");
  CHECK(document.at("total").at("bytes").as_int64() == 7);
  CHECK(document.at("ids").as_int64() == 3);
  CHECK(document.at("top").as_array().size() == 3);
  CHECK(document.at("top").at(1).at("id").as_string() == "=cmd|'/c calc'!A1,\"x\"");
  CHECK(document.at("top").at(0).at("refused").as_int64() == 2);
  CHECK(usage_csv(query, report).substr(0, 132) == "id,requests,events,bytes,refused\r\n"
                                                   "https://a.example,5,4,3,2\r\n"
                                                   "\"'=cmd|'/c calc'!A1,\"\"x\"\"\",4,4,4,4\r\n"
                                                   "caf\xff\x1b[2J,0,0,0,1\r\n");

  query.id = "https://a.example";
  report.rows = {{"https://a.example", 1'795'291'200, {1, 1, 1, 1}}};
  const auto series = json::parse(usage_json(query, report));
  CHECK(series.at("id").as_string() == "https://a.example");
  CHECK(series.at("buckets").at(0).at("time").as_string() == "2026-11-21T20:00:00.000Z");
  CHECK_FALSE(series.as_object().contains("top"));
  CHECK(usage_csv(query, report) ==
        "time,requests,events,bytes,refused\r\n2026-11-21T20:00:00.000Z,1,1,1,1\r\n");
  CHECK_FALSE(series.as_object().contains("nodes")); // it is of one node
  const usage_coverage coverage{
      {{"a", "10.0.0.1:4200", false, 1'795'291'200'000}, {"b\"", "10.0.0.2:4200", true, 0}},
      {"10.0.0.3:4200"}};
  const auto all = json::parse(usage_json(query, report, coverage));
  CHECK(json::serialize(all.at("nodes").at(0)) ==
        R"({"node":"a","address":"10.0.0.1:4200","source":"node",)"
        R"("known_to":"2026-11-21T20:00:00.000Z"})");
  CHECK(all.at("nodes").at(1).at("source").as_string() == "copy");
  CHECK(all.at("nodes").at(1).at("known_to").is_null());
  CHECK(all.at("missing").at(0).as_string() == "10.0.0.3:4200");
  report.rows.clear();
  CHECK(json::parse(usage_json(query, report)).at("buckets").as_array().empty());
}

TEST_CASE("notes keep each request's ids apart", "[usage]") {
  usage_notes notes;
  CHECK(notes.empty());
  {
    std::string text = "https://a.example";
    usage_ids ids;
    ids[3] = {7, text};
    ids[4] = {8, "default"};
    notes.add(ids);
    notes.add({});
    ids[0] = {9, "acme"};
    notes.add(ids);
    text.assign(text.size(), '-');
  }
  CHECK(notes[0][0].text.empty());
  CHECK(notes[0][3].text == "https://a.example");
  CHECK(notes[0][3].hash == 7);
  CHECK(notes[0][4].text == "default");
  for (const auto& id : notes[1])
    CHECK(id.text.empty());
  CHECK(notes[2][0].text == "acme");
  CHECK(notes[2][3].text == "https://a.example");
  notes.clear();
  CHECK(notes.empty());
}

TEST_CASE("addresses as text", "[usage]") {
  for (const auto* text : {"10.0.0.1", "2001:db8::1", "::1", "255.255.255.255"})
    CHECK(to_text(*parse_ip(text)) == text);
  CHECK(to_text(*parse_ip("::ffff:10.1.2.3")) == "10.1.2.3");
}
