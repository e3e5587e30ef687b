#include "storage/stores/usage_reader.hpp"

#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage_schema.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace penstock {

namespace {

constexpr int steps_between_questions = 4096; // of SQLite's machine: well under a millisecond
constexpr const char* reader_pragmas = "PRAGMA busy_timeout = 1000; PRAGMA cache_size = -2048;";

struct ranked {
  std::uint64_t value = 0;
  std::int64_t name = 0;
  usage_counts counts;
  // The older name first among equals, so that a report is the same each time.
  bool operator<(const ranked& other) const {
    return value != other.value ? value > other.value : name < other.name;
  }
};

/// The greatest so far, in a heap whose front is the least of them.
class top_list {
 public:
  explicit top_list(std::size_t size) : size_{size} {}
  void offer(const ranked& one) {
    if (size_ == 0 || (best_.size() == size_ && !(one < best_.front()))) return;
    if (best_.size() == size_) {
      std::pop_heap(best_.begin(), best_.end());
      best_.pop_back();
    }
    best_.push_back(one);
    std::push_heap(best_.begin(), best_.end());
  }
  std::vector<ranked> take() {
    std::sort_heap(best_.begin(), best_.end());
    return std::move(best_);
  }

 private:
  std::size_t size_;
  std::vector<ranked> best_;
};

class sqlite_usage_reader final : public usage_reader {
 public:
  sqlite_usage_reader(sqlite_database db, std::int64_t names_a_pass)
      : db_(std::move(db)), names_a_pass_{names_a_pass} {}
  result<void> prepare();
  /// Those of these origins, rather than the node's own.
  result<void> choose(const std::vector<std::string>& origins);
  result<usage_report> run(const usage_query& query, const std::function<bool()>& give_up) override;
  result<std::vector<usage_row>> run_part(const usage_query& query, std::uint32_t part,
                                          std::uint32_t parts,
                                          const std::function<bool()>& give_up) override;
  result<void> visit(usage_dimension by, usage_period per, std::int64_t from_s, std::int64_t to_s,
                     const std::function<void(const usage_row&)>& visit,
                     const std::function<bool()>& give_up) override;

 private:
  struct period_statements {
    sqlite_statement scan, one;
  };
  result<usage_report> run_top(const usage_query& query);
  result<usage_report> run_one(const usage_query& query);
  result<std::vector<usage_row>> sum_part(const usage_query& query, std::uint32_t part,
                                          std::uint32_t parts);
  error given_up_or(const error& why, const std::function<bool()>& give_up) const;
  template <class MayBegin, class Row>
  result<void> scan_slices(usage_dimension by, usage_period per, std::int64_t from_s,
                           std::int64_t to_s, MayBegin may_begin_slice, Row take);
  template <class MayBegin, class Row>
  result<void> scan_slot(std::int64_t dimension, usage_period per, std::int64_t from_s,
                         std::int64_t to_s, MayBegin may_begin_slice, Row take);
  result<void> sum_names(const usage_query& query, std::int64_t first_name,
                         std::vector<usage_counts>& sums);
  result<std::int64_t> find_number(sqlite_statement& statement);
  result<std::string> text_of(std::int64_t name);

