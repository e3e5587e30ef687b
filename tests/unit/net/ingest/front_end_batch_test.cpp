// Requests with many events: which are stored, and what is told of each.
#include "actors/streams/stream_settings.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

using texts = std::vector<std::string>;

/// index → status of a batch's errors.
std::map<std::int64_t, std::int64_t> errors_of(const boost::json::value& document) {
  std::map<std::int64_t, std::int64_t> out;
  for (auto& one : document.at("errors").as_array()) {
    out[one.at("index").as_int64()] = one.at("status").as_int64();
    CHECK_FALSE(one.at("title").as_string().empty());
    CHECK_FALSE(one.at("detail").as_string().empty());
  }
  return out;
}

std::string repeated_line(std::size_t count, std::string_view line) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i)
    out.append(line).append("\n");
  return out;
}

using errors = std::map<std::int64_t, std::int64_t>;
constexpr auto wants_ids = "Prefer: return=representation\r\n";

} // namespace

TEST_CASE_METHOD(front_end_fixture, "batch: every line an event, one request to the limiter") {
  start();
  auto client = connect();
  send(client, ndjson(client_for(0), "{\"n\":1}\n\n{\"n\":2}\r\n[3]"));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{3});
  grant(question);
  auto batch = appended();
  REQUIRE(batch);
  CHECK(bodies(*batch->blocks[0]) == texts{"{\"n\":1}", "{\"n\":2}", "[3]"});
  CHECK(batch->blocks[0]->content_types == texts{"application/json"});
  durable(batch);
  auto got = expect(client, 202);
  CHECK(got["content-type"] == "application/json");
  CHECK(got["ratelimit"] == R"("l";r=7;t=30)");
  CHECK(got.body == R"({"accepted":3,"rejected":0,"first_id":")" + id(1) + R"(","last_id":")" +
                        id(3) + R"(","errors":[]})");
}

TEST_CASE_METHOD(front_end_fixture, "batch: admitted in part, with bad lines between") {
  start();
  auto client = connect();
  // Before and behind it in the same block: others, so that its place moves.
  send(client, event(client_for(0), "before") +
                   ndjson(client_for(0), "1\n{\n3\nnul\n5\n6\n", wants_ids) +
                   event(client_for(0), "behind"));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{1, 4, 1}); // bad lines cost nothing
  reply(question, {refused(), granted(2), granted(1)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(bodies(*batch->blocks[0]) == texts{"1", "3", "behind"});
  durable(batch);
  expect(client, 429);
  auto document = json_of(expect(client, 202));
  CHECK(document.at("accepted").as_int64() == 2);
  CHECK(document.at("rejected").as_int64() == 4);
  CHECK(document.at("first_id").as_string() == id(1));
  CHECK(document.at("last_id").as_string() == id(2));
  CHECK(errors_of(document) == errors{{1, 400}, {3, 400}, {4, 429}, {5, 429}});
  const boost::json::array ids{id(1), nullptr, id(2), nullptr, nullptr, nullptr};
  CHECK(document.at("ids").as_array() == ids);
  CHECK(id_in(expect(client, 202)) == id(3));
}

TEST_CASE_METHOD(front_end_fixture, "batch: ids only on request, though all is well") {
  start();
  auto client = connect();
  send(client, ndjson(client_for(0), "1\n2\n", wants_ids) + ndjson(client_for(0), "3\n4\n"));
  grant(asked(limiter_0));
  durable(appended());
  CHECK(json_of(expect(client, 202)).at("ids").as_array() == boost::json::array{id(1), id(2)});
  CHECK_FALSE(json_of(expect(client, 202)).as_object().contains("ids"));
}

TEST_CASE_METHOD(front_end_fixture, "batch: none accepted: the status of the first error") {
  start();
  auto client = connect();
  send(client, ndjson(client_for(0), "1\n{\n3\n") + ndjson(client_for(0), "{\n2\n") +
                   ndjson(client_for(0), "x\n") + ndjson(client_for(0), "1\n"));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{2, 1, 0, 1});
  reply(question, {refused(), refused(), granted(0), refused()});
  CHECK_FALSE(appended());
  auto limited = expect(client, 429);
  CHECK(limited["retry-after"] == "9");
  CHECK(limited["content-type"] == "application/problem+json");
  auto document = json_of(limited);
  CHECK(document.at("type").as_string() ==
        "https://iana.org/assignments/http-problem-types#quota-exceeded");
  CHECK(document.at("violated-policies").as_array() == boost::json::array{"l"});
  CHECK(document.at("accepted").as_int64() == 0);
  CHECK(document.at("rejected").as_int64() == 3);
  CHECK_FALSE(document.as_object().contains("first_id"));
  CHECK(errors_of(document) == errors{{0, 429}, {1, 400}, {2, 429}});
  auto bad = expect(client, 400);
  CHECK_FALSE(bad.fields.contains("retry-after"));
  CHECK_FALSE(json_of(bad).as_object().contains("violated-policies"));
  CHECK(errors_of(json_of(bad)) == errors{{0, 400}, {1, 429}});
  CHECK(errors_of(json_of(expect(client, 400))) == errors{{0, 400}});
  CHECK_FALSE(json_of(expect(client, 429)).as_object().contains("errors")); // as a single event
  CHECK(metrics.in_flight_bytes.value() == 0);
  send(client, ndjson(client_for(0), "1\n2\n")); // without a bad line
  reply(asked(limiter_0), {refused()});
  CHECK(errors_of(json_of(expect(client, 429))) == errors{{0, 429}, {1, 429}});
}

