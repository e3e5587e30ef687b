#include "actors/accounts/account_book.hpp"
#include "tests/unit/actors/fake_hash.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace penstock;

namespace {

constexpr std::int64_t now_ms = 1'790'000'000'000;
constexpr std::int64_t book_now_us = now_ms * 1000;

key_record key(const std::string& id, std::uint64_t version = 1) {
  key_record made;
  made.id = id;
  made.version = version;
  made.account = "acme";
  made.plan = "pro";
  made.hash = key_hasher{"s"}(id);
  made.created_ms = now_ms;
  return made;
}

key_record revoked(key_record record, std::uint64_t version, std::int64_t at_ms = now_ms) {
  record.version = version;
  record.revoked_ms = at_ms;
  return record;
}

plan_record stored(const std::string& name, std::uint64_t version, const std::string& limits = "[]",
                   std::int64_t deleted_ms = 0) {
  return {name, version, limits, now_ms, deleted_ms};
}

account_book book_of(account_records records = {}) {
  return {std::move(records), {{"anonymous", {}}}, fake_hash};
}

bool admits(const account_book& book, const key_record& record) {
  return book.access()->find(record.hash) != nullptr;
}

// What a node does with what a peer tells.
void tell(account_book& book, const account_records& records) {
  book.apply(book.newer(records, now_ms));
}

void exchange(account_book& from, account_book& to) {
  for (const auto& portion : from.lacking(to.digest()))
    tell(to, portion);
}

} // namespace

TEST_CASE("a book holds what was saved, and versions go on from there", "[accounts]") {
  auto gone = revoked(key("key_b"), book_now_us + 50);
  account_book book = book_of({{key("key_a"), gone}, {stored("pro", 3)}});
  CHECK(admits(book, key("key_a")));
  CHECK_FALSE(admits(book, gone));
  CHECK(book.key("key_b")->revoked_ms == now_ms);
  CHECK(book.key("key_c") == nullptr);
  CHECK(book.plans()->by_name("pro") != nullptr);
  CHECK(book.stored_plan_count() == 1);
  CHECK(book.next_version(book_now_us) == book_now_us + 51); // a clock that went back
  CHECK(book.next_version(book_now_us + 99) == book_now_us + 99);
  CHECK(book.next_version(-1) == book_now_us + 51);
}

TEST_CASE("of two records the higher version is right, in whatever order they come", "[accounts]") {
  const auto live = key("key_a", 5);
  const auto gone = revoked(live, 6);
  account_book first = book_of(), second = book_of();
  tell(first, {{live}, {}});
  const auto before = first.access();
  tell(first, {{gone}, {}});
  tell(second, {{gone}, {}});
  tell(second, {{live}, {}});
  for (const auto* book : {&first, &second}) {
    CHECK_FALSE(admits(*book, live));
    CHECK(book->key("key_a")->version == 6);
  }
  CHECK(before->find(live.hash) != nullptr); // a snapshot that is still in use stays as it is
  CHECK(first.digest() == second.digest());
  CHECK(first.newer({{live, gone}, {}}, now_ms).empty());
}

TEST_CASE("of equal versions all nodes choose the same", "[accounts]") {
  const auto a = stored("pro", 9, "[]");
  const auto b = stored("pro", 9, R"([{"name":"x","amount":1,"window":"1s"}])");
  account_book first = book_of(), second = book_of();
  tell(first, {{}, {a}});
  tell(second, {{}, {b}});
  CHECK(first.digest() != second.digest());
  exchange(first, second);
  exchange(second, first);
  CHECK(first.digest() == second.digest());
  CHECK(first.plans()->by_name("pro")->rules == second.plans()->by_name("pro")->rules);
}

TEST_CASE("damaged versions and old tombstones are not taken over", "[accounts]") {
  const account_book book = book_of();
  CHECK(book.newer({{key("key_a", 0)}, {}}, now_ms).empty());
  CHECK(book.newer({{key("key_a", ~0ull)}, {}}, now_ms).empty());
  CHECK(book.newer({{key("", 5)}, {}}, now_ms).empty());
  const auto old_ms = now_ms - tombstone_ms;
  CHECK(book.newer({{revoked(key("key_a"), 2, old_ms - 1)}, {}}, now_ms).empty());
  CHECK(book.newer({{revoked(key("key_a"), 2, old_ms)}, {}}, now_ms).size() == 1);
  CHECK(book.newer({{}, {stored("p", 2, "[]", old_ms - 1)}}, now_ms).empty());
}

