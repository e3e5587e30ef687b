#include "storage/stores/counter_store.hpp"

#include "storage/base/files.hpp"
#include "storage/sqlite/sqlite.hpp"

#include <optional>

namespace penstock {

namespace fs = std::filesystem;

namespace {

constexpr const char* counter_schema = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS counter(
  client INTEGER NOT NULL,
  plan INTEGER NOT NULL,
  scope INTEGER NOT NULL,
  rule INTEGER NOT NULL,
  at INTEGER NOT NULL,
  used INTEGER NOT NULL,
  previous INTEGER NOT NULL,
  idle_at INTEGER NOT NULL,
  PRIMARY KEY (client, plan, scope, rule)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handed_over(shard INTEGER PRIMARY KEY);
)sql";

constexpr std::string_view select_counters =
    "SELECT client, plan, scope, rule, at, used, previous, idle_at FROM counter WHERE idle_at > ?1";

// Whoever wrote others than shards: they are passed over.
constexpr std::string_view select_handed_over =
    "SELECT shard FROM handed_over WHERE shard BETWEEN 0 AND 255";

constexpr store_kind counters_kind{
    .mark = store_mark('c', 'o'),
    .holds =
        "what clients have used of their limits, of which they then have too much until they begin "
        "anew",
    .remedy = {}};

class sqlite_counter_store final : public counter_store {
 public:
  result<void> start(const fs::path& path, const std::string& vfs, store_report* report) {
    auto started = connect(path, vfs, report);
    if (!started && started.error().code == errc::corrupt)
      return error{errc::corrupt, started.error().message + "; move " + path.string() +
                                      " (and its -wal) away to start without it: every client then "
                                      "begins with its whole limits"};
    return started;
  }

  result<void> load(std::int64_t now_ns,
                    const std::function<void(const counter_row&)>& take) override {
    auto select = db_->prepare(select_counters);
    if (!select) return select.error();
    select->bind(1, now_ns);
    for (;;) {
      auto more = select->step();
      if (!more) return more.error();
      if (!*more) return {};
      counter_row row;
      row.client = static_cast<std::uint64_t>(select->integer(0));
      row.plan = static_cast<std::uint32_t>(select->integer(1));
      row.scope = static_cast<std::uint8_t>(select->integer(2));
      row.limit = static_cast<std::uint32_t>(select->integer(3));
      row.at = select->integer(4);
      row.used = static_cast<std::uint32_t>(select->integer(5));
      row.previous = static_cast<std::uint32_t>(select->integer(6));
      row.idle_at = select->integer(7);
      take(row);
    }
  }

  result<void> save(std::span<const counter_row> rows, std::span<const shard_mark> marks) override {
    return db_->in_transaction([&]() -> result<void> {
      for (const auto& mark : marks) {
        auto& by = mark.is_handed_over ? hand_over_ : take_back_;
        by.bind(1, std::int64_t{mark.shard});
        if (auto done = by.run(); !done) return done;
      }
      for (const auto& row : rows) {
        upsert_.bind(1, row.client);
        upsert_.bind(2, std::int64_t{row.plan});
        upsert_.bind(3, std::int64_t{row.scope});
        upsert_.bind(4, std::int64_t{row.limit});
        upsert_.bind(5, row.at);
        upsert_.bind(6, std::int64_t{row.used});
        upsert_.bind(7, std::int64_t{row.previous});
        upsert_.bind(8, row.idle_at);
        if (auto done = upsert_.run(); !done) return done;
      }
      return {};
    });
  }

  result<std::vector<std::uint8_t>> handed_over() override {
    auto select = db_->prepare(select_handed_over);
    if (!select) return select.error();
    std::vector<std::uint8_t> shards;
    for (;;) {
      auto more = select->step();
      if (!more) return more.error();
      if (!*more) return shards;
      shards.push_back(static_cast<std::uint8_t>(select->integer(0)));
    }
  }

  result<std::size_t> remove_idle(std::int64_t now_ns, std::size_t max_rows) override {
    // By ranges of clients: the index is theirs, and one of times would cost every save.
    const std::int64_t from = clean_from_;
    end_of_range_.bind(1, from);
    end_of_range_.bind(2, static_cast<std::int64_t>(max_rows));
    auto more = end_of_range_.step();
    const bool at_end = more && !*more;
    const std::int64_t until = more && *more ? end_of_range_.integer(0) : INT64_MAX;
    end_of_range_.reset();
    if (!more) return more.error();
    remove_.bind(1, from);
    remove_.bind(2, until);
    remove_.bind(3, now_ns);
    if (auto done = remove_.run(); !done) return done.error();
    // `until` itself is looked at twice, so that a client with many rows ends no round.
    clean_from_ = at_end || until == INT64_MAX ? INT64_MIN : until + (until == from);
    return static_cast<std::size_t>(sqlite3_changes(db_->raw()));
  }

 private:
  result<void> connect(const fs::path& path, const std::string& vfs, store_report* report) {
    const auto make = [](sqlite_database& db) -> result<void> {
      if (auto made = db.exec(counter_schema); !made) return made;
      if (auto compiled = compile_all(db, {select_counters, select_handed_over}); !compiled)
        return compiled;
      return sqlite_counter_store{}.prepare(db);
    };
    auto db = open_store(path, counters_kind, make, report, vfs);
    if (!db) return db.error();
    db_.emplace(std::move(*db));
    if (auto prepared = prepare(*db_); !prepared) return prepared;
    return sync_directory(path.parent_path());
  }

  result<void> prepare(sqlite_database& db) {
    sqlite_preparer make{db};
    make(upsert_, "INSERT OR REPLACE INTO counter VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    make(hand_over_, "INSERT OR IGNORE INTO handed_over VALUES (?1)");
    make(take_back_, "DELETE FROM handed_over WHERE shard = ?1");
    make(end_of_range_, "SELECT client FROM counter WHERE client >= ?1 "
                        "ORDER BY client LIMIT 1 OFFSET ?2");
    make(remove_, "DELETE FROM counter WHERE client BETWEEN ?1 AND ?2 AND idle_at <= ?3");
    return make.outcome();
  }

  std::optional<sqlite_database> db_;
  sqlite_statement upsert_;
  sqlite_statement hand_over_;
  sqlite_statement take_back_;
  sqlite_statement end_of_range_;
  sqlite_statement remove_;
  std::int64_t clean_from_ = INT64_MIN;
};

} // namespace

result<std::unique_ptr<counter_store>>
counter_store::open(const fs::path& dir, const std::string& vfs, store_report* report) {
  if (auto made = make_directory(dir); !made) return made.error();
  auto store = std::make_unique<sqlite_counter_store>();
  if (auto started = store->start(dir / "counters.db", vfs, report); !started)
    return started.error();
  return std::unique_ptr<counter_store>{std::move(store)};
}

} // namespace penstock