TEST_CASE_METHOD(front_end_fixture,
                 "batch: of many bad lines the first are told, the rest counted") {
  start();
  auto client = connect();
  send(client, ndjson(client_for(0), repeated_line(10'000, "x")));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{0});
  reply(question, {granted(0)});
  const auto got = expect(client, 400);
  CHECK(got.body.size() < 20'000);
  const auto document = json_of(got);
  CHECK(document.at("rejected").as_int64() == 10'000);
  CHECK(document.at("errors").as_array().size() == max_batch_errors);
  CHECK(document.at("errors_omitted").as_int64() == 9'900);
  CHECK(errors_of(document).rbegin()->first == 99);
}

TEST_CASE_METHOD(front_end_fixture,
                 "batch: a quota that is used up is told a hundred times at most") {
  start();
  auto client = connect();
  send(client, ndjson(client_for(0), repeated_line(10'000, "1")) +
                   ndjson(client_for(0), repeated_line(100, "1")));
  reply(asked(limiter_0), {refused(), refused()});
  const auto got = expect(client, 429);
  CHECK(got.body.size() < 20'000);
  CHECK(json_of(got).at("errors").as_array().size() == max_batch_errors);
  CHECK(json_of(got).at("errors_omitted").as_int64() == 9'900);
  const auto all_told = json_of(expect(client, 429));
  CHECK(all_told.at("errors").as_array().size() == 100);
  CHECK_FALSE(all_told.as_object().contains("errors_omitted"));
}

TEST_CASE_METHOD(front_end_fixture, "batch: it ends at its hundredth bad line") {
  start();
  auto client = connect();
  // 0 is good, 1 to 100 are bad, and what follows is not read.
  send(client,
       ndjson(client_for(0),
              std::string{"1\n"} + repeated_line(100, "x") + repeated_line(50, "2") + "y\n\n",
              wants_ids));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{1});
  grant(question);
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->events == 1);
  durable(batch);
  const auto document = json_of(expect(client, 202));
  CHECK(document.at("accepted").as_int64() == 1);
  CHECK(document.at("rejected").as_int64() == 151);
  CHECK(errors_of(document).rbegin()->first == 100);
  CHECK(document.at("errors_omitted").as_int64() == 51);
  const auto& ids = document.at("ids").as_array();
  REQUIRE(ids.size() == 152);
  CHECK(ids[0].as_string() == id(1));
  CHECK(std::count(ids.begin(), ids.end(), nullptr) == 151);
  // With one bad line less all is read.
  send(client,
       ndjson(client_for(0), std::string{"1\n"} + repeated_line(99, "x") + repeated_line(50, "2")));
  question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{51});
  reply(question, {granted(31)});
  durable(appended());
  const auto mixed = json_of(expect(client, 202));
  CHECK(mixed.at("accepted").as_int64() == 31);
  CHECK(mixed.at("rejected").as_int64() == 119);
  CHECK(errors_of(mixed).rbegin()->first == 130);
  CHECK(mixed.at("errors_omitted").as_int64() == 19);
}

TEST_CASE_METHOD(front_end_fixture, "batch: too many events are too many, read or not") {
  front_end_options options;
  options.http.max_batch_events = 200;
  start(options);
  auto client = connect();
  send(client, ndjson(client_for(0), repeated_line(201, "x")));
  reply(asked(limiter_0), {granted(0)});
  expect(client, 413);
}

TEST_CASE_METHOD(front_end_fixture, "batch: CloudEvents are read up to the hundredth bad one") {
  start();
  auto client = connect();
  std::string body = "[";
  for (int i = 0; i < 300; ++i)
    body += i == 0 ? R"({"specversion":"1.0","id":"1","source":"s","type":"t"})" : ",{}";
  send(client, event(client_for(0), body + ']', "/v1/events",
                     "Content-Type: application/cloudevents-batch+json\r\n"));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{1});
  grant(question);
  durable(appended());
  const auto document = json_of(expect(client, 202));
  CHECK(document.at("rejected").as_int64() == 299);
  CHECK(errors_of(document).rbegin()->first == 100);
  CHECK(document.at("errors_omitted").as_int64() == 199);
}

TEST_CASE_METHOD(front_end_fixture, "batch: copies of a tracestate are no larger than a body") {
  front_end_options options;
  options.http.max_body_bytes = 1'000;
  start(options);
  auto client = connect();
  const std::string traces =
      "Content-Type: application/cloudevents-batch+json\r\n"
      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
      "tracestate: v=" +
      std::string(400, 's') + "\r\n";
  for (const std::size_t events : {1, 3}) {
    std::string body;
    for (std::size_t i = 0; i < events; ++i)
      body += (i == 0 ? "[" : ",") + (R"({"specversion":"1.0","id":")" + std::to_string(i) +
                                      R"(","source":"s","type":"t"})");
    send(client, event(client_for(0), body + ']', "/v1/events", traces));
    grant(asked(limiter_0));
    auto batch = appended();
    REQUIRE(batch);
    const auto& attributes = batch->blocks[0]->attributes.back();
    CHECK(attributes.find("traceparent") != std::string::npos);
    CHECK((attributes.find("tracestate") != std::string::npos) == (events == 1));
    durable(batch);
    expect(client, 202);
  }
}

TEST_CASE("bad elements keep equal texts once, and no more than are told") {
  bad_elements bad;
  for (std::uint32_t i = 0; !bad.full(); ++i)
    bad.add(i, "the same words for every one of these lines");
  CHECK(bad.size() == max_batch_errors);
  CHECK(bad.index(99) == 99);
  CHECK(bad.detail(99) == bad.detail(0));
  CHECK(bad.memory_bytes() < 2'000);
}

TEST_CASE_METHOD(front_end_fixture, "batch: no more events than one may hold, and at least one") {
  front_end_options options;
  options.http.max_batch_events = 3;
  start(options);
  auto client = connect();
  send(client, event(client_for(0), "kept") + ndjson(client_for(0), "1\n2\n3\n4\n") +
                   ndjson(client_for(0), "\n \r\n") + ndjson(client_for(0), "1\n{\n3\n\n"));
  auto question = asked(limiter_0);
  CHECK(costs(question) == std::vector<std::uint32_t>{1, 0, 0, 2});
  grant(question);
  auto batch = appended();
  REQUIRE(batch);
  CHECK(bodies(*batch->blocks[0]) == texts{"kept", "1", "3"});
  durable(batch);
  expect(client, 202);
  CHECK(expect(client, 413)["ratelimit"] == R"("l";r=7;t=30)");
  expect(client, 400);
  CHECK(json_of(expect(client, 202)).at("accepted").as_int64() == 2);
}

TEST_CASE_METHOD(front_end_fixture, "batch: ack = received holds for batches too") {
  front_end_options options;
  options.streams["default"].ack = ack_level::received;
  start(options);
  auto client = connect();
  send(client, ndjson(client_for(0), "1\n2\n"));
  grant(asked(limiter_0));
  CHECK(json_of(expect(client, 202)).at("last_id").as_string() == id(2));
  pass(2 * ms);
  auto batch = appended();
  REQUIRE(batch);
  CHECK_FALSE(batch->urgent);
}

TEST_CASE_METHOD(front_end_fixture, "blocks: bodies of 8 MiB at most, unless one alone is larger") {
  front_end_options options;
  options.http.max_body_bytes = 16 << 20;
  start(options);
  std::vector<test_client> clients;
  const std::vector<std::size_t> sizes{(8 << 20) - 1, 1, 1, 9 << 20};
  for (auto size : sizes) { // all but their last bytes
    clients.push_back(connect());
    const auto text = event(client_for(0), std::string(size, 'x'));
    send(clients.back(), std::string_view{text}.substr(0, text.size() - 1));
  }
  for (auto& client : clients)
    client.send("x");
  turn();
  grant(asked(limiter_0));
  auto batch = appended();
  REQUIRE(batch);
  REQUIRE(batch->blocks.size() == 3);
  CHECK(batch->blocks[0]->bodies.size() == 8 << 20);
  CHECK(batch->blocks[1]->bodies.size() == 1);
  CHECK(batch->blocks[2]->bodies.size() == 9 << 20);
}

TEST_CASE_METHOD(front_end_fixture,
                 "blocks: a full one is followed by another, and order is kept") {
  front_end_options options;
  options.http.max_batch_events = max_events_per_block;
  start(options);
  auto client = connect();
  const auto name = client_for(0);
  std::string lines;
  for (std::size_t i = 0; i < max_events_per_block; ++i)
    lines += "1\n";
  // The first block has room left when the last event comes, which belongs behind the second.
  const auto all = event(name, "a") + ndjson(name, lines) + event(name, "b");
  REQUIRE(all.size() < session_environment::receive_bytes);
  send(client, all);
  grant(asked(limiter_0));
  auto batch = appended();
  REQUIRE(batch);
  REQUIRE(batch->blocks.size() == 3);
  std::uint64_t seq = 1;
  for (auto& block : batch->blocks) {
    CHECK(block->size() <= max_events_per_block);
    CHECK(block->first_seq == seq);
    seq += block->size();
  }
  CHECK(node.next_ticket == seq);
  durable(batch);
  CHECK(id_in(expect(client, 202)) == id(1));
  CHECK(json_of(expect(client, 202)).at("last_id").as_string() == id(max_events_per_block + 1));
  CHECK(id_in(expect(client, 202)) == id(max_events_per_block + 2));
}
