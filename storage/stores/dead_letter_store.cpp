#include "storage/stores/dead_letter_store.hpp"

#include "storage/base/checksum.hpp"
#include "storage/base/told.hpp"
#include "storage/events/event_id.hpp"
#include "storage/stores/dead_letter_rows.hpp"
#include "storage/stores/delivery_database.hpp"
#include "storage/stores/job_table.hpp"

#include <algorithm>

namespace penstock {

namespace fs = std::filesystem;

namespace {

/// Pages in the write-ahead log before it is used from its start again.
constexpr int letters_checkpoint_pages = 1000;

std::uint64_t letter_bytes(const dead_letter& letter) {
  return letter.body.size() + letter.content_type.size() + letter.attributes.size() +
         letter.reason.size() + dead_letter_overhead_bytes;
}

constexpr std::string_view letters_bound = "all";
constexpr std::string_view share_bound =
    "streams that are not configured, which share a fifth of dead_letters.max_size";

constexpr store_kind letters_kind{
    .mark = store_mark('d', 'l'),
    .holds = "dead letters and retries: events that sinks refused and that are kept nowhere else",
    .remedy = {},
    .format = deliveries_format};

class sqlite_dead_letter_store final : public dead_letter_store {
 public:
  sqlite_dead_letter_store(fs::path path, std::uint64_t max_bytes)
      : path_(std::move(path)), max_bytes_(max_bytes) {}

  result<void> start(const std::string& vfs, store_report* report) {
    auto opened = db_.open(path_, letters_kind, report, vfs, [this](sqlite_database& db) {
      return sqlite_dead_letter_store{path_, max_bytes_}.prepare(db);
    });
    if (opened) opened = prepare(*db_);
    if (!opened && opened.error().code == errc::corrupt)
      return error{errc::corrupt, opened.error().message + "; restore it from a copy, or move " +
                                      path_.string() +
                                      " (and its -wal) away to start without the dead letters "
                                      "that it holds"};
    if (!opened) return opened;
    sqlite3_wal_autocheckpoint(db_->raw(), letters_checkpoint_pages);
    return count_bytes();
  }

  result<void> add(const std::vector<dead_letter>& letters, const letter_share& share) override {
    return changing_letters([&]() -> result<void> {
      const auto shared_before = shared_bytes(share);
      for (const auto& letter : letters)
        if (auto done = put(letter); !done) return done;
      const auto bytes = sum_bytes();
      const auto shared = shared_bytes(share);
      if (!bytes) return bytes.error();
      if (!shared || !shared_before) return shared ? shared_before.error() : shared.error();
      // What only replaces others may always come: after a crash a letter is stored again.
      const auto is_alone = [&](std::uint64_t more, std::uint64_t most) {
        return letters.size() == 1 && more > most;
      };
      if (*bytes > max_bytes_ && *bytes > bytes_)
        return is_alone(*bytes - bytes_, max_bytes_)
                   ? too_large(letters.front(), *bytes - bytes_, max_bytes_, letters_bound)
                   : full();
      if (*shared > share.max_bytes && *shared > *shared_before)
        return is_alone(*shared - *shared_before, share.max_bytes)
                   ? too_large(letters.front(), *shared - *shared_before, share.max_bytes,
                               share_bound)
                   : share_full(*shared_before, share.max_bytes);
      return {};
    });
  }

  result<std::vector<kept_dead_letter>> list(const dead_letter_filter& filter, std::uint64_t after,
                                             std::size_t limit, bool with_bodies) override {
    letter_condition where{filter, after};
    auto select = db_->prepare("SELECT " + letter_columns(with_bodies) + " FROM letter WHERE " +
                               where.sql + " ORDER BY number LIMIT " + std::to_string(limit));
    if (!select) return select.error();
    where.bind(*select);
    return read_letters(*select, with_bodies, dead_letter_read_bytes);
  }

  result<std::uint64_t> remove(const dead_letter_filter& filter) override {
    letter_condition where{filter, 0};
    std::uint64_t removed = 0;
    const auto done = changing_letters([&]() -> result<void> {
      auto statement = db_->prepare("DELETE FROM letter WHERE " + where.sql);
      if (!statement) return statement.error();
      where.bind(*statement);
      if (auto run = statement->run(); !run) return run;
      removed = static_cast<std::uint64_t>(sqlite3_changes64(db_->raw()));
      return {};
    });
    if (!done) return done.error();
    return removed;
  }

  result<std::vector<dead_letter_tally>> tallies() override {
    std::vector<dead_letter_tally> found;
    for (;;) {
      auto row = tallies_.step();
      if (!row || !*row) tallies_.reset();
      if (!row) return row.error();
      if (!*row) return found;
      dead_letter_tally tally;
      tally.sink = tallies_.bytes(0);
      tally.stream = tallies_.bytes(1);
      tally.letters = static_cast<std::uint64_t>(tallies_.integer(2));
      tally.bytes = static_cast<std::uint64_t>(tallies_.integer(3));
      found.push_back(std::move(tally));
    }
  }

