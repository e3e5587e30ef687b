#include "storage/stores/usage_tables.hpp"

#include "storage/stores/usage_schema.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

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

/// Until it was read how many rows there are.
constexpr std::uint64_t untold = std::numeric_limits<std::uint64_t>::max();

/// A row takes more, whatever it holds.
constexpr std::uint64_t least_row_bytes = 8;

/// Also behind rows whose origin was lost: they are nobody else's. 8: usage_slot_dimensions.
constexpr const char* add_origin = R"sql(
WITH used(slot) AS (
  SELECT max(slot) FROM origin UNION ALL SELECT max(number) FROM last_slot
  UNION ALL SELECT max(dimension) / 8 FROM minute UNION ALL SELECT max(dimension) / 8 FROM hour
  UNION ALL SELECT max(dimension) / 8 FROM day UNION ALL SELECT max(dimension) / 8 FROM month
), last(slot) AS (SELECT max(0, coalesce(max(slot), 0)) FROM used)
INSERT INTO origin(slot, origin) SELECT slot + 1, ?1 FROM last WHERE slot < ?2
)sql";
static_assert(usage_slot_dimensions == 8);

std::int64_t dimension_of(const usage_slot& slot, usage_dimension by) {
  return usage_dimension_key(slot.number, by);
}

// That the file has room for.
result<std::uint64_t> most_rows(sqlite_database& db) {
  auto size = db.prepare("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size");
  if (!size) return size.error();
  if (const auto found = size->step(); !found) return found.error();
  return static_cast<std::uint64_t>(size->integer(0)) / least_row_bytes;
}

result<std::uint64_t> count_rows(sqlite_statement& count, const usage_slot& slot) {
  const auto first = dimension_of(slot, usage_dimension{});
  count.bind(1, first);
  count.bind(2, first + static_cast<std::int64_t>(usage_dimensions));
  const auto found = count.step();
  const auto rows = found && *found ? static_cast<std::uint64_t>(count.integer(0)) : 0;
  count.reset();
  if (!found) return found.error();
  return rows;
}

result<std::int64_t> oldest_start(sqlite_statement& oldest, std::int64_t dimension) {
  oldest.bind(1, dimension);
  const auto found = oldest.step();
  const auto start = found && *found ? oldest.integer(0) : no_time;
  oldest.reset();
  if (!found) return found.error();
  return start;
}

} // namespace

result<void> make_usage_tables(sqlite_database& db, bool own) {
  if (auto done = db.exec(writer_pragmas); !done) return done;
  if (auto done = db.exec(usage_schema); !done) return done;
  if (own)
    if (auto done = db.exec(usage_own_origin); !done) return done;
  return usage_tables{}.prepare(db);
}

