// Names of streams belong to the node: what takes one, what does not, and who gets how many.
#include "actors/limits/limit_messages.hpp"
#include "net/http/front_end_metrics.hpp"
#include "net/http/http_settings.hpp"
#include "storage/stores/api_key.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

class names_fixture : public front_end_fixture {
 public:
  front_end_options options;
  const std::string key = *make_api_key();

  // One client more, who has a key: all others come from one address.
  names_fixture() {
    key_record record;
    record.id = "key";
    record.account = "acme";
    record.plan = "anonymous";
    record.hash = key_hasher{"secret"}(key);
    const auto hash = [this](std::string_view kind, std::string_view name) {
      return identify->client_of(kind, name);
    };
    options.keys = std::make_shared<const access_table>(
        std::vector<access_rows::row>{{record.hash, make_access_entry(record, hash)}});
    options.streams["orders"] = {};
  }
  void places(std::uint32_t count) {
    options.names = std::make_shared<stream_names>(count);
    options.names->forget_unused(0, 10, [](auto) { return false; }); // time begins
  }

  std::optional<admit_request> asked_any() {
    if (auto found = asked(limiter_0)) return found;
    return asked(limiter_1);
  }
  http_answer answer_to(std::string_view request, bool grants, std::optional<error> fails = {}) {
    auto client = connect();
    send(client, request);
    if (auto question = asked_any()) {
      if (grants)
        grant(question);
      else
        reply(question, {refused()});
    }
    if (auto batch = appended()) finish(batch, std::move(fails));
    auto got = client.answer();
    INFO(client.received);
    REQUIRE(got);
    return *got;
  }
  unsigned status_of(const std::string& stream, const std::string& who = "a", bool grants = true) {
    return answer_to(event(who, "x", "/v1/events/" + stream), grants).status;
  }
  unsigned with_key(const std::string& stream) {
    return answer_to(post("/v1/events/" + stream, "x", "X-Api-Key: " + key + "\r\n"), true).status;
  }
};

std::string name_no(std::size_t i) {
  return "s" + std::to_string(i);
}

} // namespace

TEST_CASE_METHOD(names_fixture, "names: thousands that were refused shut no stream for anybody") {
  start(options);
  auto client = connect();
  constexpr std::size_t attempts = 2 * max_stream_names, at_once = 32;
  for (std::size_t i = 0; i < attempts; i += at_once) {
    std::string some;
    for (std::size_t j = i; j < i + at_once; ++j)
      some += event(client_for(0), "", "/v1/events/" + name_no(j));
    send(client, some);
    reply(asked(limiter_0), std::vector<verdict>(at_once, refused()));
    for (std::size_t j = 0; j < at_once; ++j)
      REQUIRE(client.status() == 429);
  }
  CHECK(names->used() == 0);
  CHECK(status_of("default") == 202);
  CHECK(status_of("orders") == 202);
  CHECK(names->used() == 0); // these need no place
  CHECK(with_key("new") == 202);
  CHECK(status_of("newer") == 202);
  CHECK(names->used() == 2);
  CHECK(shed(shed_reason::stream_names) + shed(shed_reason::stream_share) == 0);
}

TEST_CASE_METHOD(names_fixture, "names: nothing that is not stored takes one") {
  start(options);
  const auto refused_with = [&](const std::string& request, unsigned status) {
    CHECK(answer_to(request, true).status == status);
    CHECK(names->used() == 0);
  };
  const std::string json = "Content-Type: application/json\r\n";
  const std::string lines = "Content-Type: application/x-ndjson\r\n";
  const std::string clouds = "Content-Type: application/cloudevents-batch+json\r\n";
  refused_with(event("a", "{", "/v1/events/x", json), 400);
  refused_with(event("a", "x\ny", "/v1/events/x", lines), 400);
  refused_with(event("a", " ", "/v1/events/x", lines), 400);
  refused_with(event("a", "{}", "/v1/events/x", clouds), 400);
  refused_with(event("a", "[{}]", "/v1/events/x", clouds), 400);
  refused_with(event("a", "[]", "/v1/events/x", clouds), 202); // a batch of no event
  refused_with(event("a", "x", "/v1/events/x", "Content-Encoding: gzip\r\n"), 415);
  refused_with(post("/v1/events/x", "x", "X-Api-Key: psk_live_no\r\n"), 401);
  refused_with(event("a", "x", "/v1/events/.."), 400);
  refused_with(event("a", "x", "/v1/events/%2e%2e"), 400);
  refused_with(event("a", "x", "/v1/events/."), 400);
  CHECK(status_of("x", "a", false) == 429);
  CHECK(names->used() == 0);
  CHECK(answer_to(event("a", "x", "/v1/events/x"), true, error{errc::disk_full, "full"}).status ==
        507);
  CHECK(names->used() == 0);
  CHECK(answer_to(event("a", "1\nx", "/v1/events/x", lines), true).status == 202);
  CHECK(names->used() == 1);
}