  sqlite_database db_; // before the statements
  std::int64_t names_a_pass_;
  std::vector<std::int64_t> slots_{0}; // what is added up; see usage_schema
  std::array<period_statements, usage_periods> of_;
  sqlite_statement last_name_, find_name_, text_of_name_, all_names_;
  const std::function<bool()>* give_up_ = nullptr;
};

result<void> sqlite_usage_reader::prepare() {
  if (auto done = db_.exec(reader_pragmas); !done) return done;
  sqlite_preparer make{db_};
  for (std::size_t p = 0; p < usage_periods; ++p) {
    const std::string table{name_of(static_cast<usage_period>(p))};
    make(of_[p].scan, "SELECT start, name, requests, events, bytes, refused FROM " + table +
                          " WHERE dimension = ?1 AND start < ?2 AND (start, name) > (?3, ?4)"
                          " ORDER BY start, name LIMIT ?5");
    make(of_[p].one, "SELECT requests, events, bytes, refused FROM " + table +
                         " WHERE dimension = ?1 AND start = ?2 AND name = ?3");
  }
  make(last_name_, "SELECT max(id) FROM name");
  make(find_name_, "SELECT id FROM name WHERE text = ?1");
  make(text_of_name_, "SELECT text FROM name WHERE id = ?1");
  make(all_names_, "SELECT id, text FROM name");
  if (!make.outcome()) return make.outcome();
  sqlite3_progress_handler(
      db_.raw(), steps_between_questions,
      [](void* self) {
        const auto* asked = static_cast<sqlite_usage_reader*>(self)->give_up_;
        return asked && (*asked)() ? 1 : 0;
      },
      this);
  return {};
}

result<void> sqlite_usage_reader::choose(const std::vector<std::string>& origins) {
  slots_.clear();
  auto find = db_.prepare("SELECT slot FROM origin WHERE origin = ?1");
  if (!find) return find.error();
  for (const auto& origin : origins) {
    find->bind_text(1, origin);
    const auto slot = find_number(*find);
    if (!slot) return slot.error();
    if (*slot == 0) return error{errc::not_found, "this node has no such copy"};
    slots_.push_back(*slot);
  }
  return {};
}

result<usage_report> sqlite_usage_reader::run(const usage_query& query,
                                              const std::function<bool()>& give_up) {
  auto aligned = query;
  aligned.from_s = bucket_start_s(query.per, query.from_s);
  aligned.top = std::min(query.top, max_usage_top);
  give_up_ = &give_up;
  auto report = query.id ? run_one(aligned) : run_top(aligned);
  give_up_ = nullptr;
  if (!report) return given_up_or(report.error(), give_up);
  report->from_s = aligned.from_s;
  report->to_s = aligned.to_s;
  return report;
}

error sqlite_usage_reader::given_up_or(const error& why,
                                       const std::function<bool()>& give_up) const {
  if (!give_up()) return why;
  return {errc::unavailable, "the report was given up: it took too long, or the node is "
                             "stopping; take a coarser period or a shorter range"};
}

// The single number that a statement gives; 0 when it gives none.
result<std::int64_t> sqlite_usage_reader::find_number(sqlite_statement& statement) {
  const auto found = statement.step();
  const auto number = found && *found ? statement.integer(0) : 0;
  statement.reset();
  if (!found) return found.error();
  return number;
}

result<std::string> sqlite_usage_reader::text_of(std::int64_t name) {
  return text_of_name(text_of_name_, name);
}

// Of all slots, one after the other.
template <class MayBegin, class Row>
result<void> sqlite_usage_reader::scan_slices(usage_dimension by, usage_period per,
                                              std::int64_t from_s, std::int64_t to_s,
                                              MayBegin may_begin_slice, Row take) {
  for (const auto slot : slots_)
    if (auto done =
            scan_slot(usage_dimension_key(slot, by), per, from_s, to_s, may_begin_slice, take);
        !done)
      return done;
  return {};
}

// Reads the range row by row. Each slice is a read transaction of its own: one over the whole range
// would keep the log from being cut back. `may_begin_slice` and `take`, which gets the statement at
// the row, give a result<void> whose error ends it.
template <class MayBegin, class Row>
result<void> sqlite_usage_reader::scan_slot(std::int64_t dimension, usage_period per,
                                            std::int64_t from_s, std::int64_t to_s,
                                            MayBegin may_begin_slice, Row take) {
  auto& scan = of_[static_cast<std::size_t>(per)].scan;
  std::int64_t start = from_s, name = 0;
  std::int64_t rows = usage_rows_a_slice;
  while (rows == usage_rows_a_slice) {
    if (auto may = may_begin_slice(); !may) return may;
    scan.bind(1, dimension);
    scan.bind(2, to_s);
    scan.bind(3, start);
    scan.bind(4, name);
    scan.bind(5, usage_rows_a_slice);
    auto more = scan.step();
    for (rows = 0; more && *more; more = scan.step(), ++rows) {
      start = scan.integer(0);
      name = scan.integer(1);
      if (auto taken = take(start, name, scan); !taken) {
        scan.reset();
        return taken;
      }
    }
    scan.reset();
    if (!more) return more.error();
  }
  return {};
}

result<void> sqlite_usage_reader::visit(usage_dimension by, usage_period per, std::int64_t from_s,
                                        std::int64_t to_s,
                                        const std::function<void(const usage_row&)>& visit,
                                        const std::function<bool()>& give_up) {
  const auto may_begin = [&]() -> result<void> {
    if (give_up()) return error{errc::unavailable, "reading usage was given up"};
    return {};
  };
  return scan_slices(by, per, from_s, to_s, may_begin,
                     [&](std::int64_t start, std::int64_t name, sqlite_statement& row) {
                       auto text = text_of(name);
                       if (!text) return result<void>{text.error()};
                       visit({std::move(*text), start, counts_at(row, 2)});
                       return result<void>{};
                     });
}

// -- the top --------------------------------------------------------------------------------------

result<usage_report> sqlite_usage_reader::run_top(const usage_query& query) {
  usage_report report;
  const auto last_name = find_number(last_name_);
  if (!last_name) return last_name.error();
  top_list top{query.top};
  std::vector<usage_counts> sums;
  for (std::int64_t first = 1; first <= *last_name; first += names_a_pass_) {
    sums.assign(static_cast<std::size_t>(std::min(names_a_pass_, *last_name - first + 1)), {});
    if (auto done = sum_names(query, first, sums); !done) return done.error();
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (sums[i] == usage_counts{}) continue;
      ++report.ids;
      report.total += sums[i];
      top.offer({count_of(sums[i], query.order), first + static_cast<std::int64_t>(i), sums[i]});
    }
  }
  for (const auto& one : top.take()) {
    auto text = text_of(one.name);
    if (!text) return text.error();
    report.rows.push_back({std::move(*text), 0, one.counts});
  }
  return report;
}

