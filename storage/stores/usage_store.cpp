#include "storage/stores/usage_store.hpp"

#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage_schema.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace penstock {

namespace {

constexpr std::int64_t no_time = std::numeric_limits<std::int64_t>::max();

/// The log is cut back to this after a long report held it up.
constexpr const char* writer_pragmas = R"sql(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -8192;
PRAGMA journal_size_limit = 33554432;
)sql";

constexpr std::string_view select_usage_sizes = "SELECT period, rows FROM size";

constexpr store_kind usage_kind{
    .mark = store_mark('u', 's'),
    .holds = "usage; 'penstock usage rebuild' counts again what the journal still has",
    .remedy = {},
    .is_synced = false};

constexpr store_kind usage_copy_kind{
    .mark = store_mark('u', 'c'),
    .holds = "the usage of another node; where that node runs, it is copied again",
    .remedy = {},
    .is_synced = false};

struct sum_row {
  std::uint8_t dimension = 0;
  std::int64_t start_s = 0;
  std::int64_t name = 0;
  usage_counts counts;

  auto key() const { return std::tie(dimension, start_s, name); }
};

/// In the order of the tables' keys, each key once.
void merge(std::vector<sum_row>& rows) {
  std::sort(rows.begin(), rows.end(),
            [](const sum_row& a, const sum_row& b) { return a.key() < b.key(); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (kept > 0 && rows[kept - 1].key() == rows[i].key())
      rows[kept - 1].counts += rows[i].counts;
    else
      rows[kept++] = rows[i];
  }
  rows.resize(kept);
}

/// Of what goes to copies, and into them.
struct copy_statements {
  sqlite_statement one, after, raise;
};

struct period_statements {
  sqlite_statement update, insert, oldest, boundary, remove, remove_to;
};

class sqlite_usage_store final : public usage_store {
 public:
  /// Statements only; without start() they come to nothing.
  result<void> prepare(sqlite_database& db);
  result<void> start(sqlite_database db);
  result<void> write(std::span<const usage_batch_ptr> batches,
                     std::vector<usage_key>& changed) override;
  usage_about about() const override { return about_; }
  result<void> describe(const usage_about& about) override;
  result<std::vector<usage_state>> states(std::span<const usage_key> keys) override;
  result<std::vector<usage_state>> states_after(usage_key& last, std::size_t max) override;
  result<bool> raise(std::span<const usage_state> rows, const usage_about& about) override;
  std::uint64_t names() const override { return names_; }
  /// Of a copy that was made now.
  result<void> adopt(const std::string& origin);
  result<bool> trim(const usage_retention& keep, std::int64_t now_ms,
                    std::size_t max_rows) override;
  std::uint64_t rows() const override {
    std::uint64_t sum = 0;
    for (const auto one : rows_)
      sum += one;
    return sum;
  }

 private:
  template <class Work>
  auto in_transaction(Work&& work) -> decltype(work());

  result<void> add_all(std::span<const usage_batch_ptr> batches, std::vector<usage_key>& changed);
  result<bool> raise_row(const usage_state& row);
  result<void> save_about(const usage_about& about);
  result<void> read_about();
  result<std::string> text_of(std::int64_t name);
  result<std::int64_t> name_id(const std::string& text);
  result<void> add(usage_period period, const sum_row& row);
  result<void> save_sizes(const std::array<std::uint64_t, usage_periods>& before);
  result<std::int64_t> oldest(usage_period period, std::size_t dimension);
  result<std::size_t> remove_before(usage_period period, std::size_t dimension,
                                    std::int64_t before_s, std::size_t most);
  result<void> remove_expired(const usage_retention& keep, std::int64_t now_s, std::size_t& left);
  result<void> remove_beyond(std::uint64_t cap, std::size_t& left);
  result<void> remove_names(std::int64_t now_s, std::size_t& left);

  std::optional<sqlite_database> db_; // before the statements
  std::array<period_statements, usage_periods> of_;
  std::array<copy_statements, usage_periods> copy_of_;
  sqlite_statement text_of_name_, read_about_, save_about_;
  sqlite_statement find_name_, insert_name_, touch_name_, last_name_, remove_names_, save_size_;
  boost::unordered_flat_map<std::string, std::int64_t> name_ids_;
  std::array<std::uint64_t, usage_periods> rows_{};
  usage_about about_;
  std::uint64_t names_ = 0;
  std::int64_t swept_names_to_ = 0; // ids up to here were looked at since months last went
};

result<void> make_usage_tables(sqlite_database& db) {
  if (auto done = db.exec(writer_pragmas); !done) return done;
  if (auto done = db.exec(usage_schema); !done) return done;
  if (auto compiled = compile_all(db, {select_usage_sizes}); !compiled) return compiled;
  return sqlite_usage_store{}.prepare(db);
}

result<void> sqlite_usage_store::prepare(sqlite_database& db) {
  sqlite_preparer make{db};
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const std::string table{name_of(static_cast<usage_period>(p))};
    auto& of = of_[p];
    make(of.update,
         "UPDATE " + table +
             " SET requests = requests + ?4, events = events + ?5, bytes = bytes + ?6,"
             " refused = refused + ?7 WHERE dimension = ?1 AND start = ?2 AND name = ?3");
    make(of.insert, "INSERT INTO " + table + " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    make(of.oldest, "SELECT start FROM " + table + " WHERE dimension = ?1 ORDER BY start LIMIT 1");
    make(of.boundary, "SELECT start, name FROM " + table +
                          " WHERE dimension = ?1 AND start < ?2 ORDER BY start, name"
                          " LIMIT 1 OFFSET ?3");
    auto& copy = copy_of_[p];
    make(copy.one, "SELECT requests, events, bytes, refused FROM " + table +
                       " WHERE dimension = ?1 AND start = ?2 AND name = ?3");
    make(copy.after, "SELECT dimension, start, name, requests, events, bytes, refused FROM " +
                         table +
                         " WHERE (dimension, start, name) > (?1, ?2, ?3)"
                         " ORDER BY dimension, start, name LIMIT ?4");
    make(copy.raise, "UPDATE " + table +
                         " SET requests = max(requests, ?4), events = max(events, ?5),"
                         " bytes = max(bytes, ?6), refused = max(refused, ?7)"
                         " WHERE dimension = ?1 AND start = ?2 AND name = ?3"
                         " AND (requests < ?4 OR events < ?5 OR bytes < ?6 OR refused < ?7)");
    make(of.remove, "DELETE FROM " + table + " WHERE dimension = ?1 AND start < ?2");
    make(of.remove_to,
         "DELETE FROM " + table + " WHERE dimension = ?1 AND (start, name) <= (?2, ?3)");
  }
  make(text_of_name_, "SELECT text FROM name WHERE id = ?1");
  make(read_about_, "SELECT item, value FROM about");
  make(save_about_, "INSERT OR REPLACE INTO about VALUES (?1, ?2)");
  make(find_name_, "SELECT id FROM name WHERE text = ?1");
  make(insert_name_, "INSERT INTO name(text) VALUES (?1)");
  make(touch_name_, "UPDATE name SET last_month = max(last_month, ?2) WHERE id = ?1");
  make(last_name_, "SELECT max(id) FROM name");
  make(remove_names_, "DELETE FROM name WHERE id > ?1 AND id <= ?2 AND last_month < ?3");
  make(save_size_, "UPDATE size SET rows = ?2 WHERE period = ?1");
  return make.outcome();
}

result<void> sqlite_usage_store::start(sqlite_database db) {
  db_.emplace(std::move(db));
  if (auto prepared = prepare(*db_); !prepared) return prepared;
  auto sizes = db_->prepare(select_usage_sizes);
  if (!sizes) return sizes.error();
  for (;;) {
    const auto row = sizes->step();
    if (!row) return row.error();
    if (!*row) return read_about();
    const auto period = static_cast<std::size_t>(sizes->integer(0));
    if (period < usage_periods) rows_[period] = static_cast<std::uint64_t>(sizes->integer(1));
  }
}

// Runs `work` and commits; on an error nothing of it is left, on disk or here.
template <class Work>
auto sqlite_usage_store::in_transaction(Work&& work) -> decltype(work()) {
  const auto rows_before = rows_;
  auto outcome = db_->in_transaction([&] {
    auto done = work();
    if (done)
      if (const auto saved = save_sizes(rows_before); !saved) done = saved.error();
    return done;
  });
  if (outcome) return outcome;
  rows_ = rows_before;
  name_ids_.clear();
  return outcome;
}

// -- writing --------------------------------------------------------------------------------------

result<void> sqlite_usage_store::write(std::span<const usage_batch_ptr> batches,
                                       std::vector<usage_key>& changed) {
  return in_transaction([&] { return add_all(batches, changed); });
}

result<void> sqlite_usage_store::add_all(std::span<const usage_batch_ptr> batches,
                                         std::vector<usage_key>& changed) {
  std::vector<sum_row> rows;
  for (const auto& batch : batches) {
    const auto minute = bucket_start_s(usage_period::minute, batch->time_ms / 1000);
    for (std::size_t d = 0; d < usage_dimensions; ++d)
      for (const auto& entry : batch->entries[d]) {
        const auto name = name_id(entry.id);
        if (!name) return name.error();
        rows.push_back({static_cast<std::uint8_t>(d), minute, *name, entry.counts});
      }
  }
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    for (auto& row : rows)
      row.start_s = bucket_start_s(period, row.start_s);
    merge(rows);
    for (const auto& row : rows) {
      if (auto done = add(period, row); !done) return done;
      changed.push_back(
          {period, static_cast<usage_dimension>(row.dimension), row.start_s, row.name});
    }
  }
  return {};
}

