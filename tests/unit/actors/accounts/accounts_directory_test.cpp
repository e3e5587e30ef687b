#include "actors/accounts/accounts_actor.hpp"
#include "actors/cluster/link_messages.hpp"
#include "actors/directory/directory_messages.hpp"
#include "tests/unit/actors/accounts/memory_account_store.hpp"
#include "tests/unit/actors/fixture.hpp"
#include "tests/unit/actors/stand_in.hpp"

#include <catch2/catch.hpp>

#include <map>

using namespace penstock;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t shared_start_us = 1'790'000'000'000'000;

std::uint64_t shared_hash(std::string_view kind, std::string_view name) {
  return std::hash<std::string>{}(std::string{kind} + '\0' + std::string{name});
}

// What all nodes share, and what reached it. It keeps what was put last, as the real one does.
struct shared_store {
  std::map<std::string, std::string> values;
  std::vector<std::string> puts;
  std::size_t largest_message = 0;
  bool reachable = true;
  std::vector<caf::actor> watchers;
};

// In place of the actor that has the directory.
caf::behavior shared_directory(caf::event_based_actor* self, std::shared_ptr<shared_store> store) {
  return {[self, store](const records_changed& changed) {
    if (!store->reachable) return records_put{false};
    store->largest_message = std::max(store->largest_message, changed.records.size());
    for (const auto& [key, value] : changed.records) {
      store->puts.push_back(key);
      store->values[key] = value;
      if (value.empty()) store->values.erase(key);
      for (const auto& watcher : store->watchers)
        self->send(watcher, records_told{{{key, value}}});
    }
    return records_put{true};
  }};
}

struct shared_node {
  shared_node(actor_fixture& world, const std::shared_ptr<shared_store>& shared,
              const std::shared_ptr<std::int64_t>& now_us)
      : store(std::make_shared<memory_account_store>()),
        book(std::make_shared<account_book>(account_records{}, std::vector<plan>{{"pro", {}}},
                                            shared_hash)),
        directory(world.system.spawn(shared_directory, shared)),
        actor(plain_actor(
            world.system.spawn(accounts_actor, accounts_parts{store,
                                                              book,
                                                              hasher,
                                                              {},
                                                              [now_us] { return (*now_us)++; },
                                                              {},
                                                              stand_in(directory)}))) {}
  ~shared_node() {
    for (const auto& one : {actor, directory})
      caf::anon_send_exit(one, caf::exit_reason::kill);
  }
  key_hasher hasher{"secret"};
  std::shared_ptr<memory_account_store> store;
  std::shared_ptr<account_book> book;
  caf::actor directory, actor;
};

class shared_fixture : public actor_fixture {
 public:
  ~shared_fixture() { shared->watchers.clear(); }

  /// The directory comes within reach of a node and tells what it holds.
  void reach(const shared_node& node) {
    shared->watchers.push_back(node.actor);
    for (const auto& [key, value] : shared->values)
      self->send(node.actor, records_told{{{key, value}}});
    self->send(node.actor, records_watched{});
    run();
  }
  void lose() {
    shared->reachable = false;
    for (const auto& watcher : std::exchange(shared->watchers, {}))
      self->send(watcher, records_away{});
    run();
  }
  key_record make(const shared_node& node) {
    key_created made;
    auto pending =
        self->request(node.actor, caf::infinite, create_key{"acme", "pro", {}, {}, {}, 0});
    run();
    pending.receive([&](key_created& got) { made = std::move(got); },
                    [](const caf::error&) { FAIL("no answer"); });
    REQUIRE(made.ok);
    CHECK(holds_no(made.key));
    run();
    return made.record;
  }
  template <class Request>
  void tell(const shared_node& node, Request request) {
    account_done done{false, {}};
    auto pending = self->request(node.actor, caf::infinite, std::move(request));
    run();
    pending.receive([&](account_done& got) { done = std::move(got); },
                    [](const caf::error&) { FAIL("no answer"); });
    REQUIRE(done.ok);
    run();
  }
  bool holds_no(const std::string& secret) const {
    for (const auto& [key, value] : shared->values)
      if (value.find(secret) != value.npos || key.find(secret) != key.npos) return false;
    return true;
  }
  key_record stored_key(const std::string& id) const {
    const auto record = from_directory({"key." + id, shared->values.count("key." + id)
                                                         ? shared->values.at("key." + id)
                                                         : std::string{}});
    return record ? std::get<key_record>(*record) : key_record{};
  }

  std::shared_ptr<shared_store> shared = std::make_shared<shared_store>();
  std::shared_ptr<std::int64_t> now_us = std::make_shared<std::int64_t>(shared_start_us);
};

} // namespace

TEST_CASE_METHOD(shared_fixture, "changes go by the directory to all nodes, once",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us}, b{*this, shared, now_us};
  reach(a);
  reach(b);
  const auto made = make(a);
  REQUIRE(b.store->keys.contains(made.id));
  CHECK(b.store->keys.at(made.id) == a.store->keys.at(made.id));
  CHECK(stored_key(made.id) == a.store->keys.at(made.id));
  tell(b, revoke_key{made.id});
  CHECK(a.store->keys.at(made.id).revoked_ms != 0);
  tell(a, put_plan{{"gold", {}}});
  tell(b, delete_plan{"gold"});
  CHECK(a.store->plans.at("gold").deleted_ms != 0);
  CHECK(a.book->digest() == b.book->digest());
  pass(60s, 1s);
  CHECK(shared->puts.size() == 4); // nobody puts again what he was told
}

