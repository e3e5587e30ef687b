// API keys, restrictions, overrides and usage on a request's path.
#include "actors/base/shards.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "net/clients/identity_settings.hpp"
#include "net/http/front_end_metrics.hpp"
#include "storage/stores/api_key.hpp"
#include "tests/unit/net/ingest/front_end_support.hpp"

using namespace penstock;

namespace {

/// The fixture of the other tests, with keys in force and somebody who is told what was used.
class keys_fixture : public front_end_fixture {
 public:
  caf::scoped_actor usage{system};
  const std::string good = *make_api_key(), other = *make_api_key();
  key_record record;
  front_end_options options;

  keys_fixture() {
    record.id = "key_good";
    record.account = "acme";
    record.plan = "pro";
    options.more_plans = {{"pro", {{.name = "daily", .amount = 1000, .window_ns = 60'000 * ms}}},
                          {"free", {}}};
    options.usage = handle(usage);
  }
  /// `good` is a key with this record.
  void begin() {
    record.hash = key_hasher{"secret"}(good);
    options.keys = table_of({record});
    start(options);
  }
  access_table_ptr table_of(const std::vector<key_record>& records) const {
    std::vector<access_rows::row> rows;
    for (const auto& one : records)
      rows.push_back({one.hash, make_access_entry(one, name_hash())});
    return std::make_shared<const access_table>(rows);
  }
  name_hasher name_hash() const {
    return [this](std::string_view kind, std::string_view name) {
      return identify->client_of(kind, name);
    };
  }
  static std::string with_key(std::string_view key, std::string_view fields = "",
                              std::string_view target = "/v1/events") {
    return post(target, "x", "X-Api-Key: " + std::string{key} + "\r\n" + std::string{fields});
  }
  std::optional<admit_request> asked_any() {
    if (auto found = asked(limiter_0)) return found;
    return asked(limiter_1);
  }
  /// One request's whole way; the answer.
  http_answer sent(std::string_view text) {
    auto client = connect();
    send(client, text);
    if (auto question = asked_any()) grant(question);
    if (auto batch = appended()) durable(batch);
    auto got = client.answer();
    INFO(client.received);
    REQUIRE(got);
    return *got;
  }
  usage_batch told() {
    pass(1'100 * ms);
    usage_batch_ptr out;
    REQUIRE(take(usage, out));
    return *out;
  }
};

const std::vector<usage_entry>& of(const usage_batch& batch, usage_dimension by) {
  return batch.entries[static_cast<std::size_t>(by)];
}

} // namespace

TEST_CASE_METHOD(keys_fixture, "keys: the account is charged under the key's plan") {
  begin();
  auto client = connect();
  send(client, with_key(good));
  auto question = asked_any();
  REQUIRE(question);
  REQUIRE(question->items.size() == 1);
  CHECK(question->items[0].client == identify->client_of("account", "acme"));
  CHECK(question->items[0].key == identify->client_of("key", "key_good"));
  CHECK(question->items[0].plan == plan_id("pro"));
  grant(question);
  durable(appended());
  auto got = expect(client, 202);
  CHECK(got["ratelimit"].find("daily") != std::string::npos);
  const auto batch = told();
  REQUIRE(of(batch, usage_dimension::account).size() == 1);
  CHECK(of(batch, usage_dimension::account)[0].id == "acme");
  CHECK(of(batch, usage_dimension::account)[0].counts == usage_counts{1, 1, 1, 0});
  CHECK(of(batch, usage_dimension::key)[0].id == "key_good");
}

TEST_CASE_METHOD(keys_fixture, "keys: unknown, mistyped and repeated ones are never anonymous") {
  begin();
  auto mistyped = good;
  mistyped[20] = mistyped[20] == 'a' ? 'b' : 'a';
  for (const auto& key : {other, mistyped, std::string{"x"}, std::string{}, good + "x"}) {
    auto got = sent(with_key(key));
    CHECK(got.status == 401);
    CHECK_FALSE(got["www-authenticate"].empty());
    if (key.size() > 8) CHECK(got.body.find(key.substr(9)) == std::string::npos);
  }
  CHECK(sent(with_key(good, "X-Api-Key: " + other + "\r\n")).status == 400);
  CHECK(nobody_asked());
  CHECK(sent(with_key(good)).status == 202);
}

TEST_CASE_METHOD(keys_fixture, "keys: expired to the millisecond, and revoked") {
  record.expires_ms = wall_ms() + 5;
  begin();
  pass(4 * ms);
  CHECK(sent(with_key(good)).status == 202);
  pass(1 * ms);
  CHECK(sent(with_key(good)).status == 401);
  record.expires_ms = 0;
  tell(accounts_changed{table_of({record}), plans_of(options)});
  CHECK(sent(with_key(good)).status == 202);
  tell(accounts_changed{std::make_shared<const access_table>(), plans_of(options)});
  CHECK(sent(with_key(good)).status == 401);
}

TEST_CASE_METHOD(keys_fixture, "keys: a restriction that does not fit is 403, and asks nobody") {
  record.streams = {"orders"};
  record.origins = {"https://shop.example"};
  begin();
  const std::string referer = "Referer: https://shop.example/cart?x=1\r\n";
  CHECK(sent(with_key(good, referer, "/v1/events/orders")).status == 202);
  auto client = connect();
  send(client, with_key(good, referer, "/v1/events/errors") +
                   with_key(good, "Referer: https://shop.example.evil/\r\n", "/v1/events/orders") +
                   with_key(good, "", "/v1/events/orders"));
  CHECK(nobody_asked());
  CHECK_FALSE(appended());
  CHECK(expect(client, 403).body.find("stream") != std::string::npos);
  CHECK(expect(client, 403).body.find("Referer") != std::string::npos);
  expect(client, 403);
}

TEST_CASE_METHOD(keys_fixture, "keys: one whose plan has not come yet is asked to wait") {
  record.plan = "gold";
  begin();
  auto got = sent(with_key(good));
  CHECK(got.status == 503);
  CHECK(got["retry-after"] == "1");
  CHECK(shed(shed_reason::unknown_plan) == 1);
  options.more_plans.push_back({"gold", {}});
  tell(accounts_changed{options.keys, plans_of(options)});
  CHECK(sent(with_key(good)).status == 202);
}

TEST_CASE_METHOD(keys_fixture, "overrides: another plan for an account, a client, a network") {
  options.overrides = plan_overrides{{{.account = "acme", .client = {}, .ip = {}, .plan = "free"},
                                      {.account = {}, .client = "vip", .ip = {}, .plan = "pro"}},
                                     *identify};
  begin();
  CHECK(sent(with_key(good)).status == 202);
  CHECK(nobody_asked()); // a plan without limits exempts
  auto client = connect();
  send(client, event("vip", "x") + event("other", "x"));
  std::map<std::uint64_t, std::uint32_t> plans;
  for (int i = 0; i < 2; ++i)
    if (auto question = asked_any())
      for (auto& item : question->items)
        plans[item.client] = item.plan;
  CHECK(plans[client_of("vip")] == plan_id("pro"));
  CHECK(plans[client_of("other")] == plan_id("anonymous"));
}

TEST_CASE_METHOD(keys_fixture, "overrides: a denied account is 403 with each of its keys") {
  override_settings denied;
  denied.account = "acme";
  denied.deny = true;
  options.overrides = plan_overrides{{denied}, *identify};
  begin();
  CHECK(sent(with_key(good)).status == 403);
  CHECK(barred(bar_reason::denied) == 1);
  CHECK(sent(with_key(other)).status == 401);
  CHECK(sent(event("acme", "x")).status == 202); // a header of that name is no account
}

TEST_CASE_METHOD(keys_fixture, "overrides: a denied network stays out with a key, too") {
  override_settings denied;
  denied.ip = "0.0.0.0/0";
  denied.deny = true;
  options.overrides = plan_overrides{{denied}, *identify};
  begin();
  CHECK(sent(with_key(good)).status == 403);
  CHECK(nobody_asked());
}

TEST_CASE_METHOD(keys_fixture, "keys: with anonymous clients refused, a key comes in") {
  identity_settings who;
  who.refuse_anonymous = true; // the order is ["ip"]
  identify = std::make_shared<const identifier>(who, std::vector<std::string>{}, "secret");
  begin();
  CHECK(sent(with_key(good)).status == 202);
  CHECK(sent(post("/v1/events", "x", "Authorization: Bearer " + good + "\r\n")).status == 202);
  CHECK(sent(with_key(other)).status == 401);
  CHECK(sent(event("a", "x")).status == 401);
}

TEST_CASE_METHOD(keys_fixture, "usage: granted, refused and bad events, by each dimension") {
  begin();
  auto client = connect();
  send(client, ndjson(client_for(0), "1\n22\nbad\n333\n", "Referer: http://a.example/p\r\n"));
  reply(asked(limiter_0), {granted(2)});
  durable(appended());
  expect(client, 202);
  const auto batch = told();
  CHECK(of(batch, usage_dimension::account).empty());
  REQUIRE(of(batch, usage_dimension::referer).size() == 1);
  CHECK(of(batch, usage_dimension::referer)[0].id == "http://a.example");
  CHECK(of(batch, usage_dimension::referer)[0].counts == usage_counts{1, 2, 3, 1});
  REQUIRE(of(batch, usage_dimension::stream).size() == 1);
  CHECK(of(batch, usage_dimension::stream)[0].id == "default");
}

TEST_CASE_METHOD(keys_fixture, "usage: what another node stores is counted where it came in") {
  options.with_keys = true;
  for (std::size_t i = 0; i < shard_count; ++i)
    options.shard_owner[i] = 1;
  begin();
  tell(peer_up{1, {handle(limiter_0)}, {handle(peer_0)}, {}});
  auto client = connect();
  send(client, with_key(good, "Idempotency-Key: k\r\n"));
  forward_request sent_on;
  REQUIRE(take(peer_0, sent_on));
  CHECK(sent_on.plan == plan_id("pro"));
  CHECK(sent_on.key == identify->client_of("key", "key_good"));
  if (auto question = asked_any()) reply(question, {granted(0)});
  SECTION("stored") {
    tell(forward_reply{sent_on.token, "zzzzzzzz", {{0, claim_state::accepted, 9, 1, 0, 0}}, {}});
    expect(client, 202);
    CHECK(of(told(), usage_dimension::account)[0].counts == usage_counts{1, 1, 1, 0});
  }
  SECTION("known before") {
    tell(forward_reply{sent_on.token, "zzzzzzzz", {{0, claim_state::repeat, 9, 1, 0, 0}}, {}});
    expect(client, 202);
    CHECK(of(told(), usage_dimension::account)[0].counts == usage_counts{1, 0, 0, 0});
  }
  SECTION("refused") {
    tell(forward_reply{sent_on.token, "zzzzzzzz", {{0, claim_state::failed, 0, 0, 429, 3}}, {}});
    expect(client, 429);
    CHECK(of(told(), usage_dimension::account)[0].counts == usage_counts{1, 0, 0, 1});
  }
}