result<std::int64_t> sqlite_usage_store::name_id(const std::string& text) {
  if (const auto known = name_ids_.find(text); known != name_ids_.end()) return known->second;
  find_name_.bind_text(1, text);
  const auto found = find_name_.step();
  auto id = found && *found ? find_name_.integer(0) : 0;
  find_name_.reset();
  if (!found) return found.error();
  if (!*found) {
    insert_name_.bind_text(1, text);
    if (auto done = insert_name_.run(); !done) return done.error();
    id = sqlite3_last_insert_rowid(db_->raw());
    names_ = std::max(names_, static_cast<std::uint64_t>(id));
  }
  if (name_ids_.size() >= max_cached_usage_names) name_ids_.clear();
  name_ids_.emplace(text, id);
  return id;
}

result<void> sqlite_usage_store::add(usage_period period, const sum_row& row) {
  auto& of = of_[static_cast<std::size_t>(period)];
  const auto run = [&](sqlite_statement& statement) {
    statement.bind(1, std::int64_t{row.dimension});
    statement.bind(2, row.start_s);
    statement.bind(3, row.name);
    statement.bind(4, row.counts.requests);
    statement.bind(5, row.counts.events);
    statement.bind(6, row.counts.bytes);
    statement.bind(7, row.counts.refused);
    return statement.run();
  };
  if (auto done = run(of.update); !done) return done;
  if (sqlite3_changes(db_->raw()) > 0) return {};
  if (auto done = run(of.insert); !done) return done;
  ++rows_[static_cast<std::size_t>(period)];
  if (period != usage_period::month) return {};
  touch_name_.bind(1, row.name);
  touch_name_.bind(2, row.start_s);
  return touch_name_.run();
}