TEST_CASE_METHOD(shared_fixture, "a node that comes later has all there is",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us};
  reach(a);
  std::vector<key_record> keys;
  for (int i = 0; i < 10; ++i)
    keys.push_back(make(a));
  const auto puts = shared->puts.size();
  shared_node b{*this, shared, now_us};
  const int saves = b.store->saves;
  reach(b);
  CHECK(b.store->keys == a.store->keys);
  CHECK(b.store->saves == saves + 1); // one transaction for what came together
  pass(60s, 1s);
  CHECK(shared->puts.size() == puts);
}

TEST_CASE_METHOD(shared_fixture, "what changed while the directory was away is made up for",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us}, b{*this, shared, now_us};
  const auto early = make(a); // it was not reached yet
  CHECK(shared->puts.empty());
  reach(a);
  CHECK(stored_key(early.id).id == early.id);
  reach(b);
  REQUIRE(b.store->keys.contains(early.id));
  lose();
  const auto puts = shared->puts.size();
  const auto late = make(a);
  tell(b, revoke_key{early.id});
  pass(60s, 1s);
  CHECK(shared->puts.size() == puts);

  SECTION("when it comes back") {
    shared->reachable = true;
    reach(a);
    reach(b);
    CHECK(shared->puts.size() == puts + 2);
  }
  SECTION("when it comes back with nothing") {
    shared->reachable = true;
    shared->values.clear();
    reach(a);
    reach(b);
  }
  SECTION("when it says that it is back before it is") {
    reach(a);
    reach(b);
    CHECK(shared->puts.size() == puts);
    shared->reachable = true;
    pass(11s, 1s);
  }
  pass(25s, 1s);
  CHECK(stored_key(late.id).id == late.id);
  CHECK(stored_key(early.id).revoked_ms != 0);
  CHECK(a.store->keys == b.store->keys);
  CHECK(a.store->keys.at(early.id).revoked_ms != 0);
}

TEST_CASE_METHOD(shared_fixture, "an older record in the directory gives way to ours",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us}, b{*this, shared, now_us};
  reach(a);
  reach(b);
  const auto made = make(a);
  const auto old = shared->values.at("key." + made.id);
  tell(a, revoke_key{made.id});
  const auto right = shared->values.at("key." + made.id);
  // A node that knew no better put it after ours; each is told both at once.
  shared->values["key." + made.id] = old;
  for (const auto* node : {&a, &b})
    self->send(node->actor, records_told{{{"key." + made.id, right}, {"key." + made.id, old}}});
  run();
  CHECK(a.store->keys.at(made.id).revoked_ms != 0);
  pass(11s, 1s);
  CHECK(shared->values.at("key." + made.id) == right);
  const auto puts = shared->puts.size();
  pass(60s, 1s);
  CHECK(shared->puts.size() == puts);
}

TEST_CASE_METHOD(shared_fixture, "what peers tell goes to the directory if they can't reach it",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us}, b{*this, shared, now_us};
  reach(b);
  self->send(a.actor, peer_up{1, {}, {}, stand_in(b.actor)});
  self->send(b.actor, peer_up{0, {}, {}, stand_in(a.actor)});
  run();
  const auto made = make(a);
  CHECK(b.store->keys.contains(made.id));
  CHECK(shared->puts.empty()); // A may be about to
  pass(11s, 1s);
  CHECK(stored_key(made.id).id == made.id);
  reach(a);
  pass(30s, 1s);
  CHECK(shared->puts.size() == 1);
}

TEST_CASE_METHOD(shared_fixture, "many records are put in portions, one after the other",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us};
  account_records many;
  for (int i = 0; i < 1'000; ++i) {
    key_record key;
    key.id = "key_" + std::to_string(i);
    key.version = 1;
    key.account = "acme";
    key.plan = "pro";
    many.keys.push_back(key);
  }
  many.keys.front().streams.assign(32, std::string(3'000, 's')); // more than the directory takes
  self->send(a.actor, accounts_records{many});
  run();
  reach(a);
  pass(11s, 1s);
  CHECK(shared->values.size() == 999);
  CHECK(shared->puts.size() == 999);
  CHECK(shared->largest_message == max_records_per_put);
}

TEST_CASE_METHOD(shared_fixture, "tombstones leave the directory in time", "[accounts_directory]") {
  shared_node a{*this, shared, now_us}, b{*this, shared, now_us};
  reach(a);
  reach(b);
  const auto dead = make(a), live = make(a);
  tell(a, revoke_key{dead.id});
  CHECK(shared->values.size() == 2);
  const auto tombstone = shared->values.at("key." + dead.id);
  *now_us += (tombstone_ms + 1'000) * 1'000;
  pass(3'700s, 10s);
  CHECK(shared->values.size() == 1);
  CHECK(stored_key(live.id).id == live.id);
  // One that was left there is not taken over again, but taken out.
  shared->values["key." + dead.id] = tombstone;
  shared_node c{*this, shared, now_us};
  reach(c);
  CHECK(c.store->keys.size() == 1);
  CHECK(shared->values.size() == 1);
}

TEST_CASE_METHOD(shared_fixture, "a record that somebody took out comes back",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us};
  reach(a);
  const auto made = make(a);
  shared->values.clear();
  self->send(a.actor, records_told{{{"key." + made.id, ""}}});
  run();
  CHECK(a.store->keys.at(made.id).revoked_ms == 0);
  pass(11s, 1s);
  CHECK(stored_key(made.id).id == made.id);
}

TEST_CASE_METHOD(shared_fixture, "what can't be read from the directory is passed over",
                 "[accounts_directory]") {
  shared_node a{*this, shared, now_us};
  const auto made = make(a);
  shared->values = {
      {"key." + made.id, "{\"version\":\"new\"}"}, {"key.x", "[]"}, {"", "{"}, {"plan.x", "null"}};
  reach(a);
  CHECK(a.store->keys.size() == 1);
  CHECK(stored_key(made.id).id == made.id); // ours is right, as far as we know
}
