#include "storage/stores/account_store.hpp"

#include "storage/base/checksum.hpp"
#include "storage/base/files.hpp"
#include "storage/sqlite/sqlite.hpp"

#include <optional>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t accounts_format = 1;

// Names of streams, origins and networks hold no space, so a list of them is a text with spaces
// between. The views are for people: times as text, and only what is in force. The checksums of
// rows are in tables of their own, which earlier versions don't know: their triggers, which are in
// the file, drop a checksum when such a version, or a person, changes its row. A row without one is
// believed.
constexpr const char* account_schema = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS key(
  id TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  account TEXT NOT NULL,
  plan TEXT NOT NULL,
  hash TEXT NOT NULL,
  shown TEXT NOT NULL,
  streams TEXT NOT NULL,
  origins TEXT NOT NULL,
  networks TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  revoked_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS plan(
  name TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  limits TEXT NOT NULL,
  changed_ms INTEGER NOT NULL,
  deleted_ms INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS key_sum(id TEXT PRIMARY KEY, sum TEXT NOT NULL) WITHOUT ROWID, STRICT;
CREATE TRIGGER IF NOT EXISTS key_came AFTER INSERT ON key
  BEGIN DELETE FROM key_sum WHERE id = new.id; END;
CREATE TRIGGER IF NOT EXISTS key_changed AFTER UPDATE ON key
  BEGIN DELETE FROM key_sum WHERE id = old.id; END;
CREATE TRIGGER IF NOT EXISTS key_went AFTER DELETE ON key
  BEGIN DELETE FROM key_sum WHERE id = old.id; END;
CREATE TABLE IF NOT EXISTS plan_sum(name TEXT PRIMARY KEY, sum TEXT NOT NULL) WITHOUT ROWID, STRICT;
CREATE TRIGGER IF NOT EXISTS plan_came AFTER INSERT ON plan
  BEGIN DELETE FROM plan_sum WHERE name = new.name; END;
CREATE TRIGGER IF NOT EXISTS plan_changed AFTER UPDATE ON plan
  BEGIN DELETE FROM plan_sum WHERE name = old.name; END;
CREATE TRIGGER IF NOT EXISTS plan_went AFTER DELETE ON plan
  BEGIN DELETE FROM plan_sum WHERE name = old.name; END;
CREATE VIEW IF NOT EXISTS live_key AS
  SELECT id, account, plan, shown, streams, origins, networks,
         datetime(created_ms / 1000, 'unixepoch') AS created,
         iif(expires_ms = 0, 'never', datetime(expires_ms / 1000, 'unixepoch')) AS expires
  FROM key WHERE revoked_ms = 0;
CREATE VIEW IF NOT EXISTS live_plan AS
  SELECT name, limits, datetime(changed_ms / 1000, 'unixepoch') AS changed
  FROM plan WHERE deleted_ms = 0;
PRAGMA user_version = 1;
COMMIT;
)sql";

constexpr std::string_view accounts_remedy = "The node does not start with it, since a revocation "
                                             "may be among what is lost. In a cluster of which "
                                             "another node runs, move accounts.db, accounts.db-wal "
                                             "and accounts.db-shm away: all keys and plans come "
                                             "from the others. On a node alone, move them away and "
                                             "restore it from a backup; what was made, changed "
                                             "or revoked since must be so again. Without a backup, "
                                             "and where only the log is damaged, moving "
                                             "accounts.db-wal and accounts.db-shm away gives what "
                                             "the database has without it, which may be nothing; "
                                             "keys that were revoked lately are then valid again, "
                                             "and must be revoked ('penstock key list' shows all)";

constexpr store_kind accounts_kind{
    .mark = store_mark('a', 'c'),
    .holds =
        "keys and plans: some may be missing, have an earlier plan, or be valid although revoked",
    .remedy = accounts_remedy,
    .counted = "SELECT (SELECT count(*) FROM key WHERE revoked_ms = 0) || ' keys that are not "
               "revoked and ' || "
               "(SELECT count(*) FROM plan WHERE deleted_ms = 0) || ' plans'",
    .refuses = true,
    .format = accounts_format};

constexpr std::string_view select_keys =
    "SELECT id, version, account, plan, hash, shown, streams, origins, "
    "networks, created_ms, expires_ms, revoked_ms, sum "
    "FROM key LEFT JOIN key_sum USING (id)";
constexpr std::string_view select_plans =
    "SELECT name, version, limits, changed_ms, deleted_ms, sum "
    "FROM plan LEFT JOIN plan_sum USING (name)";
constexpr std::string_view select_lone_sums =
    "SELECT id FROM key_sum WHERE id NOT IN (SELECT id FROM key) UNION ALL "
    "SELECT name FROM plan_sum WHERE name NOT IN (SELECT name FROM plan)";

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) {
    if (!text.empty()) text += ' ';
    text += item;
  }
  return text;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) items.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return items;
}