// Adds up the range for the names from `first_name` on that `sums` has places for.
result<void> sqlite_usage_reader::sum_names(const usage_query& query, std::int64_t first_name,
                                            std::vector<usage_counts>& sums) {
  return scan_slices(
      query.by, query.per, query.from_s, query.to_s, [] { return result<void>{}; },
      [&](std::int64_t, std::int64_t name, sqlite_statement& row) {
        const auto place = static_cast<std::uint64_t>(name - first_name);
        if (place < sums.size()) sums[place] += counts_at(row, 2);
        return result<void>{};
      });
}

// -- a part ---------------------------------------------------------------------------------------

result<std::vector<usage_row>> sqlite_usage_reader::run_part(const usage_query& query,
                                                             std::uint32_t part,
                                                             std::uint32_t parts,
                                                             const std::function<bool()>& give_up) {
  auto aligned = query;
  aligned.from_s = bucket_start_s(query.per, query.from_s);
  give_up_ = &give_up;
  auto rows = [&]() -> result<std::vector<usage_row>> {
    if (!query.id) return sum_part(aligned, part, parts);
    auto report = run_one(aligned);
    if (!report) return report.error();
    return std::move(report->rows);
  }();
  give_up_ = nullptr;
  if (!rows) return given_up_or(rows.error(), give_up);
  return rows;
}

