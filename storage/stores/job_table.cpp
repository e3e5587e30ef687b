#include "storage/stores/job_table.hpp"

namespace penstock {

namespace {

// AUTOINCREMENT: a number becomes part of the ids under which a sink may remember events.
constexpr const char* job_schema = R"sql(
CREATE TABLE IF NOT EXISTS job(
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  stream TEXT NOT NULL,
  sink TEXT NOT NULL,
  from_seq INTEGER NOT NULL,
  to_seq INTEGER NOT NULL,
  rate INTEGER NOT NULL,
  next_seq INTEGER NOT NULL,
  total INTEGER NOT NULL,
  sent INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  state INTEGER NOT NULL,
  why TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL
) STRICT;
)sql";

constexpr std::string_view job_columns =
    "number, kind, stream, sink, from_seq, to_seq, rate, next_seq, total, sent, refused, state, "
    "why, created_ms, changed_ms";

delivery_job job_of_row(sqlite_statement& row) {
  delivery_job job;
  const auto unsigned_at = [&](int column) {
    return static_cast<std::uint64_t>(row.integer(column));
  };
  job.number = unsigned_at(0);
  job.kind = row.bytes(1) == "d" ? job_kind::retry : job_kind::replay;
  job.stream = row.bytes(2);
  job.sink = row.bytes(3);
  job.from_seq = unsigned_at(4);
  job.to_seq = unsigned_at(5);
  job.rate = static_cast<std::uint32_t>(row.integer(6));
  job.next_seq = unsigned_at(7);
  job.total = unsigned_at(8);
  job.sent = unsigned_at(9);
  job.refused = unsigned_at(10);
  job.state = static_cast<job_state>(row.integer(11));
  job.why = row.bytes(12);
  job.created_ms = row.integer(13);
  job.changed_ms = row.integer(14);
  return job;
}

} // namespace

result<void> job_table::open(sqlite_database& db) {
  if (auto made = db.exec(job_schema); !made) return made;
  const std::string columns{job_columns};
  sqlite_preparer prepare{db};
  prepare(add_, "INSERT INTO job(kind, stream, sink, from_seq, to_seq, rate, next_seq, total, "
                "sent, refused, state, why, created_ms, changed_ms) "
                "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14) RETURNING number");
  prepare(save_, "UPDATE job SET rate=?2, next_seq=?3, total=?4, sent=?5, refused=?6, state=?7, "
                 "why=?8, changed_ms=?9 WHERE number=?1");
  prepare(find_, "SELECT " + columns + " FROM job WHERE number=?1 AND kind=?2");
  prepare(list_, "SELECT " + columns + " FROM job ORDER BY state > 0, number DESC");
  prepare(trim_, "DELETE FROM job WHERE state > 0 AND number <= (SELECT number FROM job "
                 "WHERE state > 0 ORDER BY number DESC LIMIT 1 OFFSET ?1)");
  return prepare.outcome();
}

result<delivery_job> job_table::add(delivery_job job) {
  const std::string kind(1, static_cast<char>(job.kind));
  add_.bind_text(1, kind);
  add_.bind_text(2, job.stream);
  add_.bind_text(3, job.sink);
  add_.bind(4, job.from_seq);
  add_.bind(5, job.to_seq);
  add_.bind(6, std::uint64_t{job.rate});
  add_.bind(7, job.next_seq);
  add_.bind(8, job.total);
  add_.bind(9, job.sent);
  add_.bind(10, job.refused);
  add_.bind(11, static_cast<std::int64_t>(job.state));
  add_.bind_text(12, job.why);
  add_.bind(13, job.created_ms);
  add_.bind(14, job.changed_ms);
  auto row = add_.step();
  if (row && *row) job.number = static_cast<std::uint64_t>(add_.integer(0));
  add_.reset();
  if (!row) return row.error();
  return job;
}

result<void> job_table::save(const delivery_job& job) {
  save_.bind(1, job.number);
  save_.bind(2, std::uint64_t{job.rate});
  save_.bind(3, job.next_seq);
  save_.bind(4, job.total);
  save_.bind(5, job.sent);
  save_.bind(6, job.refused);
  save_.bind(7, static_cast<std::int64_t>(job.state));
  save_.bind_text(8, job.why);
  save_.bind(9, job.changed_ms);
  return save_.run();
}

result<std::optional<delivery_job>> job_table::find(job_kind kind, std::uint64_t number) {
  const std::string letter(1, static_cast<char>(kind));
  find_.bind(1, number);
  find_.bind_text(2, letter);
  auto row = find_.step();
  std::optional<delivery_job> found;
  if (row && *row) found = job_of_row(find_);
  find_.reset();
  if (!row) return row.error();
  return found;
}

result<std::vector<delivery_job>> job_table::list() {
  std::vector<delivery_job> jobs;
  for (;;) {
    auto row = list_.step();
    if (!row || !*row) list_.reset();
    if (!row) return row.error();
    if (!*row) return jobs;
    jobs.push_back(job_of_row(list_));
  }
}

result<void> job_table::trim() {
  trim_.bind(1, std::uint64_t{max_ended_jobs});
  return trim_.run();
}

} // namespace penstock