  std::uint64_t bytes() const override { return bytes_; }

  result<delivery_job> begin_retry(const dead_letter_filter& filter, delivery_job job) override {
    letter_condition where{filter, 0};
    job.kind = job_kind::retry;
    const auto done = db_->in_transaction([&]() -> result<void> {
      auto made = jobs_.add(job);
      if (!made) return made.error();
      auto mark = db_->prepare("INSERT OR IGNORE INTO retry(number, job, sink, stream, tag) SELECT "
                               "number, ?6, sink, stream, tag FROM letter WHERE " +
                               where.sql);
      if (!mark) return mark.error();
      where.bind(*mark);
      mark->bind(6, made->number);
      if (auto run = mark->run(); !run) return run;
      made->total = static_cast<std::uint64_t>(sqlite3_changes64(db_->raw()));
      job = *made;
      if (job.total == 0) return error{errc::not_found, "nothing to retry"}; // takes it back
      if (auto saved = jobs_.save(job); !saved) return saved;
      return jobs_.trim();
    });
    if (!done && done.error().code == errc::not_found) {
      job.number = 0;
      return job;
    }
    if (!done) return done.error();
    return job;
  }

  result<retry_chunk> next_chunk(std::uint64_t job, std::size_t max_letters,
                                 std::uint64_t max_bytes) override {
    std::vector<dead_letter_id> damaged;
    for (;;) {
      auto chunk = read_chunk(job, max_letters, max_bytes);
      if (!chunk) return chunk;
      const auto before = damaged.size();
      if (auto done = leave_out_damaged(chunk->letters, damaged); !done) return done.error();
      if (chunk->letters.empty() && damaged.size() > before) continue;
      chunk->damaged = std::move(damaged);
      return chunk;
    }
  }

  result<void> settle(const retry_outcome& outcome, const delivery_job& job) override {
    return changing_letters([&]() -> result<void> {
      for (const auto number : outcome.delivered) {
        forget_.bind(1, number);
        if (auto done = forget_.run(); !done) return done;
      }
      for (const auto& kept : outcome.refused)
        if (auto done = refuse(kept); !done) return done;
      return jobs_.save(job);
    });
  }

  result<void> save(const delivery_job& job) override {
    return db_->in_transaction([&]() -> result<void> {
      if (job.state != job_state::running) {
        release_.bind(1, job.number);
        if (auto done = release_.run(); !done) return done;
      }
      return jobs_.save(job);
    });
  }

  result<std::optional<delivery_job>> find_retry(std::uint64_t number) override {
    return jobs_.find(job_kind::retry, number);
  }
  result<std::vector<delivery_job>> list_retries() override { return jobs_.list(); }

 private:
  result<void> prepare(sqlite_database& db) {
    if (auto made = db.exec(dead_letter_schema); !made) return made;
    if (auto made = jobs_.open(db); !made) return made;
    sqlite_preparer prepare_one{db};
    prepare_one(put_, put_letter_sql);
    prepare_one(put_sum_, put_letter_sum_sql);
    prepare_one(tallies_, "SELECT sink, stream, letters, bytes FROM tally WHERE letters > 0");
    prepare_one(sum_, "SELECT total(bytes) FROM tally");
    prepare_one(first_, "SELECT sink, stream, tag FROM retry WHERE job=?1 "
                        "ORDER BY sink, stream, tag LIMIT 1");
    prepare_one(chunk_, "SELECT " + letter_columns(true) +
                            " FROM letter WHERE number IN (SELECT number FROM retry WHERE job=?1 "
                            "AND sink=?2 AND stream=?3 AND tag=?4 ORDER BY number LIMIT ?5) "
                            "ORDER BY number");
    prepare_one(forget_, "DELETE FROM letter WHERE number=?1");
    prepare_one(refuse_, "UPDATE letter SET reason=?2, tries=?3, died_ms=?4 WHERE number=?1");
    prepare_one(unmark_, "DELETE FROM retry WHERE number=?1");
    prepare_one(release_, "DELETE FROM retry WHERE job=?1");
    return prepare_one.outcome();
  }

  result<retry_chunk> read_chunk(std::uint64_t job, std::size_t max_letters,
                                 std::uint64_t max_bytes) {
    retry_chunk chunk;
    first_.bind(1, job);
    auto row = first_.step();
    if (row && *row) {
      chunk.sink = first_.bytes(0);
      chunk.stream = first_.bytes(1);
      chunk.tag = first_.bytes(2);
    }
    first_.reset();
    if (!row) return row.error();
    if (!*row) return chunk;
    chunk_.bind(1, job);
    chunk_.bind_text(2, chunk.sink);
    chunk_.bind_text(3, chunk.stream);
    chunk_.bind_text(4, chunk.tag);
    chunk_.bind(5, std::uint64_t{max_letters});
    auto letters = read_letters(chunk_, true, max_bytes);
    chunk_.reset();
    if (!letters) return letters.error();
    chunk.letters = std::move(*letters);
    return chunk;
  }

