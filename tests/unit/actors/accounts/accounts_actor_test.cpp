#include "tests/unit/actors/accounts/accounts_fixture.hpp"

#include <set>

using namespace penstock;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;

TEST_CASE_METHOD(accounts_fixture, "accounts: what was made before the link was known gets over it",
                 "[accounts]") {
  accounts_node a(*this), b(*this);
  self->send(b.actor, peer_up{0, {}, {}, stand_in(a.actor)}); // b was linked first
  run();
  const auto made = make(a);
  REQUIRE(b.find(made.key) == nullptr);
  self->send(a.actor, peer_up{1, {}, {}, stand_in(b.actor)});
  run();
  CHECK(b.find(made.key) != nullptr);
}

TEST_CASE_METHOD(accounts_fixture, "a key is saved, told and found; revoked, it is not",
                 "[accounts]") {
  accounts_node node{*this};
  const auto made = make(node);
  REQUIRE(made.ok);
  CHECK(is_api_key(made.key));
  CHECK(made.record.shown == made.key.substr(0, 11));
  CHECK(made.record.hash == key_hash{});
  CHECK(made.record.created_ms == accounts_start_us / 1000);
  REQUIRE(node.find(made.key) != nullptr);
  CHECK(node.find(made.key)->entry->id == made.record.id);
  CHECK(node.find(made.key)->client == fake_hash("account", "acme"));
  CHECK(node.store->keys.at(made.record.id).hash == node.hasher(made.key));

  const auto listed = ask<key_list_ptr>(node, list_keys{});
  REQUIRE(listed->keys.size() == 1);
  CHECK(listed->keys[0] == made.record);
  CHECK(listed->next.empty());

  CHECK(revoke(node, made.record.id).ok);
  CHECK(node.find(made.key) == nullptr);
  CHECK(node.store->keys.at(made.record.id).revoked_ms != 0);
  const int saves = node.store->saves;
  CHECK(revoke(node, made.record.id).ok); // again is no error, and nothing new
  CHECK(node.store->saves == saves);
  const auto unknown = revoke(node, "key_nobody");
  CHECK(unknown.why.code == errc::not_found);
}

TEST_CASE_METHOD(accounts_fixture, "lists come in pages", "[accounts]") {
  accounts_node node{*this};
  for (int i = 0; i < 5; ++i)
    REQUIRE(make(node, i == 2 ? "other" : "acme").ok);
  std::set<std::string> seen;
  list_keys command{"acme", "", 3};
  auto page = ask<key_list_ptr>(node, command);
  REQUIRE(page->keys.size() == 3);
  CHECK(page->next == page->keys.back().id);
  for (const auto& key : page->keys)
    seen.insert(key.id);
  command.after = page->next;
  page = ask<key_list_ptr>(node, command);
  REQUIRE(page->keys.size() == 1);
  CHECK(page->next.empty());
  CHECK(seen.insert(page->keys[0].id).second);
}

TEST_CASE_METHOD(accounts_fixture, "what is not durable is not in force, and said so",
                 "[accounts]") {
  accounts_node node{*this};
  const auto made = make(node);
  const auto snapshots = node.update->snapshots.size();
  node.store->fails = true;
  CHECK(make(node).why.code == errc::disk_full);
  CHECK(revoke(node, made.record.id).why.code == errc::disk_full);
  CHECK(ask<account_done>(node, put_plan{{"x", {}}}).why.code == errc::disk_full);
  CHECK(node.update->snapshots.size() == snapshots);
  CHECK(node.find(made.key) != nullptr);
  node.store->fails = false;
  CHECK(revoke(node, made.record.id).ok);
  CHECK(node.find(made.key) == nullptr);
}