/// In the order of the tables' keys, each key once.
void usage_tables::merge(std::vector<sum_row>& rows) {
  const auto key = [](const sum_row& row) {
    return std::tie(row.dimension, row.start_s, row.name);
  };
  std::sort(rows.begin(), rows.end(),
            [&](const sum_row& a, const sum_row& b) { return key(a) < key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (kept > 0 && key(rows[kept - 1]) == key(rows[i]))
      rows[kept - 1].counts += rows[i].counts;
    else
      rows[kept++] = rows[i];
  }
  rows.resize(kept);
}

result<void> usage_tables::prepare(sqlite_database& db) {
  sqlite_preparer make{db};
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const std::string table{name_of(static_cast<usage_period>(p))};
    auto& of = of_[p];
    make(of.update,
         "UPDATE " + table +
             " SET requests = requests + ?4, events = events + ?5, bytes = bytes + ?6,"
             " refused = refused + ?7 WHERE dimension = ?1 AND start = ?2 AND name = ?3");
    make(of.insert, "INSERT INTO " + table + " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    make(of.next_dimension,
         "SELECT dimension FROM " + table + " WHERE dimension > ?1 ORDER BY dimension LIMIT 1");
    make(of.oldest, "SELECT start FROM " + table + " WHERE dimension = ?1 ORDER BY start LIMIT 1");
    make(of.boundary, "SELECT start, name FROM " + table +
                          " WHERE dimension = ?1 AND start < ?2 ORDER BY start, name"
                          " LIMIT 1 OFFSET ?3");
    make(of.one, "SELECT requests, events, bytes, refused FROM " + table +
                     " WHERE dimension = ?1 AND start = ?2 AND name = ?3");
    make(of.after, "SELECT dimension, start, name, requests, events, bytes, refused FROM " + table +
                       " WHERE (dimension, start, name) > (?1, ?2, ?3) AND dimension < ?5"
                       " ORDER BY dimension, start, name LIMIT ?4");
    make(of.raise, "UPDATE " + table +
                       " SET requests = max(requests, ?4), events = max(events, ?5),"
                       " bytes = max(bytes, ?6), refused = max(refused, ?7)"
                       " WHERE dimension = ?1 AND start = ?2 AND name = ?3"
                       " AND (requests < ?4 OR events < ?5 OR bytes < ?6 OR refused < ?7)");
    make(of.count, "SELECT count(*) FROM " + table + " WHERE dimension >= ?1 AND dimension < ?2");
    make(of.remove, "DELETE FROM " + table + " WHERE dimension = ?1 AND start < ?2");
    make(of.remove_to,
         "DELETE FROM " + table + " WHERE dimension = ?1 AND (start, name) <= (?2, ?3)");
  }
  make(text_of_name_, "SELECT text FROM name WHERE id = ?1");
  make(load_, "SELECT slot, origin, node, address, given_by, known_ms, begun_ms FROM origin"
              " ORDER BY slot");
  make(add_, add_origin);
  make(save_last_slot_, "INSERT OR REPLACE INTO last_slot VALUES (0, ?1)");
  make(remove_, "DELETE FROM origin WHERE slot = ?1");
  make(save_about_, "UPDATE origin SET node = ?2, address = ?3, given_by = ?4, known_ms = ?5"
                    " WHERE slot = ?1");
  make(find_name_, "SELECT id FROM name WHERE text = ?1");
  make(insert_name_, "INSERT INTO name(text) VALUES (?1)");
  make(touch_name_, "UPDATE name SET last_month = max(last_month, ?2) WHERE id = ?1");
  make(last_name_, "SELECT max(id) FROM name");
  make(remove_names_, "DELETE FROM name WHERE id > ?1 AND id <= ?2 AND last_month < ?3");
  make(load_sizes_, "SELECT period, rows FROM size");
  make(save_size_, "INSERT OR REPLACE INTO size VALUES (?1, ?2)");
  make(remove_sizes_, "DELETE FROM size WHERE period >= ?1 AND period < ?2");
  return make.outcome();
}

result<void> usage_tables::start(sqlite_database db) {
  db_.emplace(std::move(db));
  if (auto prepared = prepare(*db_); !prepared) return prepared;
  const auto last = last_name_.step();
  names_ = last && *last ? static_cast<std::uint64_t>(last_name_.integer(0)) : 0;
  last_name_.reset();
  if (!last) return last.error();
  return {};
}

// -- slots ----------------------------------------------------------------------------------------