result<void>
sqlite_usage_store::save_sizes(const std::array<std::uint64_t, usage_periods>& before) {
  for (std::size_t p = 0; p < usage_periods; ++p) {
    if (rows_[p] == before[p]) continue;
    save_size_.bind(1, static_cast<std::int64_t>(p));
    save_size_.bind(2, rows_[p]);
    if (auto done = save_size_.run(); !done) return done;
  }
  return {};
}

// -- copies ---------------------------------------------------------------------------------------

result<void> sqlite_usage_store::read_about() {
  about_ = {};
  for (;;) {
    const auto row = read_about_.step();
    if (!row || !*row) {
      read_about_.reset();
      if (!row) return row.error();
      break;
    }
    const std::string item{read_about_.bytes(0)}, value{read_about_.bytes(1)};
    if (item == "origin") about_.origin = value;
    if (item == "node") about_.node = value;
    if (item == "address") about_.address = value;
    if (item == "given_by") about_.given_by = value;
    if (item == "known_ms")
      std::from_chars(value.data(), value.data() + value.size(), about_.known_ms);
  }
  const auto last = last_name_.step();
  names_ = last && *last ? static_cast<std::uint64_t>(last_name_.integer(0)) : 0;
  last_name_.reset();
  if (!last) return last.error();
  return {};
}