TEST_CASE_METHOD(accounts_fixture, "plans: set, used, deleted", "[accounts]") {
  accounts_node node{*this};
  CHECK_THAT(make(node, "acme", "gold").why.message,
             Contains("no plan \"gold\"") && Contains("anonymous, pro"));
  const limit daily{.name = "daily", .kind = algorithm::calendar, .amount = 5};
  CHECK(ask<account_done>(node, put_plan{{"gold", {daily}}}).ok);
  CHECK(node.update->snapshots.back().plans->by_name("gold")->rules.limits ==
        std::vector<limit>{daily});
  const auto first = make(node, "acme", "gold");
  const auto second = make(node, "acme", "gold");
  REQUIRE(second.ok);
  CHECK(ask<plan_listing>(node, get_plans{}).keys.at("gold") == 2);

  auto refused = ask<account_done>(node, delete_plan{"gold"});
  CHECK(refused.why.code == errc::invalid);
  CHECK_THAT(refused.why.message, Contains("\"gold\" is used by 2 keys; revoke them first"));
  revoke(node, first.record.id);
  CHECK_THAT(ask<account_done>(node, delete_plan{"gold"}).why.message, Contains("by 1 key;"));
  revoke(node, second.record.id);
  CHECK(ask<account_done>(node, delete_plan{"gold"}).ok);
  CHECK(node.update->snapshots.back().plans->by_name("gold") == nullptr);
  CHECK(ask<account_done>(node, delete_plan{"gold"}).why.code == errc::not_found);

  // The configuration's plan comes back when the one over it goes, so keys are no hindrance.
  CHECK_THAT(ask<account_done>(node, delete_plan{"pro"}).why.message,
             Contains("comes from the configuration"));
  CHECK(make(node).ok);
  CHECK(ask<account_done>(node, put_plan{{"pro", {daily}}}).ok);
  CHECK(ask<account_done>(node, delete_plan{"pro"}).ok);
  CHECK(node.update->snapshots.back().plans->by_name("pro")->rules.limits.empty());

  self->send(node.actor, plans_configured{{{"anonymous", {daily}}}});
  run();
  // A key has it: it is served as anonymous clients are.
  REQUIRE(node.update->snapshots.back().plans->by_name("pro") != nullptr);
  CHECK(node.update->snapshots.back().plans->by_name("pro")->missing);
  CHECK(node.update->snapshots.back().plans->by_name("pro")->rules.limits.size() == 1);
  CHECK(node.update->snapshots.back().plans->by_name("anonymous")->rules.limits.size() == 1);
}

TEST_CASE_METHOD(accounts_fixture, "a change is pushed to peers at once, and saved there",
                 "[accounts]") {
  accounts_node a{*this}, b{*this}, c{*this};
  link(a, b);
  const auto made = make(a);
  REQUIRE(b.find(made.key) != nullptr);
  CHECK(b.store->keys.at(made.record.id) == a.store->keys.at(made.record.id));
  CHECK(c.find(made.key) == nullptr);
  CHECK(revoke(b, made.record.id).ok);
  CHECK(a.find(made.key) == nullptr);
  CHECK(a.store->keys.at(made.record.id).revoked_ms != 0);
  CHECK(ask<account_done>(b, put_plan{{"gold", {}}}).ok);
  CHECK(make(a, "acme", "gold").ok);
  CHECK(a.book->digest() == b.book->digest());
}

TEST_CASE_METHOD(accounts_fixture, "a node that was away catches up when the link is back",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  const auto old = make(a);
  REQUIRE(b.find(old.key) != nullptr);
  self->send(a.actor, peer_down{1});
  self->send(b.actor, peer_down{0});
  run();
  // B's clock is an hour behind: its change comes later all the same, since it has seen A's.
  *b.now_us -= 3'600'000'000;
  CHECK(revoke(b, old.record.id).ok);
  std::vector<std::string> keys;
  for (int i = 0; i < 30; ++i)
    keys.push_back(make(a).key);
  CHECK(a.find(old.key) != nullptr);
  CHECK(b.find(keys[0]) == nullptr);
  link(a, b);
  CHECK(a.find(old.key) == nullptr);
  for (const auto& key : keys)
    CHECK(b.find(key) != nullptr);
  CHECK(a.book->digest() == b.book->digest());
  CHECK(a.store->keys == b.store->keys);
}

TEST_CASE_METHOD(accounts_fixture, "a push that was lost is made up for by the next comparison",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  const auto made = make(a);
  // Only B knows of A: nothing was pushed, and B asks by itself.
  b.update->snapshots.clear();
  self->send(b.actor, peer_up{0, {}, {}, stand_in(a.actor)});
  run();
  REQUIRE(b.find(made.key) != nullptr);
  CHECK(revoke(a, made.record.id).ok);
  CHECK(b.find(made.key) != nullptr);
  pass(25s, 1s); // the first tick after records came lets them settle
  CHECK(b.find(made.key) == nullptr);
}

