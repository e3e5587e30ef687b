// Rows of stores that SQLite takes for good, and that are not what was written.
#include "tests/unit/storage/stores/store_damage_support.hpp"

#include "storage/base/checksum.hpp"

using namespace penstock;
using namespace penstock::test;

namespace {

/// Does to a row what a flipped bit does: without the triggers.
void alter(const fs::path& file, const std::string& sql) {
  auto db = sqlite_database::open(file, sqlite_mode::read_write);
  require_ok(db);
  sqlite3_db_config(db->raw(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  require_ok(db->exec(sql.c_str()));
}

/// As a person does, or a version that knows no checksums.
void change(const fs::path& file, const std::string& sql) {
  auto db = sqlite_database::open(file, sqlite_mode::read_write);
  require_ok(db);
  require_ok(db->exec(sql.c_str()));
}

std::vector<cursor> cursors_in(const fs::path& dir, std::vector<std::string>& damaged) {
  auto store = cursor_store::open(dir, 0);
  require_ok(store);
  auto loaded = (*store)->load(&damaged);
  require_ok(loaded);
  return *loaded;
}

void make_cursor(const fs::path& dir) {
  auto store = cursor_store::open(dir, 0);
  require_ok(store);
  require_ok((*store)->save({{"errors", "bus#3", 100, {{105, 107}, {110, 110}}}}));
}

} // namespace

TEST_CASE("checksums have no digits, and names from damaged rows no control bytes", "[stores]") {
  CHECK(checksum_letters("abc", 4) == "lkhi"); // SHA-256 begins with ba78
  CHECK(checksum_letters("abc", 100).size() == 64);
  CHECK(checksum_letters("abc", 64).find_first_not_of("abcdefghijklmnop") == std::string::npos);
  CHECK(readable_name("a\nb\x80") == "a?b?");
  CHECK(readable_name(std::string(1000, 'x')).size() == 128);
}

TEST_CASE("a cursor that was altered is not believed, and told once", "[stores]") {
  const std::string what =
      GENERATE("seq = 4611686018427388004", "seq = 101", "seq = -5", "acked_ahead = ''",
               "acked_ahead = replace(acked_ahead, '107', '907')",
               "acked_ahead = replace(acked_ahead, ']]', ']}')", "acked_ahead = acked_ahead || 'a'",
               "stream = 'errorr'", "sink = 'bus#2'");
  CAPTURE(what);
  temporary_dir dir;
  make_cursor(dir.path());
  alter(dir.path() / "cursors.db", "UPDATE cursor SET " + what);
  std::vector<std::string> damaged;
  const auto loaded = cursors_in(dir.path(), damaged);
  REQUIRE(loaded.size() == 1);
  REQUIRE(damaged.size() == 1);
  CHECK(damaged[0].find(loaded[0].stream) != std::string::npos);
  CHECK(damaged[0].find(loaded[0].sink) != std::string::npos);
  CHECK(loaded[0].acked_ahead.empty());
  if (what != "acked_ahead = ''") CHECK(loaded[0].seq == 0);
  std::vector<std::string> later;
  CHECK(cursors_in(dir.path(), later).size() == 1);
  CHECK(later.empty());
}

TEST_CASE("a cursor that an earlier version wrote is believed, and the other way round",
          "[stores]") {
  temporary_dir dir;
  make_cursor(dir.path());
  const auto file = dir.path() / "cursors.db";
  {
    // What follows the ranges has no digits, which is all that an earlier version reads.
    auto db = sqlite_database::open(file, sqlite_mode::read_only);
    auto select = db->prepare("SELECT acked_ahead FROM cursor");
    REQUIRE(*select->step());
    const std::string text{select->bytes(0)};
    CHECK(text.starts_with("[[105,107],[110,110]]"));
    CHECK(text.size() == 21 + row_checksum_letters);
    CHECK(text.find_first_of("0123456789", 21) == std::string::npos);
  }
  change(file, "INSERT OR REPLACE INTO cursor VALUES ('errors', 'bus#3', 200, '[[205,205]]')");
  std::vector<std::string> damaged;
  const auto loaded = cursors_in(dir.path(), damaged);
  CHECK(damaged.empty());
  CHECK(loaded.at(0).seq == 200);
  CHECK(loaded.at(0).acked_ahead.size() == 1);
}

TEST_CASE("what was acknowledged ahead and can't be read is told", "[stores]") {
  const std::string text =
      GENERATE("[[205,204]]", "[[205]]", "205,206", "[[205,206],]", "[[99999999999999999999,5]]");
  temporary_dir dir;
  make_cursor(dir.path());
  change(dir.path() / "cursors.db", "UPDATE cursor SET seq = 200, acked_ahead = '" + text + "'");
  std::vector<std::string> damaged;
  const auto loaded = cursors_in(dir.path(), damaged);
  CHECK(damaged.size() == 1);
  CHECK(loaded.at(0).seq <= 200);
}

TEST_CASE("a key or a plan that was altered stops the start", "[stores]") {
  const std::string sql = GENERATE(
      "UPDATE key SET revoked_ms = 0", "UPDATE key SET plan = 'prp'", "UPDATE key SET streams = ''",
      "UPDATE key SET hash = replace(hash, 'a', 'b')", "UPDATE key SET version = version + 8",
      "UPDATE key SET expires_ms = 9", "UPDATE key SET id = 'key_b'", "DELETE FROM key",
      "UPDATE plan SET limits = '[]'", "UPDATE plan SET deleted_ms = 5",
      "UPDATE plan SET name = 'prp'", "UPDATE key_sum SET id = 'key_b'");
  CAPTURE(sql);
  temporary_dir dir;
  {
    auto store = account_store::open(dir.path());
    require_ok(store);
    auto key = numbered_key(1);
    key.revoked_ms = some_time_ms;
    require_ok((*store)->save({{key}, {{"pro", 1, R"([{"name":"daily"}])", some_time_ms, 0}}}));
    CHECK((*store)->load()->size() == 2);
  }
  alter(dir.path() / "accounts.db", sql);
  auto store = account_store::open(dir.path());
  require_ok(store);
  const auto loaded = (*store)->load();
  REQUIRE(loaded.has_error());
  CHECK(loaded.error().code == errc::corrupt);
  CHECK(loaded.error().message.find("accounts.db") != std::string::npos);
  CHECK(loaded.error().message.find("backup") != std::string::npos);
}

TEST_CASE("keys and plans that an earlier version changed are believed", "[stores]") {
  temporary_dir dir;
  {
    auto store = account_store::open(dir.path());
    require_ok(store);
    require_ok(
        (*store)->save({{numbered_key(1), numbered_key(2), numbered_key(3)},
                        {{"pro", 1, "[]", some_time_ms, 0}, {"small", 1, "[]", some_time_ms, 0}}}));
  }
  // Its statements, as they are.
  const auto file = dir.path() / "accounts.db";
  change(file,
         "INSERT OR REPLACE INTO key SELECT id, 9, account, plan, hash, shown, streams, origins, "
         "networks, created_ms, expires_ms, 77 FROM key WHERE id = 'key_1'");
  change(file, "INSERT OR REPLACE INTO plan VALUES ('pro', 9, '[{}]', 5, 0)");
  change(file, "DELETE FROM key WHERE id = 'key_3'");
  change(file, "DELETE FROM plan WHERE name = 'small'");
  auto store = account_store::open(dir.path());
  require_ok(store);
  const auto loaded = (*store)->load();
  require_ok(loaded);
  REQUIRE(loaded->keys.size() == 2);
  CHECK(loaded->keys[0].revoked_ms == 77);
  CHECK(loaded->plans.size() == 1);
}

TEST_CASE("a dead letter that was altered is not sent again", "[stores]") {
  const std::string what = GENERATE("body = CAST('y' || substr(body, 2) AS BLOB)", "seq = seq + 64",
                                    "stream = 'defaulu'", "content_type = 'text/plaim'",
                                    "client = 1", "attributes = '{}'", "time_ms = 4");
  CAPTURE(what);
  temporary_dir dir;
  {
    auto store = dead_letter_store::open(dir.path());
    require_ok(store);
    require_ok((*store)->add({numbered_letter(0), numbered_letter(1), numbered_letter(2)}));
  }
  alter(dir.path() / "dead-letters.db", "UPDATE letter SET " + what + " WHERE number = 2");
  auto store = dead_letter_store::open(dir.path());
  require_ok(store);
  const auto job = (*store)->begin_retry({}, {});
  require_ok(job);
  CHECK(job->total == 3);
  std::size_t damaged = 0;
  std::vector<std::uint64_t> sent;
  for (;;) {
    auto chunk = (*store)->next_chunk(job->number, 10, 1 << 20);
    require_ok(chunk);
    damaged += chunk->damaged.size();
    if (chunk->letters.empty()) break;
    retry_outcome outcome;
    for (const auto& kept : chunk->letters) {
      sent.push_back(kept.number);
      outcome.delivered.push_back(kept.number);
    }
    require_ok((*store)->settle(outcome, *job));
  }
  CHECK(damaged == 1);
  CHECK(sent == std::vector<std::uint64_t>{1, 3});
  const auto left = (*store)->list({}, 0, 10, true);
  REQUIRE(left->size() == 1);
  CHECK(left->at(0).is_damaged);
  CHECK(left->at(0).letter.reason == damaged_letter_reason);
}

TEST_CASE("dead letters that an earlier version wrote or changed are believed", "[stores]") {
  temporary_dir dir;
  {
    auto store = dead_letter_store::open(dir.path());
    require_ok(store);
    require_ok((*store)->add({numbered_letter(0), numbered_letter(1)}));
  }
  change(dir.path() / "dead-letters.db",
         "UPDATE letter SET body = x'00', reason = 'no' WHERE number = 1");
  change(dir.path() / "dead-letters.db", "UPDATE letter SET reason = 'never' WHERE number = 2");
  auto store = dead_letter_store::open(dir.path());
  require_ok(store);
  const auto left = (*store)->list({}, 0, 10, true);
  REQUIRE(left->size() == 2);
  CHECK(!left->at(0).is_damaged);
  CHECK(!left->at(1).is_damaged);
  CHECK(left->at(1).letter.reason == "never");
}
