// Every message between nodes survives CAF's binary serialiser.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/cluster/membership_messages.hpp"
#include "actors/limiter/peer_messages.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/usage/usage_copy_messages.hpp"
#include "tests/unit/actors/fixture.hpp"

#include <caf/binary_deserializer.hpp>
#include <caf/binary_serializer.hpp>
#include <catch2/catch.hpp>

using namespace penstock;

namespace {

class wire_fixture : public actor_fixture {
 public:
  // As the middleman sends it: as a whole message, in which types are named.
  template <class T>
  T round_trip(const T& sent) {
    std::vector<char> bytes;
    caf::binary_serializer sink{system, bytes};
    const caf::message out = caf::make_message(sent);
    REQUIRE_FALSE(sink(out));
    caf::binary_deserializer source{system, bytes};
    caf::message in;
    REQUIRE_FALSE(source(in));
    REQUIRE(in.size() == 1);
    REQUIRE(in.template match_elements<T>());
    return in.template get_as<T>(0);
  }
};

const verdict full_verdict{
    .granted = UINT32_MAX, .remaining = 1, .reset_s = 2, .limit = 3, .reason = 2, .plan_digest = 4};

} // namespace

TEST_CASE_METHOD(wire_fixture, "verdict", "[messages]") {
  CHECK(round_trip(full_verdict) == full_verdict);
  CHECK(round_trip(verdict{}) == verdict{});
  const std::vector<verdict> several{full_verdict, {}, full_verdict};
  CHECK(round_trip(several) == several);
}

TEST_CASE_METHOD(wire_fixture, "admit_item", "[messages]") {
  const admit_item item{UINT64_MAX - 1, 2, UINT32_MAX - 3, 4, UINT32_MAX - 5, 6, 0x81};
  const auto check = [&](const admit_item& got) {
    CHECK(got.client == item.client);
    CHECK(got.key == item.key);
    CHECK(got.plan == item.plan);
    CHECK(got.stream == item.stream);
    CHECK(got.events == item.events);
    CHECK(got.bytes == item.bytes);
    CHECK(got.limits == item.limits);
  };
  check(round_trip(item));
  const auto several = round_trip(std::vector<admit_item>{{}, item});
  REQUIRE(several.size() == 2);
  check(several[1]);
  CHECK(several[0].limits == all_limits);
  CHECK(several[0].events == 1);
}

TEST_CASE_METHOD(wire_fixture, "limits_query and limits_reply", "[messages]") {
  const limits_query query = round_trip(limits_query{1, UINT64_MAX, 3, 4, UINT32_MAX, true});
  CHECK(query.token == 1);
  CHECK(query.client == UINT64_MAX);
  CHECK(query.key == 3);
  CHECK(query.plan == 4);
  CHECK(query.stream == UINT32_MAX);
  const std::vector<limit_status> limits{{"daily", 1, UINT32_MAX, INT64_MAX}, {}};
  const limits_reply told = round_trip(limits_reply{7, true, false, limits});
  CHECK(told.token == 7);
  CHECK(told.plan_known);
  CHECK(told.limits == limits);
  CHECK_FALSE(round_trip(limits_reply{}).plan_known);
}

TEST_CASE_METHOD(wire_fixture, "admit_request and admit_reply", "[messages]") {
  const admit_request request =
      round_trip(admit_request{UINT64_MAX, {{.client = 1}, {.client = 5, .events = 2}}, {8, 9}});
  CHECK(request.token == UINT64_MAX);
  REQUIRE(request.items.size() == 2);
  CHECK(request.items[1].client == 5);
  CHECK(request.items[1].events == 2);
  CHECK(request.sizes == std::vector<std::uint32_t>{8, 9});
  CHECK(round_trip(admit_request{}).items.empty());
  const admit_reply reply = round_trip(admit_reply{9, {full_verdict, verdict{}}, {4}});
  CHECK(reply.token == 9);
  CHECK(reply.verdicts == std::vector<verdict>{full_verdict, verdict{}});
}