result<std::vector<usage_row>>
sqlite_usage_reader::sum_part(const usage_query& query, std::uint32_t part, std::uint32_t parts) {
  std::vector<usage_row> rows;
  boost::unordered_flat_map<std::int64_t, std::size_t> place_of; // by name
  auto more = all_names_.step();
  for (; more && *more; more = all_names_.step()) {
    const auto text = all_names_.bytes(1);
    if (usage_part_of(text, parts) != part) continue;
    place_of.emplace(all_names_.integer(0), rows.size());
    rows.push_back({std::string{text}, 0, {}});
  }
  all_names_.reset();
  if (!more) return more.error();
  auto summed = scan_slices(
      query.by, query.per, query.from_s, query.to_s, [] { return result<void>{}; },
      [&](std::int64_t, std::int64_t name, sqlite_statement& row) {
        const auto place = place_of.find(name);
        if (place != place_of.end()) rows[place->second].counts += counts_at(row, 2);
        return result<void>{};
      });
  if (!summed) return summed.error();
  std::erase_if(rows, [](const usage_row& row) { return row.counts == usage_counts{}; });
  return rows;
}

// -- one id ---------------------------------------------------------------------------------------

// A look-up a bucket and slot: the key has the bucket before the name.
result<usage_report> sqlite_usage_reader::run_one(const usage_query& query) {
  usage_report report;
  find_name_.bind_text(1, *query.id);
  const auto name = find_number(find_name_);
  if (!name) return name.error();
  auto& one = of_[static_cast<std::size_t>(query.per)].one;
  std::int64_t buckets = 0;
  for (auto start = query.from_s; start < query.to_s; start = next_bucket_s(query.per, start)) {
    if (++buckets > max_usage_buckets)
      return error{errc::invalid, "the range has more than " + std::to_string(max_usage_buckets) +
                                      " buckets; take a coarser period or a shorter range"};
    if (*name == 0) continue;
    usage_counts sum;
    bool has_any = false;
    for (const auto slot : slots_) {
      one.bind(1, usage_dimension_key(slot, query.by));
      one.bind(2, start);
      one.bind(3, *name);
      const auto found = one.step();
      if (found && *found) sum += counts_at(one, 0);
      one.reset();
      if (!found) return found.error();
      has_any |= *found;
    }
    if (!has_any) continue;
    report.rows.push_back({*query.id, start, sum});
    report.total += sum;
  }
  report.ids = report.rows.empty() ? 0 : 1;
  return report;
}

result<std::unique_ptr<sqlite_usage_reader>> open_usage_reader(const std::filesystem::path& file,
                                                               std::int64_t names_a_pass) {
  auto db = sqlite_database::open(file, sqlite_mode::read_only);
  if (!db) return db.error();
  auto reader = std::make_unique<sqlite_usage_reader>(std::move(*db), names_a_pass);
  if (auto done = reader->prepare(); !done) return done.error();
  return reader;
}

} // namespace

std::uint64_t count_of(const usage_counts& counts, usage_order order) {
  switch (order) {
  case usage_order::requests:
    return counts.requests;
  case usage_order::events:
    return counts.events;
  case usage_order::bytes:
    return counts.bytes;
  case usage_order::refused:
    return counts.refused;
  }
  return 0;
}

result<std::unique_ptr<usage_reader>> usage_reader::open(const std::filesystem::path& dir,
                                                         std::int64_t names_a_pass) {
  auto reader = open_usage_reader(dir / usage_file_name, names_a_pass);
  if (!reader) return reader.error();
  return std::unique_ptr<usage_reader>{std::move(*reader)};
}

result<std::unique_ptr<usage_reader>>
usage_reader::open_copies(const std::filesystem::path& dir,
                          const std::vector<std::string>& origins) {
  auto reader = open_usage_reader(dir / usage_copies_file_name, usage_names_a_pass);
  if (!reader) return reader.error();
  if (auto done = (*reader)->choose(origins); !done) return done.error();
  return std::unique_ptr<usage_reader>{std::move(*reader)};
}

} // namespace penstock