TEST_CASE_METHOD(accounts_fixture, "a peer's revocation counts even when the disk is full",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  const auto made = make(a);
  b.store->fails = true;
  revoke(a, made.record.id);
  CHECK(b.find(made.key) == nullptr);
  CHECK(b.store->keys.at(made.record.id).revoked_ms == 0);
  // A plan is set there meanwhile and then here: the later one must be what is kept.
  CHECK(ask<account_done>(a, put_plan{{"gold", {}}}).ok);
  b.store->fails = false;
  const limit daily{.name = "daily", .kind = algorithm::calendar, .amount = 5};
  CHECK(ask<account_done>(b, put_plan{{"gold", {daily}}}).ok);
  pass(11s, 1s);
  CHECK(b.store->keys.at(made.record.id).revoked_ms != 0);
  CHECK(b.store->plans.at("gold").limits.find("daily") != std::string::npos);
  CHECK(a.store->plans == b.store->plans);
}

TEST_CASE_METHOD(accounts_fixture, "what the disk did not take is saved when it does again",
                 "[accounts]") {
  accounts_node a{*this}, b{*this};
  link(a, b);
  b.store->fails = true;
  const auto made = make(a);
  CHECK(b.find(made.key) != nullptr);
  CHECK(b.store->keys.empty());
  b.store->fails = false;
  pass(11s, 1s);
  CHECK(b.store->keys == a.store->keys);
}

TEST_CASE_METHOD(accounts_fixture, "so many plans are set while running, no more", "[accounts]") {
  accounts_node node{*this};
  account_records many;
  for (std::size_t i = 0; i < max_stored_plans; ++i) {
    plan_record record;
    record.name = "p" + std::to_string(i);
    record.version = 1;
    record.limits = "[]";
    many.plans.push_back(record);
  }
  self->send(node.actor, accounts_records{many});
  run();
  const auto refused = ask<account_done>(node, put_plan{{"more", {}}});
  CHECK(refused.why.code == errc::invalid);
  CHECK_THAT(refused.why.message, Contains("1000 plans; delete one first"));
  CHECK(ask<account_done>(node, put_plan{{"p7", {}}}).ok); // one that is there
}

TEST_CASE_METHOD(accounts_fixture, "a peer's records that the disk does not take are so many",
                 "[accounts]") {
  accounts_node node{*this};
  node.store->fails = true;
  const auto tell = [&](std::size_t from, std::size_t to) {
    account_records some;
    for (auto i = from; i < to; ++i) {
      key_record key;
      key.id = "key_" + std::to_string(i);
      key.version = 1;
      key.hash = node.hasher(key.id);
      some.keys.push_back(key);
    }
    self->send(node.actor, accounts_records{some});
    run();
  };
  tell(0, max_unsaved_records);
  CHECK(node.book->key_count() == max_unsaved_records);
  tell(max_unsaved_records, max_unsaved_records + 10);
  CHECK(node.book->key_count() == max_unsaved_records); // asked for again later
  node.store->fails = false;
  tell(max_unsaved_records, max_unsaved_records + 10);
  CHECK(node.book->key_count() == max_unsaved_records + 10);
}

TEST_CASE_METHOD(accounts_fixture, "so many digests are answered with this node's own in a while",
                 "[accounts][bounds]") {
  accounts_node a{*this};
  make(a);
  const accounts_digest nothing{std::vector<std::uint64_t>(digest_buckets)};
  std::vector<std::shared_ptr<account_updates>> told;
  std::vector<caf::actor> senders;
  for (std::size_t i = 0; i <= max_answered_digests; ++i) {
    told.push_back(std::make_shared<account_updates>());
    senders.push_back(system.spawn(update_listener, told.back()));
  }
  const auto answered = [&](std::size_t which) {
    told[which]->digests.clear();
    caf::send_as(senders[which], a.actor, nothing);
    run();
    return !told[which]->digests.empty();
  };
  CHECK(answered(0));
  CHECK_FALSE(answered(0)); // so that two that differ do not answer each other for ever
  for (std::size_t i = 1; i < max_answered_digests; ++i)
    REQUIRE(answered(i));
  CHECK_FALSE(answered(max_answered_digests));
  CHECK_FALSE(told.back()->records.empty()); // what it lacks it gets all the same
  pass(accounts_sync_interval, accounts_sync_interval);
  CHECK(answered(max_answered_digests));
  for (const auto& one : told)
    one->sender = nullptr;
  for (const auto& one : senders)
    caf::anon_send_exit(one, caf::exit_reason::kill);
}