TEST_CASE_METHOD(wire_fixture, "hello and welcome", "[messages]") {
  const hello greeting = round_trip(hello{7, 5, "a cluster", "127.0.0.1:4200"});
  CHECK(greeting.version == 7);
  CHECK(greeting.cluster == "a cluster");
  CHECK(greeting.address == "127.0.0.1:4200");
  CHECK(round_trip(hello{}).version == wire_version);
  const caf::actor someone = system.spawn([](caf::event_based_actor* actor) -> caf::behavior {
    return {[actor](drain) { actor->quit(); }};
  });
  const welcome answer =
      round_trip(welcome{wire_version, {someone, someone}, {someone}, someone, {}});
  CHECK(answer.version == wire_version);
  CHECK(answer.limiters == std::vector<caf::actor>{someone, someone});
  CHECK(answer.front_ends == std::vector<caf::actor>{someone});
  CHECK(answer.accounts == someone);
  CHECK(round_trip(welcome{}).accounts == nullptr);
  // Having been sent abroad, it is kept by the registry until it ends.
  self->send(someone, drain{});
}

TEST_CASE_METHOD(wire_fixture, "accounts_records and accounts_digest", "[messages]") {
  key_record key;
  key.id = "key_a";
  key.version = UINT64_MAX;
  key.account = "acme";
  key.plan = "pro";
  for (std::size_t i = 0; i < key.hash.size(); ++i)
    key.hash[i] = static_cast<unsigned char>(200 + i);
  key.shown = "psk_live_ab";
  key.streams = {"a", "b"};
  key.origins = {"https://example.org"};
  key.networks = {"10.0.0.0/8", "::1", ""};
  key.created_ms = 1;
  key.expires_ms = INT64_MAX;
  key.revoked_ms = -1;
  const plan_record rules{"pro", 2, R"([{"name":"x"}])", 3, 4};
  const account_records all{{key, {}}, {rules, {}}};
  CHECK(round_trip(accounts_records{all}).records == all);
  CHECK(round_trip(accounts_records{}).records.empty());
  const std::vector<std::uint64_t> buckets{0, 1, UINT64_MAX};
  CHECK(round_trip(accounts_digest{buckets}).buckets == buckets);
}

TEST_CASE_METHOD(wire_fixture, "plan_question, plan_answer and plan_kept", "[messages]") {
  const plan_question asked = round_trip(plan_question{"gold", UINT64_MAX, 7});
  CHECK(asked.name == "gold");
  CHECK(asked.version == UINT64_MAX);
  CHECK(asked.number == 7);
  const plan_answer told = round_trip(plan_answer{8, plan_use::keys, UINT64_MAX});
  CHECK(told.number == 8);
  CHECK(told.what == plan_use::keys);
  CHECK(told.keys == UINT64_MAX);
  const plan_kept kept = round_trip(plan_kept{"gold", 9});
  CHECK(kept.name == "gold");
  CHECK(kept.number == 9);
}

TEST_CASE_METHOD(wire_fixture, "usage: copies, sources and parts", "[messages]") {
  CHECK(round_trip(usage_greeting{"o", true}).origin == "o");
  CHECK(round_trip(usage_greeting{"o", true}).leaves);
  const usage_about about{"o", "n", "h:1", INT64_MAX, "g"};
  const usage_state row{
      usage_period::month, usage_dimension::stream, -1, "x", {UINT64_MAX, 2, 3, 4}};
  const usage_copy copy = round_trip(usage_copy{about, 5, {row, {}}});
  CHECK(copy.about == about);
  CHECK(copy.number == 5);
  CHECK(copy.rows == std::vector<usage_state>{row, {}});
  const usage_copied copied = round_trip(usage_copied{6, true});
  CHECK(copied.number == 6);
  CHECK(copied.ok);
  (void)round_trip(usage_sources_question{});
  const usage_sources sources = round_trip(usage_sources{{{about, true, 7}}, 9});
  CHECK(sources.copy_names == 9);
  REQUIRE(sources.all.size() == 1);
  CHECK(sources.all[0].about == about);
  CHECK(sources.all[0].is_copy);
  CHECK(sources.all[0].names == 7);
  const usage_part_question asked = round_trip(usage_part_question{
      usage_dimension::referer, usage_period::day, -5, INT64_MAX, "id", {"o", "p"}, 2, 3});
  CHECK(asked.by == usage_dimension::referer);
  CHECK(asked.per == usage_period::day);
  CHECK(asked.from_s == -5);
  CHECK(asked.to_s == INT64_MAX);
  CHECK(asked.id == "id");
  CHECK(asked.origins == std::vector<std::string>{"o", "p"});
  CHECK(asked.part == 2);
  CHECK(asked.parts == 3);
  const usage_part part = round_trip(usage_part{true, true, "why", {{"x", 1, {1, 2, 3, 4}}}});
  CHECK(part.ok);
  CHECK(part.is_invalid);
  CHECK(part.why == "why");
  REQUIRE(part.rows.size() == 1);
  CHECK(part.rows[0].id == "x");
  CHECK(part.rows[0].start_s == 1);
  CHECK(part.rows[0].counts == usage_counts{1, 2, 3, 4});
}