result<void> sqlite_usage_store::save_about(const usage_about& about) {
  const std::array<std::pair<std::string_view, std::string>, 4> items{
      {{"node", about.node},
       {"address", about.address},
       {"given_by", about.given_by},
       {"known_ms", std::to_string(about.known_ms)}}};
  for (const auto& [item, value] : items) {
    save_about_.bind_text(1, item);
    save_about_.bind_text(2, value);
    if (auto done = save_about_.run(); !done) return done;
  }
  return {};
}

result<void> sqlite_usage_store::describe(const usage_about& about) {
  auto wanted = about;
  wanted.origin = about_.origin;
  if (wanted == about_) return {};
  auto done = in_transaction([&] { return save_about(wanted); });
  if (done) about_ = std::move(wanted);
  return done;
}

result<void> sqlite_usage_store::adopt(const std::string& origin) {
  if (about_.origin == origin) return {};
  save_about_.bind_text(1, "origin");
  save_about_.bind_text(2, origin);
  auto done = save_about_.run();
  if (done) about_.origin = origin;
  return done;
}

result<std::string> sqlite_usage_store::text_of(std::int64_t name) {
  return text_of_name(text_of_name_, name);
}

result<std::vector<usage_state>> sqlite_usage_store::states(std::span<const usage_key> keys) {
  std::vector<usage_state> out;
  for (const auto& key : keys) {
    auto& one = copy_of_[static_cast<std::size_t>(key.period)].one;
    one.bind(1, static_cast<std::int64_t>(key.by));
    one.bind(2, key.start_s);
    one.bind(3, key.name);
    const auto found = one.step();
    const auto counts = found && *found ? counts_at(one, 0) : usage_counts{};
    one.reset();
    if (!found) return found.error();
    if (!*found) continue;
    auto id = text_of(key.name);
    if (!id) return id.error();
    if (!id->empty()) out.push_back({key.period, key.by, key.start_s, std::move(*id), counts});
  }
  return out;
}

result<std::vector<usage_state>> sqlite_usage_store::states_after(usage_key& last,
                                                                  std::size_t max) {
  std::vector<usage_state> out;
  for (auto p = static_cast<std::size_t>(last.period); p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    if (period != last.period) last = {.period = period};
    auto& after = copy_of_[p].after;
    after.bind(1, static_cast<std::int64_t>(last.by));
    after.bind(2, last.start_s);
    after.bind(3, last.name);
    after.bind(4, static_cast<std::int64_t>(max - out.size()));
    auto more = after.step();
    for (; more && *more; more = after.step()) {
      last = {period, static_cast<usage_dimension>(after.integer(0)), after.integer(1),
              after.integer(2)};
      auto id = text_of(last.name);
      if (!id) {
        after.reset();
        return id.error();
      }
      out.push_back({period, last.by, last.start_s, std::move(*id), counts_at(after, 3)});
    }
    after.reset();
    if (!more) return more.error();
    if (out.size() >= max) break;
  }
  return out;
}

result<bool> sqlite_usage_store::raise(std::span<const usage_state> rows,
                                       const usage_about& about) {
  auto known = about_;
  known.node = about.node;
  known.address = about.address;
  if (about.known_ms > known.known_ms || known.given_by.empty()) known.given_by = about.given_by;
  known.known_ms = std::max(known.known_ms, about.known_ms);
  auto done = in_transaction([&]() -> result<bool> {
    bool is_news = false;
    for (const auto& row : rows) {
      const result<bool> raised = raise_row(row);
      if (!raised) return raised;
      is_news |= *raised;
    }
    if (known != about_)
      if (auto saved = save_about(known); !saved) return saved.error();
    return is_news;
  });
  if (done) about_ = std::move(known);
  return done;
}