TEST_CASE_METHOD(names_fixture, "names: of a turn's requests those stay whose events are stored") {
  start(options);
  auto client = connect();
  const auto name = client_for(0);
  send(client, event(name, "", "/v1/events/a") + event(name, "", "/v1/events/b") +
                   event(name, "", "/v1/events/a"));
  CHECK(names->used() == 2);
  reply(asked(limiter_0), {refused(), refused(), granted(1)});
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->blocks[0]->stream == "a");
  CHECK(names->used() == 1);
  durable(batch);
  CHECK(names->used() == 1);
  CHECK(names->find_or_reserve(names->hash_of("a"), 0).what == stream_names::outcome::known);
}

TEST_CASE_METHOD(names_fixture,
                 "names: an address has a share, whatever its clients call themselves") {
  places(8);
  start(options);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(status_of(name_no(i), "client" + std::to_string(i)) == 202);
  auto client = connect();
  send(client, event("another", "x", "/v1/events/more"));
  auto question = asked_any();
  CHECK(costs(question) == std::vector<std::uint32_t>{0}); // it costs nothing
  CHECK(question->items[0].stream == 0);
  grant(question);
  auto got = expect(client, 404);
  const auto detail = std::string{json_of(got).at("detail").as_string()};
  INFO(detail);
  CHECK(detail.find("configured") != detail.npos);
  CHECK(detail.find("later") != detail.npos);
  CHECK(shed(shed_reason::stream_share) == 1);
  CHECK(status_of(name_no(0), "another") == 202);
  CHECK(status_of("default") == 202);
  CHECK(status_of("orders") == 202);
  CHECK(with_key("mine") == 202);
  CHECK(with_key(name_no(1)) == 202);
}

TEST_CASE_METHOD(names_fixture, "names: when there is no place, what exists goes on") {
  places(2);
  start(options);
  names->adopt(names->hash_of("old")); // of the journal
  CHECK(status_of("s") == 202);
  CHECK(status_of("more") == 404);
  CHECK(with_key("more") == 404);
  CHECK(shed(shed_reason::stream_names) == 2);
  for (const auto* stream : {"old", "s", "default", "orders"})
    CHECK(status_of(stream) == 202);
  names->forget_unused(1000, 10, [&](auto each) { return each == names->hash_of("s"); });
  CHECK(with_key("more") == 202);
  CHECK(status_of("s") == 202);
  CHECK(status_of("old") == 404); // its place is another's now
}

TEST_CASE_METHOD(names_fixture, "names: what one lane took is known on all") {
  places(4);
  start(options);
  names_fixture lane;
  lane.options.names = names;
  lane.start(lane.options);
  CHECK(status_of("a") == 202);
  CHECK(lane.status_of("b") == 202);
  CHECK(lane.status_of("a") == 202);
  CHECK(status_of("b") == 202);
  CHECK(names->used() == 2);
  CHECK(lane.status_of("c") == 404); // the two came from one address
  CHECK(lane.with_key("c") == 202);
  CHECK(status_of("c") == 202);
}

TEST_CASE_METHOD(names_fixture,
                 "names: what is used is not forgotten, what is refused is not used") {
  start(options);
  const auto no_backlog = [](auto) { return false; };
  names->forget_unused(0, 10, no_backlog);
  names->forget_unused(100, 10, no_backlog);
  CHECK(status_of("used") == 202);
  CHECK(status_of("refused") == 202);
  names->forget_unused(105, 10, no_backlog);
  CHECK(status_of("used") == 202);
  CHECK(status_of("refused", "a", false) == 429);
  CHECK(names->forget_unused(112, 10, no_backlog) == 1);
  CHECK(names->find_or_reserve(names->hash_of("used"), 0).what == stream_names::outcome::known);
}