TEST_CASE("a node that was away catches up with little said", "[accounts]") {
  account_records many;
  for (int i = 0; i < 5'000; ++i)
    many.keys.push_back(key("key_" + std::to_string(i)));
  std::sort(many.keys.begin(), many.keys.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  account_book here = book_of(many), away = book_of(many);
  CHECK(here.lacking(away.digest()).empty());

  here.apply({{revoked(key("key_7"), 2), key("key_new", 3)}, {stored("pro", 4)}});
  std::size_t told = 0;
  for (const auto& portion : here.lacking(away.digest()))
    told += portion.size();
  CHECK(told < 3 * 20); // three buckets of about five
  exchange(here, away);
  CHECK(away.digest() == here.digest());
  CHECK_FALSE(admits(away, key("key_7")));
  CHECK(admits(away, key("key_new")));
  CHECK(away.plans()->by_name("pro") != nullptr);

  account_book fresh = book_of();
  const auto portions = here.lacking(fresh.digest());
  CHECK(portions.size() >= 5);
  for (const auto& portion : portions)
    CHECK(portion.size() <= max_records_per_message);
  exchange(here, fresh);
  CHECK(fresh.digest() == here.digest());
  CHECK(fresh.access()->size() == here.access()->size());
  CHECK(here.lacking({}).empty()); // of another format
}

TEST_CASE("portions are bounded in bytes too, and lose nothing", "[accounts]") {
  account_records big;
  for (int i = 0; i < 100; ++i) {
    big.keys.push_back(key("key_" + std::to_string(i)));
    big.keys.back().origins.assign(32, "https://" + std::string(1'200, 'x'));
  }
  big.plans.push_back(stored("pro", 1));
  const auto portions = in_portions(big);
  CHECK(portions.size() >= 4);
  account_records all;
  for (const auto& portion : portions) {
    CHECK_FALSE(portion.empty());
    CHECK(portion.keys.size() <= 30);
    all.keys.insert(all.keys.end(), portion.keys.begin(), portion.keys.end());
    all.plans.insert(all.plans.end(), portion.plans.begin(), portion.plans.end());
  }
  CHECK(all == big);
  CHECK(in_portions({}).empty());
}

TEST_CASE("sweeping forgets old tombstones, from the digest too", "[accounts]") {
  account_book book = book_of({{key("key_a")}, {}});
  const auto before = book.digest();
  book.apply({{revoked(key("key_b"), 5, 100)}, {stored("pro", 6, "[]", 100)}});
  CHECK(book.digest() != before);
  book.sweep(100);
  CHECK(book.key("key_b") != nullptr);
  book.sweep(101);
  CHECK(book.key("key_b") == nullptr);
  CHECK(book.digest() == before);
  CHECK(admits(book, key("key_a")));
}

TEST_CASE("keys are listed by id, in pages, and counted by plan", "[accounts]") {
  account_records records;
  for (const auto* id : {"key_a", "key_b", "key_c", "key_d"})
    records.keys.push_back(key(id));
  records.keys[1].account = "other";
  records.keys[2] = revoked(records.keys[2], 2);
  records.keys[3].plan = "free";
  const account_book book = book_of(records);
  bool more = false;
  CHECK(book.keys("", "", 2, more).back().id == "key_b");
  CHECK(more);
  CHECK(book.keys("", "key_b", 2, more).size() == 2);
  CHECK_FALSE(more);
  const auto acme = book.keys("acme", "", 10, more);
  REQUIRE(acme.size() == 3);
  CHECK(acme[1].id == "key_c");
  CHECK(book.keys("nobody", "", 10, more).empty());
  CHECK(book.keys_by_plan(now_ms) == std::map<std::string, std::uint64_t>{{"pro", 2}, {"free", 1}});
}

TEST_CASE("expired keys do not count as use of a plan", "[accounts]") {
  auto record = key("key_a");
  record.expires_ms = now_ms;
  const account_book book = book_of({{record}, {}});
  CHECK(book.keys_by_plan(now_ms).empty());
  CHECK(book.keys_by_plan(now_ms - 1).size() == 1);
}
