// Budgets that many share, and bounds of docs/architecture.md, "Bounds", that have no better place;
// tests/bounds.txt says which test drives which.
#include "actors/base/memory_budget.hpp"
#include "actors/base/seq_ranges.hpp"
#include "actors/cluster/membership.hpp"
#include "actors/delivery/publish_watches.hpp"
#include "actors/delivery/stream_feed.hpp"
#include "actors/directory/directory.hpp"
#include "actors/idempotency/idempotency_index.hpp"
#include "actors/limits/limit_messages.hpp"
#include "actors/queue/queue_state.hpp"
#include "tests/unit/actors/limits/lease_world.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace penstock;

namespace {

constexpr std::size_t piece_bytes = 1000;

std::shared_ptr<memory_budget> budget_of(std::uint64_t bytes) {
  return std::make_shared<memory_budget>(bytes);
}

std::size_t take_all(budget_share& share) {
  std::size_t pieces = 0;
  for (; share.may_grow(); ++pieces)
    share.add(piece_bytes);
  return pieces;
}

std::shared_ptr<const event_block> budget_block(std::uint64_t first_seq, std::size_t body_bytes) {
  auto block = std::make_shared<event_block>();
  block->first_seq = first_seq;
  block->stream = "s";
  block->push(std::string(body_bytes, 'x'), "text/plain", 7);
  return block;
}

} // namespace

TEST_CASE("one holder gets half of a budget, two a third each, and the next finds room") {
  const auto budget = budget_of(60 * piece_bytes);
  budget_share first{budget}, second{budget}, third{budget};
  CHECK(take_all(first) == 30);
  CHECK(take_all(second) == 15);
  CHECK(take_all(third) == 8);
  first.sub(30 * piece_bytes);
  CHECK(take_all(second) > 0);
  CHECK(budget->used_bytes() <= budget->bound_bytes());
}

TEST_CASE("whoever holds nothing may take one piece, also of a budget that is used up") {
  const auto budget = budget_of(10);
  budget->add(10);
  budget_share share{budget};
  CHECK(take_all(share) == 1);
}

TEST_CASE("a share is given back at its end, and moves with its holder") {
  const auto budget = budget_of(100);
  {
    budget_share share{budget};
    share.add(60);
    budget_share other{std::move(share)};
    CHECK(budget->used_bytes() == 60);
    CHECK(other.held_bytes() == 60);
    CHECK(share.held_bytes() == 0);
  }
  CHECK(budget->used_bytes() == 0);
}

TEST_CASE("a piece is as large as leaves others their room") {
  const auto budget = budget_of(1000);
  budget_share share{budget};
  CHECK(share.room(4000, 10) == 500);
  CHECK(share.room(400, 10) == 400);
  share.add(400);
  CHECK(share.room(4000, 10) == 100);
  share.add(100);
  CHECK(share.room(4000, 10) == 10);
  CHECK(share.room(4, 10) == 4);
  CHECK(budget_share{}.room(4000, 10) == 4000);
}

TEST_CASE("publishers' streams together hold a budget, and a block each beyond it") {
  const auto budget = budget_of(1u << 20);
  constexpr std::size_t streams = 40, block_bytes = 100u << 10;
  std::vector<stream_feed> feeds;
  for (std::size_t i = 0; i < streams; ++i)
    feeds.emplace_back("s" + std::to_string(i), delivered_before{{}, "bus", "s"}, 1u, batch_rules{},
                       budget_share{budget});
  std::uint64_t seq = 1;
  for (auto& feed : feeds) {
    const auto before = seq;
    while (feed.wants_blocks())
      feed.add({budget_block(seq++, block_bytes)}, 0);
    CHECK(seq > before); // a stream that nobody delivers does not keep the next one out
  }
  CHECK(budget->used_bytes() <= budget->bound_bytes() + streams * (block_bytes + 1000));
  CHECK(feeds[0].open_bytes() <= budget->bound_bytes() / 2 + block_bytes);
  for (auto& feed : feeds) {
    const auto events = feed.lane(0).take(~0u);
    feed.settle(0, delivery::all(events.size(), settled_as::delivered), 0, 1, 0);
  }
  while (feeds[0].lane(0).due_ms()) {
    const auto events = feeds[0].lane(0).take(~0u);
    feeds[0].settle(0, delivery::all(events.size(), settled_as::delivered), 0, 1, 0);
  }
  CHECK(feeds[0].wants_blocks());
  feeds.clear();
  CHECK(budget->used_bytes() == 0);
}

TEST_CASE("a queue's window that is let go is read again, from what is confirmed") {
  const auto budget = budget_of(1u << 20);
  queue_state q{{"s", "queue", 0, {}}, {}, 1000, 0, budget_share{budget}};
  q.add({budget_block(5, 10), budget_block(6, 20), budget_block(9, 30)});
  const auto first = q.receive(1, 1u << 20, 100, 0);
  REQUIRE(first.size() == 1);
  CHECK(q.let_go() == event_volume{}); // a message is under a lease
  q.ack(first[0].ticket);
  CHECK(q.let_go() == event_volume{2, 50});
  CHECK(budget->used_bytes() == 0);
  CHECK(q.position() == 5);
  CHECK(q.confirmed() == 5);
  CHECK(q.unacked_in_window() == 0);
  CHECK_FALSE(q.has_ready());
  q.add({budget_block(6, 20), budget_block(9, 30)});
  const auto rest = q.receive(9, 1u << 20, 100, 0);
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].ticket.seq == 6);
}