  result<void> leave_out_damaged(std::vector<kept_dead_letter>& letters,
                                 std::vector<dead_letter_id>& damaged) {
    const auto bad =
        std::stable_partition(letters.begin(), letters.end(),
                              [](const kept_dead_letter& kept) { return !kept.is_damaged; });
    if (bad == letters.end()) return {};
    auto done = db_->in_transaction([&]() -> result<void> {
      for (auto at = bad; at != letters.end(); ++at)
        if (auto refused = refuse(*at); !refused) return refused;
      return {};
    });
    for (auto at = bad; at != letters.end(); ++at)
      damaged.push_back({at->letter.seq, at->letter.tag});
    letters.erase(bad, letters.end());
    return done;
  }

  result<void> put(const dead_letter& letter) {
    put_.bind_text(1, letter.sink);
    put_.bind_text(2, letter.stream);
    put_.bind_text(3, letter.tag);
    put_.bind(4, letter.seq);
    put_.bind(5, letter.time_ms);
    put_.bind(6, letter.client);
    put_.bind_text(7, letter.content_type);
    put_.bind_text(8, letter.attributes);
    put_.bind_text(9, letter.reason);
    put_.bind(10, std::uint64_t{letter.tries});
    put_.bind(11, letter.died_ms);
    put_.bind(12, letter_bytes(letter));
    put_.bind_blob(13, letter.body);
    if (auto done = put_.run(); !done) return done;
    const auto sum = checksum_of(letter);
    put_sum_.bind_text(1, letter.tag);
    put_sum_.bind(2, letter.seq);
    put_sum_.bind_text(3, letter.sink);
    put_sum_.bind_text(4, sum);
    return put_sum_.run();
  }

  result<void> refuse(const kept_dead_letter& kept) {
    refuse_.bind(1, kept.number);
    refuse_.bind_text(2, kept.letter.reason);
    refuse_.bind(3, std::uint64_t{kept.letter.tries});
    refuse_.bind(4, kept.letter.died_ms);
    if (auto done = refuse_.run(); !done) return done;
    unmark_.bind(1, kept.number);
    return unmark_.run();
  }

  /// A transaction that may change the number of letters.
  template <class Work>
  result<void> changing_letters(Work work) {
    auto done = db_->in_transaction(work);
    if (!done) return done;
    return count_bytes();
  }

  result<void> count_bytes() {
    const auto bytes = sum_bytes();
    if (!bytes) return bytes.error();
    bytes_ = *bytes;
    return {};
  }

  result<std::uint64_t> sum_bytes() {
    auto row = sum_.step();
    const auto bytes = row && *row ? static_cast<std::uint64_t>(sum_.integer(0)) : 0;
    sum_.reset();
    if (!row) return row.error();
    return bytes;
  }

  result<std::uint64_t> shared_bytes(const letter_share& share) {
    std::uint64_t sum = 0;
    if (!share.counts) return sum;
    const auto all = tallies();
    if (!all) return all.error();
    for (const auto& tally : *all)
      if (share.counts(tally.stream)) sum += tally.bytes;
    return sum;
  }

  error full() const {
    return {errc::disk_full, std::string{dead_letters_full} + std::to_string(bytes_) +
                                 " bytes of the " + std::to_string(max_bytes_) +
                                 " that dead_letters.max_size allows; retry or drop "
                                 "some (penstock dead-letters), or raise it"};
  }

  static error share_full(std::uint64_t bytes, std::uint64_t most) {
    return {errc::disk_full, "dead letters of " + std::string{share_bound} + " take " +
                                 std::to_string(bytes) + " bytes of " + std::to_string(most) +
                                 "; retry or drop some (penstock dead-letters), raise "
                                 "dead_letters.max_size, or configure the streams that matter"};
  }

  static error too_large(const dead_letter& letter, std::uint64_t bytes, std::uint64_t most,
                         std::string_view bound) {
    return {errc::invalid, "event " + event_id(letter.seq, readable_name(letter.tag)) +
                               " of stream '" + readable_name(letter.stream) + "' takes " +
                               std::to_string(bytes) + " bytes as a dead letter, more than the " +
                               std::to_string(most) + " of " + std::string{bound} +
                               "; it waits until dead_letters.max_size is raised"};
  }

  fs::path path_;
  std::uint64_t max_bytes_;
  std::uint64_t bytes_ = 0;
  delivery_database db_;
  job_table jobs_;
  sqlite_statement put_, put_sum_, tallies_, sum_, first_, chunk_, forget_, refuse_, unmark_,
      release_;
};

} // namespace

result<std::unique_ptr<dead_letter_store>> dead_letter_store::open(const fs::path& dir,
                                                                   std::uint64_t max_bytes,
                                                                   const std::string& vfs,
                                                                   store_report* report) {
  auto store = std::make_unique<sqlite_dead_letter_store>(dir / "dead-letters.db", max_bytes);
  if (auto started = store->start(vfs, report); !started) return started.error();
  return std::unique_ptr<dead_letter_store>{std::move(store)};
}

} // namespace penstock
