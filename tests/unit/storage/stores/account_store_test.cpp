#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/account_store.hpp"

#include "tests/unit/storage/support.hpp"

#include <algorithm>

using namespace penstock;
using namespace penstock::test;

namespace {

std::unique_ptr<account_store> account_store_in(const std::filesystem::path& dir) {
  auto opened = account_store::open(dir);
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

key_record some_key(const std::string& id, std::uint64_t version = 1) {
  key_record key;
  key.id = id;
  key.version = version;
  key.account = "acme";
  key.plan = "pro";
  key.hash = key_hasher{"secret"}(id);
  key.shown = "psk_live_ab";
  key.created_ms = some_time_ms;
  return key;
}

plan_record some_plan(const std::string& name, std::uint64_t version = 1) {
  return {name, version, R"([{"name":"daily"}])", some_time_ms, 0};
}

std::string scalar(const std::filesystem::path& file, const std::string& sql) {
  auto db = sqlite_database::open(file, sqlite_mode::read_only);
  require_ok(db);
  auto select = db->prepare(sql);
  require_ok(select);
  REQUIRE(*select->step());
  return std::string{select->bytes(0)};
}

} // namespace

TEST_CASE("keys and plans come back after a reopen, as they were last", "[accounts]") {
  temporary_dir dir;
  account_records all;
  all.keys = {some_key("key_a", 5), some_key("key_b", (1ull << 62) - 1)};
  all.keys[0].streams = {"errors", "a.b-c_d"};
  all.keys[0].origins = {"https://example.org", "http://localhost:8080"};
  all.keys[0].networks = {"203.0.113.0/24", "2001:db8::/32"};
  all.keys[0].expires_ms = some_time_ms + 5;
  all.keys[1].hash.fill(0xff);
  all.keys[1].hash[3] = 0;
  all.plans = {some_plan("pro"), some_plan("quiet, \"x\" ü")};
  {
    auto store = account_store_in(dir.path());
    CHECK(store->load()->empty());
    require_ok(store->save(all));
    CHECK(*store->load() == all);
    all.keys[1].revoked_ms = some_time_ms + 9;
    all.keys[1].version = 7;
    all.plans[0].limits = "[]";
    all.plans[0].deleted_ms = 4;
    require_ok(store->save({{all.keys[1]}, {all.plans[0]}}));
  }
  CHECK(*account_store_in(dir.path())->load() == all);
}

TEST_CASE("a person can read what is in force", "[accounts]") {
  temporary_dir dir;
  auto store = account_store_in(dir.path());
  auto revoked = some_key("key_b");
  revoked.revoked_ms = 1;
  require_ok(store->save({{some_key("key_a"), revoked}, {some_plan("pro")}}));
  const auto file = dir.path() / "accounts.db";
  CHECK(scalar(file,
               "SELECT group_concat(id || ' ' || account || ' ' || plan || ' ' || created || "
               "' ' || expires) FROM live_key") == "key_a acme pro 2026-09-21 14:13:20 never");
  CHECK(scalar(file, "SELECT name || limits FROM live_plan") == R"(pro[{"name":"daily"}])");
  // Nothing of a key but the hash, in hexadecimal.
  CHECK(scalar(file, "SELECT length(hash) || typeof(hash) FROM key") == "64text");
  CHECK(scalar(file, "PRAGMA journal_mode") == "wal");
}

TEST_CASE("a save is all or nothing", "[accounts]") {
  temporary_dir dir;
  auto store = account_store_in(dir.path());
  require_ok(store->save({{some_key("key_a")}, {}}));
  {
    auto db = sqlite_database::open(dir.path() / "accounts.db", sqlite_mode::read_write);
    require_ok(db);
    require_ok(db->exec("BEGIN IMMEDIATE"));
    const auto failed = store->save({{some_key("key_b")}, {}});
    REQUIRE(failed.has_error());
    CHECK(failed.error().code == errc::locked);
    require_ok(db->exec("ROLLBACK"));
    // The second statement of a save fails, and takes the first back with it.
    require_ok(db->exec("CREATE TRIGGER no BEFORE INSERT ON plan BEGIN SELECT RAISE(ABORT, 'no'); "
                        "END"));
    CHECK(store->save({{some_key("key_c")}, {some_plan("pro")}}).has_error());
    require_ok(db->exec("DROP TRIGGER no"));
  }
  CHECK(store->load()->keys.size() == 1);
  require_ok(store->save({{some_key("key_d")}, {some_plan("pro")}}));
  CHECK(store->load()->size() == 3);
}

TEST_CASE("sweeping forgets old tombstones and nothing else", "[accounts]") {
  temporary_dir dir;
  auto store = account_store_in(dir.path());
  account_records all{{some_key("live"), some_key("old"), some_key("new")},
                      {some_plan("live"), some_plan("old"), some_plan("new")}};
  all.keys[1].revoked_ms = all.plans[1].deleted_ms = 999;
  all.keys[2].revoked_ms = all.plans[2].deleted_ms = 1'000;
  require_ok(store->save(all));
  require_ok(store->sweep(1'000));
  const auto left = *store->load();
  REQUIRE(left.keys.size() == 2);
  REQUIRE(left.plans.size() == 2);
  for (const auto& key : left.keys)
    CHECK(key.id != "old");
  for (const auto& plan : left.plans)
    CHECK(plan.name != "old");
}

TEST_CASE("a file that can't be used is an error that says what to do", "[accounts]") {
  temporary_dir dir;
  const auto file = dir.path() / "accounts.db";
  std::ofstream{file} << std::string(8192, 'x');
  auto damaged = account_store::open(dir.path());
  REQUIRE(damaged.has_error());
  CHECK(damaged.error().code == errc::corrupt);
  CHECK(damaged.error().message.find(file.string()) != std::string::npos);
  CHECK(damaged.error().message.find("restore it") != std::string::npos);
  std::filesystem::remove(file);

  account_store_in(dir.path());
  {
    auto db = sqlite_database::open(file, sqlite_mode::read_write);
    require_ok(db);
    require_ok(db->exec("PRAGMA user_version = 2"));
  }
  auto newer = account_store::open(dir.path());
  REQUIRE(newer.has_error());
  CHECK(newer.error().message.find("newer penstock") != std::string::npos);

  {
    auto db = sqlite_database::open(file, sqlite_mode::read_write);
    require_ok(db);
    require_ok(db->exec("PRAGMA user_version = 1"));
    require_ok(db->exec("INSERT INTO key VALUES ('key_x',1,'a','p','12zz','','','','',0,0,0)"));
  }
  auto loaded = account_store_in(dir.path())->load();
  REQUIRE(loaded.has_error());
  CHECK(loaded.error().code == errc::corrupt);
  CHECK(loaded.error().message.find("key_x") != std::string::npos);
  CHECK(loaded.error().message.find("12zz") == std::string::npos);
}