TEST_CASE_METHOD(wire_fixture, "forward_request and forward_reply", "[messages]") {
  forward_request sent{1,
                       UINT64_MAX,
                       9,
                       8,
                       7,
                       "orders",
                       {{2, 1, UINT64_MAX, 4, 5}},
                       {3, 6},
                       {"a/b"},
                       {"", "{}"},
                       std::string("a\0bcde", 6)};
  const auto got = round_trip(sent);
  CHECK(got.token == 1);
  CHECK(got.client == UINT64_MAX);
  CHECK(got.key == 9);
  CHECK(got.plan == 8);
  CHECK(got.limits == 7);
  CHECK(got.stream == "orders");
  REQUIRE(got.claims.size() == 1);
  CHECK(got.claims[0].index == 2);
  CHECK(got.claims[0].count == 1);
  CHECK(got.claims[0].key_high == UINT64_MAX);
  CHECK(got.claims[0].key_low == 4);
  CHECK(got.claims[0].content == 5);
  CHECK(got.ends == sent.ends);
  CHECK(got.types == sent.types);
  CHECK(got.attributes == sent.attributes);
  CHECK(got.bodies == sent.bodies);
  const auto reply = round_trip(forward_reply{
      7, "abcdefgh", {{1, claim_state::conflict, UINT64_MAX, 3, 507, 10}}, full_verdict});
  CHECK(reply.token == 7);
  CHECK(reply.tag == "abcdefgh");
  REQUIRE(reply.verdicts.size() == 1);
  CHECK(reply.verdicts[0].index == 1);
  CHECK(reply.verdicts[0].state == claim_state::conflict);
  CHECK(reply.verdicts[0].seq == UINT64_MAX);
  CHECK(reply.verdicts[0].count == 3);
  CHECK(reply.verdicts[0].status == 507);
  CHECK(reply.verdicts[0].retry_after_s == 10);
  CHECK(reply.limits == full_verdict);
}

TEST_CASE_METHOD(wire_fixture, "keys that move with their shards", "[messages]") {
  forward_request late;
  late.epoch = UINT64_MAX;
  late.hops = 3;
  CHECK(round_trip(late).epoch == UINT64_MAX);
  CHECK(round_trip(late).hops == 3);
  claim_verdict known;
  known.tag = "zzzzzzzz";
  CHECK(round_trip(known).tag == "zzzzzzzz");
  key_rows rows;
  rows.epoch = 7;
  rows.from = "10.0.0.1:4200";
  rows.token = 9;
  rows.tags = {"aaaaaaaa", "bbbbbbbb"};
  rows.keys = {{UINT64_MAX, 2, 3, 4, 5, 1, INT64_MAX}};
  rows.complete = {255, 0};
  const auto got = round_trip(rows);
  CHECK(got.epoch == 7);
  CHECK(got.from == rows.from);
  CHECK(got.token == 9);
  CHECK(got.tags == rows.tags);
  REQUIRE(got.keys.size() == 1);
  CHECK(got.keys[0].high == UINT64_MAX);
  CHECK(got.keys[0].low == 2);
  CHECK(got.keys[0].content == 3);
  CHECK(got.keys[0].seq == 4);
  CHECK(got.keys[0].count == 5);
  CHECK(got.keys[0].journal == 1);
  CHECK(got.keys[0].time_ms == INT64_MAX);
  CHECK(got.complete == rows.complete);
  const auto taken = round_trip(keys_taken{9, {1, 2}});
  CHECK(taken.token == 9);
  CHECK(taken.complete == std::vector<std::uint32_t>{1, 2});
}