result<std::vector<usage_slot>> usage_tables::load() {
  std::vector<usage_slot> out;
  auto more = load_.step();
  for (; more && *more; more = load_.step()) {
    const auto number = load_.integer(0);
    if (number < 0 || number > max_usage_slot) continue; // its keys would be another's
    auto& one = out.emplace_back();
    one.number = number;
    one.about = {std::string{load_.bytes(1)}, std::string{load_.bytes(2)},
                 std::string{load_.bytes(3)}, load_.integer(5), std::string{load_.bytes(4)}};
    one.begun_ms = load_.integer(6);
    one.rows_of.fill(untold);
  }
  load_.reset();
  if (!more) return more.error();
  more = load_sizes_.step();
  for (; more && *more; more = load_sizes_.step()) {
    if (load_sizes_.integer(0) < 0) continue; // is of no slot
    const auto [slot, period] = usage_size_place(load_sizes_.integer(0));
    const auto found = std::ranges::lower_bound(out, slot, {}, &usage_slot::number);
    if (found != out.end() && found->number == slot)
      found->rows_of[period] = static_cast<std::uint64_t>(load_sizes_.integer(1));
  }
  load_sizes_.reset();
  if (!more) return more.error();
  const auto most = most_rows(*db_);
  if (!most) return most.error();
  for (auto& slot : out)
    for (std::size_t p = 0; p < usage_periods; ++p) {
      if (slot.rows_of[p] <= *most) continue; // one below 0 is more
      const auto counted = count_rows(of_[p].count, slot);
      if (!counted) return counted.error();
      slot.rows_of[p] = *counted;
    }
  return out;
}

result<void> usage_tables::count(usage_slot& slot) {
  return in_transaction(slot, [&]() -> result<void> {
    for (std::size_t p = 0; p < usage_periods; ++p) {
      const auto counted = count_rows(of_[p].count, slot);
      if (!counted) return counted.error();
      slot.rows_of[p] = *counted;
    }
    return {};
  });
}

result<usage_slot> usage_tables::add(const std::string& origin) {
  usage_slot made;
  made.about.origin = origin;
  const auto done = db_->in_transaction([&]() -> result<void> {
    add_.bind_text(1, origin);
    add_.bind(2, max_usage_slot);
    if (auto added = add_.run(); !added) return added;
    if (sqlite3_changes(db_->raw()) == 0)
      return error{errc::unavailable,
                   "the file of copies of usage has no number for a further one"};
    made.number = sqlite3_last_insert_rowid(db_->raw());
    save_last_slot_.bind(1, made.number);
    return save_last_slot_.run();
  });
  if (!done) return done.error();
  return made;
}

result<bool> usage_tables::remove(usage_slot& slot) {
  if (auto counted = count(slot); !counted) return counted.error();
  if (slot.rows() > 0) return false;
  return db_->in_transaction([&]() -> result<bool> {
    remove_sizes_.bind(1, usage_size_key(slot.number, 0));
    remove_sizes_.bind(2, usage_size_key(slot.number + 1, 0));
    if (auto done = remove_sizes_.run(); !done) return done.error();
    remove_.bind(1, slot.number);
    if (auto done = remove_.run(); !done) return done.error();
    return true;
  });
}

// Runs `work` and commits; on an error nothing of it is left, on disk or here.
template <class Work>
auto usage_tables::in_transaction(usage_slot& slot, Work&& work) -> decltype(work()) {
  const auto rows_before = slot.rows_of;
  auto outcome = db_->in_transaction([&] {
    auto done = work();
    if (done)
      if (const auto saved = save_sizes(slot, rows_before); !saved) done = saved.error();
    return done;
  });
  if (outcome) return outcome;
  slot.rows_of = rows_before;
  name_ids_.clear();
  return outcome;
}

// -- writing --------------------------------------------------------------------------------------

result<void> usage_tables::write(usage_slot& to, std::span<const usage_batch_ptr> batches,
                                 std::vector<usage_key>& changed) {
  return in_transaction(to, [&] { return add_all(to, batches, changed); });
}

result<void> usage_tables::add_all(usage_slot& to, std::span<const usage_batch_ptr> batches,
                                   std::vector<usage_key>& changed) {
  std::vector<sum_row> rows;
  for (const auto& batch : batches) {
    const auto minute = bucket_start_s(usage_period::minute, batch->time_ms / 1000);
    for (std::size_t d = 0; d < usage_dimensions; ++d)
      for (const auto& entry : batch->entries[d]) {
        const auto name = name_id(entry.id);
        if (!name) return name.error();
        rows.push_back(
            {dimension_of(to, static_cast<usage_dimension>(d)), minute, *name, entry.counts});
      }
  }
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    for (auto& row : rows)
      row.start_s = bucket_start_s(period, row.start_s);
    merge(rows);
    for (const auto& row : rows) {
      if (auto done = add_row(to, period, row); !done) return done;
      changed.push_back({period, usage_dimension_at(row.dimension), row.start_s, row.name});
    }
  }
  return {};
}

