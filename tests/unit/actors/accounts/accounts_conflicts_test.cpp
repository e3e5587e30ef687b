// Two changes on two nodes at once that would break each other, and what becomes of keys whose plan
// is gone all the same.
#include "tests/unit/actors/accounts/accounts_fixture.hpp"

using namespace penstock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

namespace {

const limit gold_limit{.name = "daily", .kind = algorithm::calendar, .amount = 5};
const limit silver_limit{.name = "daily", .kind = algorithm::calendar, .amount = 3};

class conflicts_fixture : public accounts_fixture {
 public:
  account_done set(const accounts_node& node, const limit& one = gold_limit) {
    return ask<account_done>(node, put_plan{{"gold", {one}}});
  }
  account_done drop(const accounts_node& node) {
    return ask<account_done>(node, delete_plan{"gold"});
  }
  static create_key gold_key() { return {"acme", "gold", {}, {}, {}, 0}; }
  static bool has_plan(const accounts_node& node, const limit& one = gold_limit) {
    const auto plans = node.book->plans();
    const auto* found = plans->by_name("gold");
    return found && found->rules.limits == std::vector<limit>{one};
  }
};

} // namespace

TEST_CASE_METHOD(conflicts_fixture, "a plan goes while another node makes a key of it: one fails",
                 "[accounts]") {
  const bool key_first = GENERATE(false, true);
  accounts_node a{*this}, b{*this};
  link(a, b);
  REQUIRE(set(a).ok);
  account_done gone;
  key_created made;
  if (key_first)
    std::tie(made, gone) =
        ask_both<key_created, account_done>(b, gold_key(), a, delete_plan{"gold"});
  else
    std::tie(gone, made) =
        ask_both<account_done, key_created>(a, delete_plan{"gold"}, b, gold_key());
  CHECK(gone.ok != made.ok);
  if (gone.ok) {
    CHECK(made.why.code == errc::unavailable);
    CHECK_THAT(made.why.message, Contains("\"gold\" is being deleted"));
  } else {
    CHECK(gone.why.code == errc::invalid);
    CHECK_THAT(gone.why.message, Contains("\"gold\" is used by 1 key on node-1"));
  }
  for (const auto* node : {&a, &b})
    CHECK(has_plan(*node) == made.ok);
  CHECK(a.book->digest() == b.book->digest());
}

TEST_CASE_METHOD(conflicts_fixture, "a plan goes while another node sets it: one fails",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  REQUIRE(set(a).ok);
  const auto [set_again, gone] = ask_both<account_done, account_done>(
      b, put_plan{{"gold", {silver_limit}}}, a, delete_plan{"gold"});
  CHECK(set_again.ok);
  CHECK_FALSE(gone.ok);
  CHECK(gone.why.code == errc::unavailable);
  CHECK_THAT(gone.why.message, Contains("changed on node-1"));
  CHECK(has_plan(a, silver_limit));
  CHECK(has_plan(b, silver_limit));
}

TEST_CASE_METHOD(conflicts_fixture, "two nodes delete a plan at once, and it is gone",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  REQUIRE(set(a).ok);
  const auto [first, second] =
      ask_both<account_done, account_done>(a, delete_plan{"gold"}, b, delete_plan{"gold"});
  CHECK(first.ok);
  CHECK(second.ok);
  for (const auto* node : {&a, &b})
    CHECK(node->book->plans()->by_name("gold") == nullptr);
  CHECK(a.book->digest() == b.book->digest());
  CHECK(set(b).ok); // nothing is reserved any more
  CHECK(make(a, "acme", "gold").ok);
}

TEST_CASE_METHOD(conflicts_fixture, "where the configuration of a node lacks a plan, keys keep it",
                 "[accounts]") {
  accounts_node a{*this, {{"anonymous", {}}, {"gold", {silver_limit}}}}, b{*this};
  link(a, b);
  REQUIRE(set(a).ok);
  REQUIRE(make(b, "acme", "gold").ok);
  // On A keys would go on with the configuration's, on B with nothing.
  const auto refused = drop(a);
  CHECK_FALSE(refused.ok);
  CHECK_THAT(refused.why.message, Contains("node-1"));
  CHECK(has_plan(b));
}