TEST_CASE_METHOD(accounts_fixture, "thousands of records go in bounded messages", "[accounts]") {
  accounts_node a{*this};
  const auto peer = std::make_shared<account_updates>();
  const auto fake = system.spawn(update_listener, peer);
  account_records many;
  for (int i = 0; i < 3'500; ++i) {
    key_record key;
    key.id = "key_" + std::to_string(i);
    key.version = 1;
    key.hash = a.hasher(key.id);
    many.keys.push_back(key);
  }
  self->send(a.actor, accounts_records{many});
  self->send(a.actor, peer_up{1, {}, {}, stand_in(fake)});
  run();
  REQUIRE(peer->digests.size() == 1);
  CHECK(peer->digests[0].buckets == a.book->digest());
  CHECK(peer->sender == a.actor);
  peer->sender = nullptr;
  // The peer asks: it has nothing.
  caf::scoped_actor asking{system};
  asking->send(a.actor, accounts_digest{std::vector<std::uint64_t>(digest_buckets)});
  run();
  std::size_t messages = 0, records = 0;
  accounts_records got;
  while (take(asking, got)) {
    ++messages;
    CHECK(got.records.size() <= max_records_per_message);
    records += got.records.size();
  }
  CHECK(messages == 4);
  CHECK(records == 3'500);
  asking->send(a.actor, accounts_digest{a.book->digest()});
  run();
  CHECK_FALSE(take(asking, got)); // alike: nothing to say
  caf::anon_send_exit(fake, caf::exit_reason::kill);
}

TEST_CASE_METHOD(accounts_fixture, "a peer without an accounts actor is let be", "[accounts]") {
  accounts_node a{*this};
  self->send(a.actor, peer_up{1, {}, {}, {}});
  run();
  CHECK(make(a).ok);
}

TEST_CASE_METHOD(accounts_fixture, "tombstones are swept in time", "[accounts]") {
  accounts_node a{*this};
  const auto made = make(a);
  revoke(a, made.record.id);
  *a.now_us += (tombstone_ms + 1'000) * 1'000;
  pass(3'700s, 10s);
  CHECK(a.store->keys.empty());
  CHECK(a.book->key(made.record.id) == nullptr);
}

TEST_CASE_METHOD(accounts_fixture, "no key, hash or secret is logged or told in an error",
                 "[accounts]") {
  log_catcher log;
  accounts_node a{*this}, b{*this};
  link(a, b);
  const auto made = make(a);
  std::string told = revoke(a, made.key).why.message; // the key in place of its id
  told += ask<account_done>(a, delete_plan{made.key}).why.message;
  told += make(a, "acme", made.key).why.message;
  a.store->fails = b.store->fails = true;
  told += make(a).why.message;
  told += revoke(a, made.record.id).why.message;
  a.store->fails = false;
  revoke(a, made.record.id);
  told += log.text();
  CHECK_THAT(told, Contains("made key " + made.record.id) && Contains("revoked key"));
  CHECK(told.find(made.key.substr(11, 8)) == std::string::npos);
  CHECK(told.find("secret") == std::string::npos);
  // Nor does CAF tell when it prints what an actor does not understand.
  key_record record;
  record.id = "key_a";
  record.hash = a.hasher(made.key);
  const auto printed =
      caf::deep_to_string(accounts_records{{{record}, {}}}) + caf::deep_to_string(made);
  CHECK_THAT(printed, Contains("key_a"));
  CHECK(printed.find(std::to_string(static_cast<int>(record.hash[0])) + ", " +
                     std::to_string(static_cast<int>(record.hash[1]))) == std::string::npos);
  CHECK(printed.find(made.key) == std::string::npos);
}