// True: it says more than what is here.
result<bool> sqlite_usage_store::raise_row(const usage_state& row) {
  if (row.id.empty()) return false; // its store had lost the name
  const auto name = name_id(row.id);
  if (!name) return name.error();
  auto& raise = copy_of_[static_cast<std::size_t>(row.period)].raise;
  raise.bind(1, static_cast<std::int64_t>(row.by));
  raise.bind(2, row.start_s);
  raise.bind(3, *name);
  raise.bind(4, row.counts.requests);
  raise.bind(5, row.counts.events);
  raise.bind(6, row.counts.bytes);
  raise.bind(7, row.counts.refused);
  if (auto done = raise.run(); !done) return done.error();
  if (sqlite3_changes(db_->raw()) == 0) {
    auto& one = copy_of_[static_cast<std::size_t>(row.period)].one;
    one.bind(1, static_cast<std::int64_t>(row.by));
    one.bind(2, row.start_s);
    one.bind(3, *name);
    const auto found = one.step();
    const bool is_there = found && *found;
    one.reset();
    if (!found) return found.error();
    if (is_there) return false;
    const sum_row fresh{static_cast<std::uint8_t>(row.by), row.start_s, *name, row.counts};
    if (auto done = add(row.period, fresh); !done) return done.error();
  }
  // The row of the month may come much later; the name is needed until then, too.
  touch_name_.bind(1, *name);
  touch_name_.bind(2, bucket_start_s(usage_period::month, row.start_s));
  if (auto done = touch_name_.run(); !done) return done.error();
  return true;
}

// -- forgetting -----------------------------------------------------------------------------------

// `left` is what may still be deleted in this transaction.
result<bool> sqlite_usage_store::trim(const usage_retention& keep, std::int64_t now_ms,
                                      std::size_t max_rows) {
  const auto now_s = now_ms / 1000;
  return in_transaction([&]() -> result<bool> {
    auto left = max_rows;
    if (auto done = remove_expired(keep, now_s, left); !done) return done.error();
    if (auto done = remove_beyond(keep.max_rows, left); !done) return done.error();
    if (auto done = remove_names(now_s, left); !done) return done.error();
    return left == 0;
  });
}

result<void> sqlite_usage_store::remove_expired(const usage_retention& keep, std::int64_t now_s,
                                                std::size_t& left) {
  for (std::size_t p = 0; p < usage_periods; ++p) {
    if (keep.keep_ms[p].count() == 0) continue;
    const auto period = static_cast<usage_period>(p);
    const auto before = bucket_start_s(period, now_s - keep.keep_ms[p].count() / 1000);
    for (std::size_t d = 0; d < usage_dimensions && left > 0; ++d) {
      const auto removed = remove_before(period, d, before, left);
      if (!removed) return removed.error();
      left -= *removed;
    }
  }
  return {};
}

// The oldest bucket of the finest period that has any, and so on until what remains fits.
result<void> sqlite_usage_store::remove_beyond(std::uint64_t cap, std::size_t& left) {
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    while (rows() > cap && left > 0) {
      auto first = no_time;
      std::size_t of_dimension = 0;
      for (std::size_t d = 0; d < usage_dimensions; ++d) {
        const auto start = oldest(period, d);
        if (!start) return start.error();
        if (*start >= first) continue;
        first = *start;
        of_dimension = d;
      }
      if (first == no_time) break;
      const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(rows() - cap, left));
      const auto removed = remove_before(period, of_dimension, next_bucket_s(period, first), most);
      if (!removed) return removed.error();
      left -= *removed;
    }
  }
  return {};
}