result<std::int64_t> usage_tables::name_id(const std::string& text) {
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

result<void> usage_tables::add_row(usage_slot& to, usage_period period, const sum_row& row) {
  auto& of = of_[static_cast<std::size_t>(period)];
  const auto run = [&](sqlite_statement& statement) {
    statement.bind(1, row.dimension);
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
  ++to.rows_of[static_cast<std::size_t>(period)];
  if (period != usage_period::month) return {};
  touch_name_.bind(1, row.name);
  touch_name_.bind(2, row.start_s);
  return touch_name_.run();
}

result<void> usage_tables::save_sizes(const usage_slot& slot,
                                      const std::array<std::uint64_t, usage_periods>& before) {
  for (std::size_t p = 0; p < usage_periods; ++p) {
    if (slot.rows_of[p] == before[p]) continue;
    save_size_.bind(1, usage_size_key(slot.number, p));
    save_size_.bind(2, slot.rows_of[p]);
    if (auto done = save_size_.run(); !done) return done;
  }
  return {};
}

// -- copies ---------------------------------------------------------------------------------------

result<void> usage_tables::save_about(const usage_slot& slot, const usage_about& about) {
  save_about_.bind(1, slot.number);
  save_about_.bind_text(2, about.node);
  save_about_.bind_text(3, about.address);
  save_about_.bind_text(4, about.given_by);
  save_about_.bind(5, about.known_ms);
  return save_about_.run();
}

result<void> usage_tables::describe(usage_slot& slot, const usage_about& about) {
  auto wanted = about;
  wanted.origin = slot.about.origin;
  if (wanted == slot.about) return {};
  auto done = in_transaction(slot, [&] { return save_about(slot, wanted); });
  if (done) slot.about = std::move(wanted);
  return done;
}

result<std::vector<usage_state>> usage_tables::states(const usage_slot& of,
                                                      std::span<const usage_key> keys) {
  std::vector<usage_state> out;
  for (const auto& key : keys) {
    auto& one = of_[static_cast<std::size_t>(key.period)].one;
    one.bind(1, dimension_of(of, key.by));
    one.bind(2, key.start_s);
    one.bind(3, key.name);
    const auto found = one.step();
    const auto counts = found && *found ? counts_at(one, 0) : usage_counts{};
    one.reset();
    if (!found) return found.error();
    if (!*found) continue;
    auto id = text_of_name(text_of_name_, key.name);
    if (!id) return id.error();
    if (!id->empty()) out.push_back({key.period, key.by, key.start_s, std::move(*id), counts});
  }
  return out;
}

result<std::vector<usage_state>> usage_tables::states_after(const usage_slot& of, usage_key& last,
                                                            std::size_t max) {
  std::vector<usage_state> out;
  for (auto p = static_cast<std::size_t>(last.period); p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    if (period != last.period) last = {.period = period};
    auto& after = of_[p].after;
    after.bind(1, dimension_of(of, last.by));
    after.bind(2, last.start_s);
    after.bind(3, last.name);
    after.bind(4, static_cast<std::int64_t>(max - out.size()));
    after.bind(5, usage_dimension_key(of.number + 1, usage_dimension{}));
    auto more = after.step();
    for (; more && *more; more = after.step()) {
      last = {period, usage_dimension_at(after.integer(0)), after.integer(1), after.integer(2)};
      auto id = text_of_name(text_of_name_, last.name);
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

result<bool> usage_tables::raise(usage_slot& slot, std::span<const usage_state> rows,
                                 const usage_about& about) {
  auto known = slot.about;
  known.node = about.node;
  known.address = about.address;
  if (about.known_ms > known.known_ms || known.given_by.empty()) known.given_by = about.given_by;
  known.known_ms = std::max(known.known_ms, about.known_ms);
  auto done = in_transaction(slot, [&]() -> result<bool> {
    bool is_news = false;
    for (const auto& row : rows) {
      const result<bool> raised = raise_row(slot, row);
      if (!raised) return raised;
      is_news |= *raised;
    }
    if (known != slot.about)
      if (auto saved = save_about(slot, known); !saved) return saved.error();
    return is_news;
  });
  if (done) slot.about = std::move(known);
  return done;
}

// True: it says more than what is here.
result<bool> usage_tables::raise_row(usage_slot& slot, const usage_state& row) {
  if (row.id.empty()) return false; // its store had lost the name
  const auto name = name_id(row.id);
  if (!name) return name.error();
  auto& raise = of_[static_cast<std::size_t>(row.period)].raise;
  raise.bind(1, dimension_of(slot, row.by));
  raise.bind(2, row.start_s);
  raise.bind(3, *name);
  raise.bind(4, row.counts.requests);
  raise.bind(5, row.counts.events);
  raise.bind(6, row.counts.bytes);
  raise.bind(7, row.counts.refused);
  if (auto done = raise.run(); !done) return done.error();
  if (sqlite3_changes(db_->raw()) == 0) {
    auto& one = of_[static_cast<std::size_t>(row.period)].one;
    one.bind(1, dimension_of(slot, row.by));
    one.bind(2, row.start_s);
    one.bind(3, *name);
    const auto found = one.step();
    const bool is_there = found && *found;
    one.reset();
    if (!found) return found.error();
    if (is_there) return false;
    const sum_row fresh{dimension_of(slot, row.by), row.start_s, *name, row.counts};
    if (auto done = add_row(slot, row.period, fresh); !done) return done.error();
  }
  // The row of the month may come much later; the name is needed until then, too.
  touch_name_.bind(1, *name);
  touch_name_.bind(2, bucket_start_s(usage_period::month, row.start_s));
  if (auto done = touch_name_.run(); !done) return done.error();
  return true;
}

// -- forgetting -----------------------------------------------------------------------------------

// `left` is what may still be deleted in this transaction.
result<bool> usage_tables::trim(usage_slot& slot, const usage_retention& keep, std::int64_t now_ms,
                                std::size_t max_rows, bool and_names) {
  const auto now_s = now_ms / 1000;
  return in_transaction(slot, [&]() -> result<bool> {
    auto left = max_rows;
    if (auto done = remove_expired(slot, keep, now_s, left); !done) return done.error();
    if (auto done = remove_beyond(slot, keep.max_rows, left); !done) return done.error();
    if (and_names)
      if (auto done = remove_names(now_s, left); !done) return done.error();
    return left == 0;
  });
}

result<void> usage_tables::remove_expired(usage_slot& from, const usage_retention& keep,
                                          std::int64_t now_s, std::size_t& left) {
  for (std::size_t p = 0; p < usage_periods; ++p) {
    if (keep.keep_ms[p].count() == 0) continue;
    const auto period = static_cast<usage_period>(p);
    const auto before = bucket_start_s(period, now_s - keep.keep_ms[p].count() / 1000);
    for (std::size_t d = 0; d < usage_dimensions && left > 0; ++d) {
      const auto dimension = dimension_of(from, static_cast<usage_dimension>(d));
      const auto removed = remove_before(from, period, dimension, before, left);
      if (!removed) return removed.error();
      left -= *removed;
    }
  }
  return {};
}

// The oldest bucket of the finest period that has any, and so on until what remains fits.
result<void> usage_tables::remove_beyond(usage_slot& from, std::uint64_t cap, std::size_t& left) {
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const auto period = static_cast<usage_period>(p);
    while (from.rows() > cap && left > 0) {
      auto first = no_time;
      std::int64_t of_dimension = 0;
      for (std::size_t d = 0; d < usage_dimensions; ++d) {
        const auto dimension = dimension_of(from, static_cast<usage_dimension>(d));
        const auto start = oldest_start(of_[p].oldest, dimension);
        if (!start) return start.error();
        if (*start >= first) continue;
        first = *start;
        of_dimension = dimension;
      }
      if (first == no_time) break;
      const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(from.rows() - cap, left));
      const auto removed =
          remove_before(from, period, of_dimension, next_bucket_s(period, first), most);
      if (!removed) return removed.error();
      left -= *removed;
    }
  }
  return {};
}

// At most `most` rows, which is 1 or more, the oldest first. Gives how many.
result<std::size_t> usage_tables::remove_before(usage_slot& from, usage_period period,
                                                std::int64_t dimension, std::int64_t before_s,
                                                std::size_t most) {
  auto& of = of_[static_cast<std::size_t>(period)];
  of.boundary.bind(1, dimension);
  of.boundary.bind(2, before_s);
  of.boundary.bind(3, static_cast<std::int64_t>(most - 1));
  const auto cut = of.boundary.step();
  const bool is_cut = cut && *cut;
  const auto to_start = is_cut ? of.boundary.integer(0) : before_s;
  const auto to_name = is_cut ? of.boundary.integer(1) : 0;
  of.boundary.reset();
  if (!cut) return cut.error();
  auto& remove = is_cut ? of.remove_to : of.remove;
  remove.bind(1, dimension);
  remove.bind(2, to_start);
  if (is_cut) remove.bind(3, to_name);
  if (auto done = remove.run(); !done) return done.error();
  const auto removed = static_cast<std::uint64_t>(sqlite3_changes(db_->raw()));
  auto& rows = from.rows_of[static_cast<std::size_t>(period)];
  rows -= std::min(rows, removed);
  if (period == usage_period::month && removed > 0) swept_names_to_ = 0;
  return static_cast<std::size_t>(removed);
}

// In which any slot has a row. In a copy rows of a day may come long before those of their month.
result<std::int64_t> usage_tables::first_month(std::int64_t now_s) {
  auto first = bucket_start_s(usage_period::month, now_s);
  for (std::size_t p = 0; p < usage_periods; ++p) {
    auto& next = of_[p].next_dimension;
    for (std::int64_t dimension = -1;;) {
      next.bind(1, dimension);
      const auto found = next.step();
      const bool is_there = found && *found;
      if (is_there) dimension = next.integer(0);
      next.reset();
      if (!found) return found.error();
      if (!is_there) break;
      const auto start = oldest_start(of_[p].oldest, dimension);
      if (!start) return start.error();
      if (*start != no_time) first = std::min(first, bucket_start_s(usage_period::month, *start));
    }
  }
  return first;
}

// A name goes when the last month it occurred in has gone: finer buckets always go before their
// month. Looks through all names once after a start and whenever months went.
result<void> usage_tables::remove_names(std::int64_t now_s, std::size_t& left) {
  const auto found = last_name_.step();
  const auto last = found && *found ? last_name_.integer(0) : 0;
  last_name_.reset();
  if (!found) return found.error();
  if (swept_names_to_ >= last || left == 0) return {};
  const auto first = first_month(now_s);
  if (!first) return first.error();
  const auto to = std::min(last, swept_names_to_ + static_cast<std::int64_t>(left));
  remove_names_.bind(1, swept_names_to_);
  remove_names_.bind(2, to);
  remove_names_.bind(3, *first);
  if (auto done = remove_names_.run(); !done) return done.error();
  if (sqlite3_changes(db_->raw()) > 0) name_ids_.clear();
  left -= static_cast<std::size_t>(to - swept_names_to_);
  swept_names_to_ = to;
  return {};
}

} // namespace penstock