std::string hex(const key_hash& hash) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * hash.size());
  for (const auto byte : hash) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool parse_hex(std::string_view text, key_hash& hash) {
  if (text.size() != 2 * hash.size()) return false;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    hash[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return true;
}

template <class... Parts>
std::string checksum_of_parts(const Parts&... parts) {
  std::string row;
  ((row += parts, row += '\0'), ...);
  return checksum_letters(row, row_checksum_letters);
}

std::string checksum_of(const key_record& key) {
  return checksum_of_parts(key.id, std::to_string(key.version), key.account, key.plan,
                           hex(key.hash), key.shown, joined(key.streams), joined(key.origins),
                           joined(key.networks), std::to_string(key.created_ms),
                           std::to_string(key.expires_ms), std::to_string(key.revoked_ms));
}

std::string checksum_of(const plan_record& plan) {
  return checksum_of_parts(plan.name, std::to_string(plan.version), plan.limits,
                           std::to_string(plan.changed_ms), std::to_string(plan.deleted_ms));
}

class sqlite_account_store final : public account_store {
 public:
  explicit sqlite_account_store(fs::path path) : path_(std::move(path)) {}

  result<void> start(const std::string& vfs, store_report* report) { return connect(vfs, report); }

  result<account_records> load() override {
    account_records all;
    auto done = load_keys(all.keys);
    if (done) done = load_plans(all.plans);
    if (done) done = check_sums();
    if (!done && done.error().code == errc::corrupt)
      return error{errc::corrupt, done.error().message + ". " + std::string{accounts_remedy}};
    if (!done) return done.error();
    return all;
  }

  result<void> save(const account_records& changed) override {
    return db_->in_transaction([&]() -> result<void> {
      for (const auto& record : changed.keys)
        if (auto done = put(record); !done) return done;
      for (const auto& record : changed.plans)
        if (auto done = put(record); !done) return done;
      return {};
    });
  }

  result<void> sweep(std::int64_t before_ms) override {
    return db_->in_transaction([&]() -> result<void> {
      for (auto* statement : {&sweep_keys_, &sweep_plans_}) {
        statement->bind(1, before_ms);
        if (auto done = statement->run(); !done) return done;
      }
      return {};
    });
  }

 private:
  result<void> connect(const std::string& vfs, store_report* report) {
    const auto make = [this](sqlite_database& db) -> result<void> {
      if (auto made = db.exec(account_schema); !made) return made;
      if (auto compiled = compile_all(db, {select_keys, select_plans, select_lone_sums}); !compiled)
        return compiled;
      return sqlite_account_store{path_}.prepare(db);
    };
    auto db = open_store(path_, accounts_kind, make, report, vfs);
    if (!db) return db.error();
    db_.emplace(std::move(*db));
    if (auto prepared = prepare(*db_); !prepared) return prepared;
    return sync_directory(path_.parent_path());
  }

  result<void> prepare(sqlite_database& db) {
    sqlite_preparer make{db};
    make(put_key_, "INSERT OR REPLACE INTO key VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)");
    make(put_plan_, "INSERT OR REPLACE INTO plan VALUES (?1,?2,?3,?4,?5)");
    make(put_key_sum_, "INSERT OR REPLACE INTO key_sum VALUES (?1,?2)");
    make(put_plan_sum_, "INSERT OR REPLACE INTO plan_sum VALUES (?1,?2)");
    make(sweep_keys_, "DELETE FROM key WHERE revoked_ms > 0 AND revoked_ms < ?1");
    make(sweep_plans_, "DELETE FROM plan WHERE deleted_ms > 0 AND deleted_ms < ?1");
    return make.outcome();
  }

  result<void> load_keys(std::vector<key_record>& keys) {
    auto select = db_->prepare(select_keys);
    if (!select) return select.error();
    for (;;) {
      auto row = select->step();
      if (!row) return row.error();
      if (!*row) return {};
      key_record key;
      key.id = select->bytes(0);
      key.version = static_cast<std::uint64_t>(select->integer(1));
      key.account = select->bytes(2);
      key.plan = select->bytes(3);
      if (!parse_hex(select->bytes(4), key.hash))
        return damaged("the hash of the key " + readable_name(key.id));
      key.shown = select->bytes(5);
      key.streams = split(select->bytes(6));
      key.origins = split(select->bytes(7));
      key.networks = split(select->bytes(8));
      key.created_ms = select->integer(9);
      key.expires_ms = select->integer(10);
      key.revoked_ms = select->integer(11);
      if (!select->is_null(12) && select->bytes(12) != checksum_of(key))
        return damaged("what is stored of the key " + readable_name(key.id));
      keys.push_back(std::move(key));
    }
  }

  result<void> load_plans(std::vector<plan_record>& plans) {
    auto select = db_->prepare(select_plans);
    if (!select) return select.error();
    for (;;) {
      auto row = select->step();
      if (!row) return row.error();
      if (!*row) return {};
      plan_record plan;
      plan.name = select->bytes(0);
      plan.version = static_cast<std::uint64_t>(select->integer(1));
      plan.limits = select->bytes(2);
      plan.changed_ms = select->integer(3);
      plan.deleted_ms = select->integer(4);
      if (!select->is_null(5) && select->bytes(5) != checksum_of(plan))
        return damaged("what is stored of the plan " + readable_name(plan.name));
      plans.push_back(std::move(plan));
    }
  }

  error damaged(const std::string& what) const {
    return {errc::corrupt, path_.string() + ": " + what + " is damaged"};
  }

  /// A checksum without its row is one whose row is damaged where its name stands, or gone.
  result<void> check_sums() {
    auto select = db_->prepare(select_lone_sums);
    if (!select) return select.error();
    auto row = select->step();
    if (!row) return row.error();
    if (*row) return damaged("the row of the key or plan " + readable_name(select->bytes(0)));
    return {};
  }

  /// Behind the row itself, whose triggers drop what was there.
  result<void> put_checksum(sqlite_statement& put_sum, const std::string& name,
                            const std::string& sum) {
    put_sum.bind_text(1, name);
    put_sum.bind_text(2, sum);
    return put_sum.run();
  }

  result<void> put(const key_record& key) {
    const auto hash = hex(key.hash);
    const auto streams = joined(key.streams);
    const auto origins = joined(key.origins);
    const auto networks = joined(key.networks);
    put_key_.bind_text(1, key.id);
    put_key_.bind(2, key.version);
    put_key_.bind_text(3, key.account);
    put_key_.bind_text(4, key.plan);
    put_key_.bind_text(5, hash);
    put_key_.bind_text(6, key.shown);
    put_key_.bind_text(7, streams);
    put_key_.bind_text(8, origins);
    put_key_.bind_text(9, networks);
    put_key_.bind(10, key.created_ms);
    put_key_.bind(11, key.expires_ms);
    put_key_.bind(12, key.revoked_ms);
    if (auto done = put_key_.run(); !done) return done;
    return put_checksum(put_key_sum_, key.id, checksum_of(key));
  }

  result<void> put(const plan_record& plan) {
    put_plan_.bind_text(1, plan.name);
    put_plan_.bind(2, plan.version);
    put_plan_.bind_text(3, plan.limits);
    put_plan_.bind(4, plan.changed_ms);
    put_plan_.bind(5, plan.deleted_ms);
    if (auto done = put_plan_.run(); !done) return done;
    return put_checksum(put_plan_sum_, plan.name, checksum_of(plan));
  }

  fs::path path_;
  std::optional<sqlite_database> db_;
  sqlite_statement put_key_, put_plan_, put_key_sum_, put_plan_sum_, sweep_keys_, sweep_plans_;
};

} // namespace

result<std::unique_ptr<account_store>>
account_store::open(const fs::path& dir, const std::string& vfs, store_report* report) {
  if (auto made = make_directory(dir); !made) return made.error();
  auto store = std::make_unique<sqlite_account_store>(dir / "accounts.db");
  if (auto started = store->start(vfs, report); !started) return started.error();
  return std::unique_ptr<account_store>{std::move(store)};
}

} // namespace penstock