result<std::int64_t> sqlite_usage_store::oldest(usage_period period, std::size_t dimension) {
  auto& statement = of_[static_cast<std::size_t>(period)].oldest;
  statement.bind(1, static_cast<std::int64_t>(dimension));
  const auto found = statement.step();
  const auto start = found && *found ? statement.integer(0) : no_time;
  statement.reset();
  if (!found) return found.error();
  return start;
}

// At most `most` rows, which is 1 or more, the oldest first. Gives how many.
result<std::size_t> sqlite_usage_store::remove_before(usage_period period, std::size_t dimension,
                                                      std::int64_t before_s, std::size_t most) {
  auto& of = of_[static_cast<std::size_t>(period)];
  of.boundary.bind(1, static_cast<std::int64_t>(dimension));
  of.boundary.bind(2, before_s);
  of.boundary.bind(3, static_cast<std::int64_t>(most - 1));
  const auto cut = of.boundary.step();
  const bool is_cut = cut && *cut;
  const auto to_start = is_cut ? of.boundary.integer(0) : before_s;
  const auto to_name = is_cut ? of.boundary.integer(1) : 0;
  of.boundary.reset();
  if (!cut) return cut.error();
  auto& remove = is_cut ? of.remove_to : of.remove;
  remove.bind(1, static_cast<std::int64_t>(dimension));
  remove.bind(2, to_start);
  if (is_cut) remove.bind(3, to_name);
  if (auto done = remove.run(); !done) return done.error();
  const auto removed = static_cast<std::uint64_t>(sqlite3_changes(db_->raw()));
  auto& rows = rows_[static_cast<std::size_t>(period)];
  rows -= std::min(rows, removed);
  if (period == usage_period::month && removed > 0) swept_names_to_ = 0;
  return static_cast<std::size_t>(removed);
}

// A name goes when the last month it occurred in has gone: finer buckets always go before their
// month. Looks through all names once after a start and whenever months went.
result<void> sqlite_usage_store::remove_names(std::int64_t now_s, std::size_t& left) {
  const auto found = last_name_.step();
  const auto last = found && *found ? last_name_.integer(0) : 0;
  last_name_.reset();
  if (!found) return found.error();
  if (swept_names_to_ >= last || left == 0) return {};
  auto first_month = bucket_start_s(usage_period::month, now_s);
  // In a copy rows of a day may come long before those of their month.
  for (std::size_t p = 0; p < usage_periods; ++p)
    for (std::size_t d = 0; d < usage_dimensions; ++d) {
      const auto start = oldest(static_cast<usage_period>(p), d);
      if (!start) return start.error();
      if (*start != no_time)
        first_month = std::min(first_month, bucket_start_s(usage_period::month, *start));
    }
  const auto to = std::min(last, swept_names_to_ + static_cast<std::int64_t>(left));
  remove_names_.bind(1, swept_names_to_);
  remove_names_.bind(2, to);
  remove_names_.bind(3, first_month);
  if (auto done = remove_names_.run(); !done) return done.error();
  if (sqlite3_changes(db_->raw()) > 0) name_ids_.clear();
  left -= static_cast<std::size_t>(to - swept_names_to_);
  swept_names_to_ = to;
  return {};
}

} // namespace

result<std::unique_ptr<usage_store>> usage_store::open(const std::filesystem::path& dir,
                                                       store_report* report) {
  auto db = open_store(dir / usage_file_name, usage_kind, make_usage_tables, report);
  if (!db) return db.error();
  auto store = std::make_unique<sqlite_usage_store>();
  if (auto done = store->start(std::move(*db)); !done) return done.error();
  return std::unique_ptr<usage_store>{std::move(store)};
}

result<std::unique_ptr<usage_store>> usage_store::open_copy(const std::filesystem::path& file,
                                                            const std::string& origin,
                                                            store_report* report) {
  auto db = open_store(file, usage_copy_kind, make_usage_tables, report);
  if (!db) return db.error();
  auto store = std::make_unique<sqlite_usage_store>();
  if (auto done = store->start(std::move(*db)); !done) return done.error();
  if (auto done = store->adopt(origin); !done) return done.error();
  return std::unique_ptr<usage_store>{std::move(store)};
}

} // namespace penstock
