// First requests, repeats, and those that come while the first is under way.
#include "actors/base/lifecycle_messages.hpp"
#include "actors/idempotency/idempotency_actor.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

using namespace penstock;

namespace {

constexpr std::int64_t start_ms = 1'790'000'000'000;
constexpr idempotency_key key_a{1, 2}, key_b{3, 4};

class idempotency_fixture : public actor_fixture {
 public:
  std::int64_t now_ms = start_ms;
  std::shared_ptr<idempotency_metrics> metrics = std::make_shared<idempotency_metrics>();
  caf::actor index = plain_actor(system.spawn(
      idempotency_actor, idempotency_parts{std::make_shared<idempotency_index>(100, 10'000),
                                           [this] { return now_ms; }, metrics}));

  ~idempotency_fixture() {
    caf::anon_send_exit(index, caf::exit_reason::user_shutdown);
    run();
  }

  void ask(std::uint64_t token, std::vector<claim_item> items) {
    self->send(index, claim_request{token, std::move(items)});
    run();
  }
  std::vector<claim_reply> replies() {
    std::vector<claim_reply> out;
    bool more = true;
    while (more)
      self->receive([&](const claim_reply& reply) { out.push_back(reply); },
                    caf::after(std::chrono::milliseconds{0}) >> [&] { more = false; });
    return out;
  }
  claim_verdict only() {
    auto all = replies();
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].verdicts.size() == 1);
    return all[0].verdicts[0];
  }
  void stored(const idempotency_key& key, std::uint64_t content, std::uint64_t seq) {
    self->send(index, claims_settled{{{{key, content, seq, 2, now_ms}, 0, 0}}});
    run();
  }
  void failed(const idempotency_key& key, std::uint16_t status) {
    self->send(index, claims_settled{{{{key, 0, 0, 0, 0}, status, 7}}});
    run();
  }
};

} // namespace

TEST_CASE_METHOD(idempotency_fixture, "idempotency: a first request, and its repeats",
                 "[idempotency]") {
  ask(1, {{0, key_a, 11}, {1, key_b, 12}});
  auto first = replies();
  REQUIRE(first.size() == 1);
  CHECK(first[0].token == 1);
  CHECK(first[0].verdicts[0].state == claim_state::fresh);
  CHECK(first[0].verdicts[1].state == claim_state::fresh);
  stored(key_a, 11, 5);
  ask(2, {{7, key_a, 11}});
  auto again = only();
  CHECK(again.index == 7);
  CHECK(again.state == claim_state::repeat);
  CHECK(again.seq == 5);
  CHECK(again.count == 2);
  ask(3, {{0, key_a, 99}});
  CHECK(only().state == claim_state::conflict);
  ask(4, {{0, key_b, 99}}); // still under way, and something else
  CHECK(only().state == claim_state::conflict);
  now_ms += 12'000;
  ask(5, {{0, key_a, 99}});
  CHECK(only().state == claim_state::fresh);
}

TEST_CASE_METHOD(idempotency_fixture, "idempotency: repeats wait for the first one's outcome",
                 "[idempotency]") {
  ask(1, {{0, key_a, 11}});
  CHECK(only().state == claim_state::fresh);
  ask(2, {{3, key_a, 11}});
  CHECK(only().state == claim_state::waiting);
  SECTION("stored") {
    stored(key_a, 11, 5);
    auto told = replies();
    REQUIRE(told.size() == 1);
    CHECK(told[0].token == 2);
    CHECK(told[0].verdicts[0].index == 3);
    CHECK(told[0].verdicts[0].state == claim_state::repeat);
    CHECK(told[0].verdicts[0].seq == 5);
  }
  SECTION("failed: they are told, and the next is a first one") {
    failed(key_a, 507);
    auto told = only();
    CHECK(told.state == claim_state::failed);
    CHECK(told.status == 507);
    CHECK(told.retry_after_s == 7);
    ask(3, {{0, key_a, 11}});
    CHECK(only().state == claim_state::fresh);
  }
}

TEST_CASE_METHOD(idempotency_fixture, "idempotency: the same key twice in a request",
                 "[idempotency]") {
  ask(1, {{0, key_a, 11}, {1, key_a, 11}, {2, key_a, 12}});
  auto first = replies();
  REQUIRE(first.size() == 1);
  CHECK(first[0].verdicts[0].state == claim_state::fresh);
  CHECK(first[0].verdicts[1].state == claim_state::waiting);
  CHECK(first[0].verdicts[2].state == claim_state::conflict);
  stored(key_a, 11, 5);
  CHECK(only().state == claim_state::repeat);
}

TEST_CASE_METHOD(idempotency_fixture, "idempotency: so many wait, no more", "[idempotency]") {
  ask(1, {{0, key_a, 11}});
  for (std::uint64_t n = 0; n < max_waiters_per_key; ++n)
    ask(2 + n, {{0, key_a, 11}});
  replies();
  ask(9'999, {{0, key_a, 11}});
  auto refused = only();
  CHECK(refused.state == claim_state::failed);
  CHECK(refused.status == 503);
  stored(key_a, 11, 5);
  CHECK(replies().size() == max_waiters_per_key);
}