TEST_CASE_METHOD(wire_fixture, "what limiters of different nodes say", "[messages]") {
  owner_request asked;
  asked.token = 7;
  asked.items = {{.client = 1, .events = 2, .bytes = 30}};
  asked.sizes = {10, 20};
  asked.requested_units = {50};
  const auto question = round_trip(asked);
  CHECK(question.version == 4);
  CHECK(question.token == 7);
  CHECK(question.items.at(0).events == 2);
  CHECK(question.sizes == asked.sizes);
  CHECK(question.requested_units == asked.requested_units);

  asked.holder = 99;
  asked.settlements = {{1, 2, 3}};
  CHECK(round_trip(asked).settlements.empty()); // the form of version 4 has none
  CHECK(round_trip(asked).holder == 0);
  asked.version = settlements_wire_version;
  CHECK(round_trip(asked).settlements == asked.settlements);
  CHECK(round_trip(asked).holder == 99);

  owner_reply told;
  told.token = 8;
  told.moved = true;
  told.verdicts = {full_verdict};
  told.leases = {{1, 2, 3, 4, -5}};
  const auto answer = round_trip(told);
  CHECK(answer.token == 8);
  CHECK(answer.moved);
  CHECK(answer.verdicts == told.verdicts);
  CHECK(answer.leases == told.leases);

  leases_returned back;
  back.leases = {{9, 8}};
  back.token = 7;
  back.clients = {UINT64_MAX};
  CHECK(round_trip(back).leases == back.leases);
  CHECK(round_trip(back).token == 0);
  CHECK(round_trip(back).clients.empty());
  back.version = returns_wire_version;
  CHECK(round_trip(back).token == 7);
  CHECK(round_trip(back).clients == back.clients);
  returns_taken came;
  came.token = 9;
  came.moved = true;
  CHECK(round_trip(came).token == 9);
  CHECK(round_trip(came).moved);

  shard_rows rows;
  rows.epoch = 5;
  rows.from = "10.0.0.1:4200";
  rows.shard = 255;
  rows.last = true;
  rows.rows = {{1, 2, 3, 1, -4, 5, 6, 7}};
  rows.leases = {{1, 2, 3, 4, 5, 6, 7, 8, {9, -10}, 11}};
  const auto moved = round_trip(rows);
  CHECK(moved.epoch == 5);
  CHECK(moved.from == rows.from);
  CHECK(moved.shard == 255);
  CHECK(moved.last);
  CHECK(moved.rows == rows.rows);
  CHECK(moved.leases == rows.leases);
  rows.origins = {{4, 5}};
  CHECK(round_trip(rows).origins.empty());
  rows.version = settlements_wire_version;
  CHECK(round_trip(rows).origins == rows.origins);
  rows.is_offer = rows.is_partial = true;
  CHECK_FALSE(round_trip(rows).is_offer); // an earlier program would not know what these say
  CHECK_FALSE(round_trip(rows).is_partial);
  rows.version = partial_wire_version;
  CHECK(round_trip(rows).is_offer);
  CHECK(round_trip(rows).is_partial);
  CHECK(round_trip(rows).origins == rows.origins);
  shard_taken taken;
  taken.epoch = 6;
  taken.shard = 3;
  CHECK(round_trip(taken).epoch == 6);
  CHECK(round_trip(taken).shard == 3);
  backup_rows streamed;
  streamed.rows = rows.rows;
  CHECK(round_trip(streamed).rows == rows.rows);
  streamed.leases = rows.leases;
  streamed.origins = {{4, 5}};
  streamed.ended = {6, 7};
  CHECK(round_trip(streamed).leases.empty());
  streamed.version = settlements_wire_version;
  CHECK(round_trip(streamed).leases == rows.leases);
  CHECK(round_trip(streamed).origins == streamed.origins);
  CHECK(round_trip(streamed).ended == streamed.ended);
  streamed.whole = {0, 255};
  CHECK(round_trip(streamed).whole.empty());
  streamed.version = whole_wire_version;
  CHECK(round_trip(streamed).whole == streamed.whole);
  CHECK(round_trip(backup_taken{}).version == 4);
}

TEST_CASE_METHOD(wire_fixture, "what nodes away from the directory say", "[messages]") {
  away_question asked;
  asked.epoch = 3;
  CHECK(round_trip(asked).epoch == 3);
  away_answer told;
  told.epoch = 4;
  told.away = true;
  CHECK(round_trip(told).epoch == 4);
  CHECK(round_trip(told).away);
}