TEST_CASE("what was acknowledged ahead stays so when a window is let go") {
  queue_state q{{"s", "queue", 0, {}}, {}, 1000, 0};
  q.add({budget_block(1, 1), budget_block(2, 1), budget_block(3, 1)});
  const auto got = q.receive(3, 1u << 20, 100, 0);
  q.ack(got[1].ticket);
  q.nack(got[0].ticket);
  q.nack(got[2].ticket);
  CHECK(q.let_go().events == 2); // the second has left the window
  CHECK(q.confirmed() == 0);
  q.add({budget_block(1, 1), budget_block(2, 1), budget_block(3, 1)});
  const auto again = q.receive(9, 1u << 20, 100, 0);
  REQUIRE(again.size() == 2);
  CHECK(again[0].ticket.seq == 1);
  CHECK(again[1].ticket.seq == 3);
}

TEST_CASE("bounds: waits for a sink; beyond them the oldest are forgotten") {
  publish_watches watches{2};
  std::vector<publish_watches::answer> answers;
  for (std::uint64_t i = 1; i <= max_watches + 10; ++i)
    watches.add(static_cast<std::uint32_t>(i % 2), {i, i, i, 0, 1}, 0, answers);
  CHECK(watches.size() == max_watches);
  CHECK(answers.empty());
  watches.advance(0, max_watches + 10, answers);
  watches.advance(1, max_watches + 10, answers);
  CHECK(answers.size() == max_watches);
  for (const auto& one : answers)
    if (one.token <= 8) FAIL("the oldest went first");
}

TEST_CASE("bounds: dead events that are remembered for who asks late") {
  publish_watches watches{1};
  std::vector<publish_watches::answer> answers;
  for (std::uint64_t seq = 1; seq <= max_recent_dead + 1; ++seq)
    watches.died(0, seq, answers);
  watches.add(0, {1, 1, 1, 0, 1}, 0, answers);
  CHECK(watches.size() == 1); // the first death is forgotten: this one waits
  watches.add(0, {2, 2, 2, 0, 1}, 0, answers);
  CHECK(watches.size() == 1);
  REQUIRE(answers.size() == 1);
  CHECK_FALSE(answers[0].published);
}

TEST_CASE("bounds: clients that a limiter asks others about; the rest is asked each time") {
  lease_cache cache{2};
  const auto rules = lease_plan(lease_limit(algorithm::fixed_window, 100'000, 60 * lease_s));
  const auto& of = rules->front();
  const auto terms = terms_of(of, all_limits);
  for (std::uint64_t client = 1; client <= 5; ++client) {
    const auto key = lease_key_of(of, {client, 0, plan_id("p"), 0, all_limits});
    for (int i = 0; i < 50; ++i)
      CHECK_FALSE(cache.spend(key, 10, lease_epoch + i * lease_ms).has_value());
    CHECK((cache.units_to_request(key, terms, lease_epoch + 50 * lease_ms) > 0) == (client <= 2));
  }
  CHECK(cache.clients() == 2);
}

TEST_CASE("bounds: leases that an owner gives; beyond them none") {
  const auto rules = lease_plan(lease_limit(algorithm::fixed_window, 100'000, 60 * lease_s));
  limit_ledger ledger{rules, 100, std::make_shared<limit_labels>()};
  lease_granter granter{ledger, 2, 7};
  for (std::uint64_t client = 1; client <= 4; ++client) {
    const admit_item item{.client = client, .plan = plan_id("p"), .events = 1};
    const auto at = ledger.locate(item, lease_epoch);
    const auto decided = ledger.decide(at, item, {}, lease_epoch);
    CHECK(decided.answer.granted == 1);
    const auto lease = granter.answer(at, item, decided, 50, {9, client}, lease_epoch);
    CHECK((lease.units > 0) == (client <= 2));
  }
  CHECK(granter.leases() == 2);
}

TEST_CASE("bounds: leases of other owners that are remembered") {
  lease_copies copies{3};
  for (std::uint64_t lease = 1; lease <= 10; ++lease) {
    moved_lease one;
    one.lease = lease;
    one.client = 5;
    one.left_ns = lease_s;
    copies.add(one, lease_epoch);
  }
  CHECK(copies.size() == 3);
  CHECK(copies.take_out(0, lease_epoch).size() == 3);
  CHECK(copies.size() == 0);
}

TEST_CASE("bounds: members of a cluster; whoever comes later is not let in") {
  membership members{{"10.0.0.1:1", "1", false}};
  std::int64_t now = 1'000'000'000;
  members.on_renewed(now, 1);
  for (std::size_t i = 0; i < max_members + 20; ++i) {
    member_record record;
    record.address = "10.0.1." + std::to_string(i) + ":1";
    record.incarnation = "1";
    members.on_record(record, now);
  }
  const auto next = members.proposal(now);
  if (next) CHECK(next->members.size() <= max_members);
}

TEST_CASE("bounds: journals of other nodes that keys are remembered of") {
  constexpr std::int64_t now = 1'790'000'000'000;
  idempotency_index index{10'000, 60'000};
  for (std::uint64_t n = 0; n < idempotency_index::max_other_journals + 5; ++n)
    index.take_in({{n * 0x9e3779b97f4a7c15, n}, 1, n + 1, 1, now}, "j" + std::to_string(n), now);
  CHECK(index.size() <= idempotency_index::max_other_journals);
  CHECK(index.size() >= idempotency_index::max_other_journals - 1);
}
