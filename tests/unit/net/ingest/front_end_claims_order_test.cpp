// In which order the events of a request with idempotency keys are stored.
#include "tests/unit/net/ingest/front_end_claims_support.hpp"

using namespace penstock;

// A sender that heard nothing in time sends again, and more: the first request may still be on its
// way to the disk.
TEST_CASE_METHOD(claims_fixture, "claims: nothing is stored before what comes before it") {
  auto client = connect();
  send(client, cloud_batch({"0", "1", "2", "1", "3", "4"}));
  // Two waits for a request that is under way; the second 1 for the first, in its own request.
  const auto verdict_on = [](std::uint32_t index) -> claim_verdict {
    if (index == 3 || index == 4) return {.index = index, .state = claim_state::waiting};
    return {.index = index, .state = claim_state::fresh};
  };
  std::uint64_t token = 0;
  idempotency_key waits, last;
  while (auto part = claimed()) {
    claim_reply reply{token = part->token, {}};
    for (auto& item : part->items) {
      reply.verdicts.push_back(verdict_on(item.index));
      if (item.index == 4) waits = item.key;
      if (item.index == 5) last = item.key;
    }
    tell(reply);
  }
  auto released = settled();
  REQUIRE(released.size() == 1);
  CHECK(released[0].record.key == last);
  CHECK(released[0].record.count == 0);
  CHECK(released[0].status == 503);
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{3});
  grant(limits);
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->blocks[0]->size() == 3);
  durable(batch);
  tell(claim_reply{token, {{.index = 3, .state = claim_state::repeat, .seq = 2, .count = 1}}});
  CHECK(client.status() == 0);
  tell(claim_reply{token, {{.index = 4, .state = claim_state::repeat, .seq = 50, .count = 1}}});
  auto got = expect(client, 202);
  CHECK(got["retry-after"].empty());
  auto document = json_of(got);
  CHECK(document.at("accepted").as_int64() == 5);
  const auto& errors = document.at("errors").as_array();
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].at("index").as_int64() == 5);
  CHECK(errors[0].at("status").as_int64() == 503);
  CHECK(errors[0].at("detail").as_string().starts_with("Not stored: an event that comes before"));
  CHECK(waits != last);
}

TEST_CASE_METHOD(claims_fixture,
                 "claims: an event's repeat in its own request holds nothing back") {
  auto client = connect();
  send(client, cloud_batch({"0", "0", "1"}));
  std::uint64_t token = 0;
  while (auto part = claimed()) {
    claim_reply reply{token = part->token, {}};
    for (auto& item : part->items)
      reply.verdicts.push_back(
          {.index = item.index,
           .state = item.index == 1 ? claim_state::waiting : claim_state::fresh});
    tell(reply);
  }
  CHECK(settled().empty());
  auto limits = asked(limiter_0);
  CHECK(costs(limits) == std::vector<std::uint32_t>{2});
  grant(limits);
  auto batch = appended();
  REQUIRE(batch);
  CHECK(batch->blocks[0]->size() == 2);
  durable(batch);
  tell(claim_reply{token, {{.index = 1, .state = claim_state::repeat, .seq = 2, .count = 1}}});
  CHECK(json_of(expect(client, 202)).at("accepted").as_int64() == 3);
}