TEST_CASE_METHOD(conflicts_fixture, "a plan that was refused to be deleted is free again",
                 "[accounts]") {
  accounts_node a{*this}, b{*this}, c{*this};
  link(a, 0, b, 1);
  link(a, 0, c, 2);
  REQUIRE(set(a).ok);
  REQUIRE(make(b, "acme", "gold").ok);
  // Only B tells A of the key: of C's answer depends nothing.
  CHECK_FALSE(drop(a).ok);
  CHECK(make(a, "acme", "gold").ok);
  CHECK(make(c, "acme", "gold").ok);
  CHECK(set(c, silver_limit).ok);
}

TEST_CASE_METHOD(conflicts_fixture, "a peer that does not say keeps a plan from being deleted",
                 "[accounts]") {
  accounts_node a{*this};
  const auto peer = std::make_shared<account_updates>();
  const auto silent = system.spawn(update_listener, peer);
  REQUIRE(set(a).ok);
  peer_up up{1, {}, {}, stand_in(silent)};
  up.address = "node-1";
  account_done done;
  const auto begin = [&] { return self->request(a.actor, caf::infinite, delete_plan{"gold"}); };
  SECTION("for some seconds") {
    self->send(a.actor, up);
    auto pending = begin();
    run(); // the question is out
    pass(plan_answer_timeout, 100ms);
    pending.receive([&](account_done& got) { done = std::move(got); },
                    [](const caf::error&) { FAIL("no answer"); });
    CHECK_FALSE(done.ok);
    CHECK(done.why.code == errc::unavailable);
    CHECK_THAT(done.why.message, Contains("node-1 did not say"));
    CHECK(make(a, "acme", "gold").ok);
  }
  SECTION("not when it speaks an earlier version of the wire") {
    up.version = plan_questions_wire_version - 1;
    self->send(a.actor, up);
    CHECK(drop(a).ok);
  }
  SECTION("not when it goes away: what it did comes back with it") {
    self->send(a.actor, up);
    auto pending = begin();
    run();
    CHECK_FALSE(make(a, "acme", "gold").ok); // meanwhile
    self->send(a.actor, peer_down{1});
    run();
    pending.receive([&](account_done& got) { done = std::move(got); },
                    [](const caf::error&) { FAIL("no answer"); });
    CHECK(done.ok);
  }
  peer->sender = nullptr;
  caf::anon_send_exit(silent, caf::exit_reason::kill);
}

TEST_CASE_METHOD(conflicts_fixture, "a question that leads to nothing reserves a plan for a while",
                 "[accounts]") {
  accounts_node b{*this};
  REQUIRE(set(b).ok);
  const auto version = b.book->stored_plan("gold")->version;
  const auto asking = system.spawn(update_listener, std::make_shared<account_updates>());
  peer_up up{0, {}, {}, stand_in(asking)};
  self->send(b.actor, up);
  run();
  caf::send_as(asking, b.actor, plan_question{"gold", version, 7});
  run();
  CHECK_THAT(make(b, "acme", "gold").why.message, Contains("is being deleted"));
  CHECK_FALSE(set(b).ok);
  SECTION("until it is said so") {
    caf::send_as(asking, b.actor, plan_kept{"gold", 6}); // of an earlier question: too late
    run();
    CHECK_FALSE(make(b, "acme", "gold").ok);
    caf::send_as(asking, b.actor, plan_kept{"gold", 7});
    run();
  }
  SECTION("until time has passed") {
    pass(plan_reserved_for, 1s);
  }
  CHECK(make(b, "acme", "gold").ok);
  caf::anon_send_exit(asking, caf::exit_reason::kill);
}

TEST_CASE_METHOD(conflicts_fixture, "so many plans are reserved at once, no more", "[accounts]") {
  accounts_node b{*this};
  const auto answers = std::make_shared<std::vector<plan_answer>>();
  const auto asking = system.spawn([answers](caf::event_based_actor*) -> caf::behavior {
    return {[answers](const plan_answer& told) { answers->push_back(told); },
            [](const accounts_digest&) {}};
  });
  for (std::size_t i = 0; i <= max_reserved_plans; ++i)
    caf::send_as(asking, b.actor, plan_question{"p" + std::to_string(i), 1, i + 1});
  run();
  REQUIRE(answers->size() == max_reserved_plans + 1);
  CHECK(answers->at(max_reserved_plans - 1).what == plan_use::none);
  CHECK(answers->back().what == plan_use::unsaid);
  caf::anon_send_exit(asking, caf::exit_reason::kill);
}