TEST_CASE_METHOD(names_fixture,
                 "names: unknown streams can be refused, which a reload can change") {
  options.others = unknown_streams::refuse;
  start(options);
  auto client = connect();
  send(client, event("a", "x", "/v1/events/new"));
  auto question = asked_any();
  CHECK(costs(question) == std::vector<std::uint32_t>{0});
  grant(question);
  auto got = expect(client, 404);
  CHECK(std::string{json_of(got).at("detail").as_string()}.find("not configured") !=
        std::string::npos);
  CHECK(status_of("orders") == 202);
  CHECK(answer_to(event("a", "x"), true).status == 202);
  CHECK(status_of("default") == 202);
  options.others = unknown_streams::accept;
  tell(rules_changed{rules_of(options)});
  CHECK(status_of("new") == 202);
  options.others = unknown_streams::refuse;
  options.streams.erase("orders");
  tell(rules_changed{rules_of(options)});
  CHECK(status_of("new") == 404);
  CHECK(status_of("orders") == 404);
  CHECK(names->refused_full() + names->refused_share() == 0);
}

TEST_CASE_METHOD(names_fixture, "names: a stream that is configured no more needs a place") {
  places(2);
  start(options);
  names->adopt(names->hash_of("old"));
  CHECK(status_of("orders") == 202);
  CHECK(names->used() == 1);
  options.streams.erase("orders");
  tell(rules_changed{rules_of(options)});
  CHECK(status_of("orders") == 202);
  CHECK(names->used() == 2);
}

TEST_CASE_METHOD(names_fixture, "names: events that a peer forwards obey, too") {
  places(2);
  options.with_keys = true;
  start(options);
  forward_request request{
      5,       7,    0,    plan_id("anonymous"), all_limits, "a", {{0, 1, 1, 2, 30}}, {3},
      {"a/b"}, {""}, "abc"};
  const auto forwarded = [&](const std::string& stream, claim_state state) -> unsigned {
    request.stream = stream;
    ++request.token;
    peer_0->send(front_end, request);
    turn();
    claim_request asked_of;
    if (take(index_0, asked_of) || take(index_1, asked_of)) {
      tell(claim_reply{asked_of.token, {{.index = 0, .state = state}}});
      if (auto question = asked_any()) grant(question);
      if (auto batch = appended()) durable(batch);
    }
    forward_reply got;
    REQUIRE(take(peer_0, got));
    REQUIRE(got.verdicts.size() == 1);
    return got.verdicts[0].state == claim_state::failed ? got.verdicts[0].status : 202;
  };
  CHECK(forwarded("a", claim_state::repeat) == 202);
  CHECK(names->used() == 0);
  CHECK(forwarded("a", claim_state::fresh) == 202);
  CHECK(names->used() == 1);
  CHECK(forwarded("b", claim_state::fresh) == 404); // a peer has a share for its anonymous clients
  CHECK(forwarded("a", claim_state::fresh) == 202);
  CHECK(forwarded("orders", claim_state::fresh) == 202);
  tell(std::make_shared<const refused_streams>(refused_streams{{"orders"}, true}));
  CHECK(forwarded("orders", claim_state::fresh) == 507);
  CHECK(forwarded("a", claim_state::fresh) == 507);
  tell(refused_streams_ptr{});
  CHECK(status_of("c") == 202);
  CHECK(shed(shed_reason::stream_share) == 1);
}

TEST_CASE_METHOD(names_fixture, "names: usage remembers none that was only refused") {
  caf::scoped_actor usage{system};
  options.usage = handle(usage);
  start(options);
  CHECK(status_of("refused", "a", false) == 429);
  CHECK(status_of("taken") == 202);
  CHECK(status_of("taken", "a", false) == 429);
  pass(1'100 * ms);
  usage_batch_ptr told;
  REQUIRE(take(usage, told));
  const auto& by_stream = told->entries[static_cast<std::size_t>(usage_dimension::stream)];
  REQUIRE(by_stream.size() == 1);
  CHECK(by_stream[0].id == "taken");
  CHECK(by_stream[0].counts.requests == 2);
  CHECK(by_stream[0].counts.refused == 1);
}