TEST_CASE_METHOD(conflicts_fixture, "nodes that can't reach each other: the key keeps its plan",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  REQUIRE(set(a).ok);
  part(a, b);
  CHECK(drop(a).ok);
  const auto made = make(b, "acme", "gold");
  CHECK(made.ok);
  log_catcher log;
  link(a, b);
  for (const auto* node : {&a, &b}) {
    CHECK(has_plan(*node));
    CHECK(node->store->plans.at("gold").deleted_ms == 0);
    CHECK(node->find(made.key) != nullptr);
  }
  CHECK(a.book->digest() == b.book->digest());
  CHECK_THAT(log.text(), Contains("the deleted plan gold is back: keys use it"));
  // And so it stays, until nobody uses it.
  pass(60s, 1s);
  CHECK(has_plan(a));
  CHECK_FALSE(drop(a).ok);
  revoke(a, made.record.id);
  CHECK(drop(b).ok);
  CHECK(a.book->plans()->by_name("gold") == nullptr);
}

TEST_CASE_METHOD(conflicts_fixture, "whatever the order, a key and its deleted plan are told in",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  REQUIRE(set(a).ok);
  part(a, b);
  REQUIRE(drop(a).ok);
  const auto made = make(b, "acme", "gold");
  const account_records gone{{}, {a.store->plans.at("gold")}};
  const account_records key{{b.store->keys.at(made.record.id)}, {}};
  const account_records before{{}, {b.store->plans.at("gold")}};
  const auto tell = [this](const accounts_node& node, std::vector<account_records> all) {
    for (auto& records : all)
      self->send(node.actor, accounts_records{records});
    run();
  };
  accounts_node c{*this}, d{*this}, e{*this};
  tell(c, {gone, key});
  tell(d, {key, gone});
  tell(e, {before, key, gone, before});
  for (const auto* node : {&c, &d, &e})
    CHECK(has_plan(*node));
  // All of them by themselves made one and the same record of it.
  CHECK(c.book->digest() == d.book->digest());
  CHECK(c.book->digest() == e.book->digest());
}

TEST_CASE_METHOD(conflicts_fixture, "a plan that an earlier version deleted comes back if known",
                 "[accounts]") {
  accounts_node b{*this};
  REQUIRE(set(b).ok);
  const auto made = make(b, "acme", "gold");
  // Its tombstones say nothing of the limits.
  plan_record gone{"gold", b.book->stored_plan("gold")->version + 10, "[]", 5, 5};
  self->send(b.actor, accounts_records{{{}, {gone}}});
  run();
  CHECK(has_plan(b));
}

TEST_CASE_METHOD(conflicts_fixture,
                 "a key whose plan is nowhere is served as anonymous clients are", "[accounts]") {
  accounts_node b{*this, {{"anonymous", {silver_limit}}, {"pro", {}}}};
  key_record key;
  key.id = "key_a";
  key.version = 1;
  key.account = "acme";
  key.plan = "gold";
  key.hash = b.hasher("x");
  log_catcher log;
  self->send(b.actor, accounts_records{{{key}, {}}});
  run();
  CHECK(b.book->plans()->by_name("gold") == nullptr); // it may be on its way
  pass(3 * accounts_sync_interval, 1s);
  CHECK(has_plan(b, silver_limit));
  CHECK(b.update->snapshots.back().plans->by_name("gold")->missing);
  CHECK_THAT(log.text(), Contains("keys have the plan gold, which is nowhere"));
  // It is no plan of which keys could be made, or that could be deleted.
  CHECK_THAT(make(b, "acme", "gold").why.message, Contains("there is no plan \"gold\""));
  CHECK(drop(b).why.code == errc::not_found);
  SECTION("a reload takes such keys along at once") {
    self->send(b.actor, plans_configured{{{"anonymous", {gold_limit}}}});
    run();
    CHECK(has_plan(b, gold_limit));
  }
  SECTION("until it is set") {
    CHECK(set(b).ok);
    CHECK(has_plan(b, gold_limit));
    CHECK_FALSE(b.book->plans()->by_name("gold")->missing);
  }
  SECTION("until nobody uses it") {
    revoke(b, "key_a");
    pass(3 * accounts_sync_interval, 1s);
    CHECK(b.book->plans()->by_name("gold") == nullptr);
  }
}
