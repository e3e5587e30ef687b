#include "storage/journal/journal_reader.hpp"

#include "storage/events/block_codec.hpp"
#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/segment.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

namespace penstock {

namespace {

/// A segment held open, pinned in the catalog so that its files are not used again meanwhile.
class open_segment_reader {
 public:
  static result<std::unique_ptr<open_segment_reader>>
  open(std::shared_ptr<segment_catalog> catalog, const segment_info& info, const std::string& vfs) {
    auto now = catalog->pin(info.number);
    if (!now) return error{errc::not_found, "this part of the journal has been retired"};
    // From here on the destructor unpins.
    std::unique_ptr<open_segment_reader> reader{
        new open_segment_reader(std::move(catalog), std::move(*now))};
    auto opened = reader->connect(vfs);
    // All its files are open now: it does not notice when they are unlinked.
    reader->catalog_->end_open(info.number);
    if (!opened) return opened.error();
    return reader;
  }
  ~open_segment_reader() {
    find_ = {}, next_ = {}, load_ = {}, count_ = {}, keys_ = {};
    db_.reset();
    catalog_->unpin(info_.number);
  }

  const segment_info& info() const { return info_; }
  sqlite_database& db() { return *db_; }

  /// Where a row lies, and of which stream it is.
  struct row_position {
    std::uint64_t seq;
    std::uint64_t last_seq;
    std::string stream;
  };

  /// Starts going through the rows of `stream`, or of all streams if it is empty, whose last event
  /// lies after `after_seq`. Reads no body. Until stop() everything read belongs to one
  /// transaction, so that a row takes no locks.
  result<void> start(const std::string& stream, std::uint64_t after_seq) {
    find_.bind(1, after_seq);
    auto found = find_.step();
    const auto from = found && *found ? static_cast<std::uint64_t>(find_.integer(0)) : 0;
    find_.reset();
    if (!found) return found.error();
    next_.bind(1, from);
    next_.bind(2, after_seq);
    next_.bind_text(3, stream);
    return {};
  }

  result<std::optional<row_position>> next() {
    auto row = next_.step();
    if (!row) return row.error();
    if (!*row) return std::optional<row_position>{};
    const auto seq = static_cast<std::uint64_t>(next_.integer(0));
    const auto events =
        std::max<std::int64_t>(next_.integer(1), 1); // fewer are damage, which load() tells
    return std::optional{row_position{seq, seq + static_cast<std::uint64_t>(events) - 1,
                                      std::string{next_.bytes(2)}}};
  }

  void stop() { next_.reset(); }

  result<event_block> load(std::uint64_t seq) {
    load_.reset();
    load_.bind(1, seq);
    auto row = load_.step();
    if (!row || !*row) {
      load_.reset();
      return row ? error{errc::corrupt, "it vanished"} : row.error();
    }
    block_columns columns;
    columns.seq = seq;
    columns.n = static_cast<std::uint64_t>(load_.integer(0));
    columns.time_ms = load_.integer(1);
    columns.stream = load_.bytes(2);
    columns.ends = load_.bytes(3);
    columns.types = load_.bytes(4);
    columns.type_of = load_.bytes(5);
    columns.clients = load_.bytes(6);
    columns.attributes = load_.bytes(7);
    columns.bodies = load_.bytes(8);
    auto block = decode_block(columns);
    load_.reset();
    return block;
  }

  /// Adds the keys of its events. Of a row that was moved, a key may have begun before what is left
  /// of it, and have ended after.
  result<void> load_keys(event_block& block) {
    if (!has_keys_) {
      auto prepared = prepare_keys();
      if (!prepared) return prepared;
    }
    if (!*has_keys_) return {};
    keys_.reset();
    keys_.bind(1, block.first_seq);
    keys_.bind(2, block.last_seq());
    auto read = visit_rows(keys_, [&](const idempotency_record& record) {
      if (record.count > max_events_per_block) return; // damage
      const auto first = std::max(record.seq, block.first_seq);
      const auto end = std::min(record.seq + record.count, block.first_seq + block.size());
      if (first >= end) return; // of the row before
      block.keys.push_back({record.key, record.content,
                            static_cast<std::uint32_t>(first - block.first_seq),
                            static_cast<std::uint32_t>(end - first)});
    });
    keys_.reset();
    return read;
  }

  /// Adds to `count` what is owed of `stream` from `first` to `last`: of the rows that can be read
  /// one by one, as those do who read them.
  result<void> count(const std::string& stream, std::uint64_t first, std::uint64_t last,
                     const backlog_events& backlog, event_volume& count) {
    if (auto started = start(stream, first - 1); !started) return started;
    for (;;) {
      const auto row = next();
      const bool is_over = !row || !*row || (*row)->seq > last;
      if (is_over) stop();
      if (!row) return row.error();
      if (is_over) return {};
      const auto from = std::max(first, (*row)->seq), to = std::min(last, (*row)->last_seq);
      const auto portion = backlog.between(stream, from, to);
      if (portion != backlog_events::portion::none)
        count += backlog_of_row(**row, from, to, portion, backlog);
    }
  }

 private:
  open_segment_reader(std::shared_ptr<segment_catalog> catalog, segment_info info)
      : catalog_(std::move(catalog)), info_(std::move(info)) {}

  /// One that can't be read counts whole.
  event_volume backlog_of_row(const row_position& row, std::uint64_t first, std::uint64_t last,
                              backlog_events::portion portion, const backlog_events& backlog) {
    count_.reset();
    count_.bind(1, row.seq);
    const auto found = count_.step();
    if (!found || !*found) return {last - first + 1, 0};
    block_columns columns;
    columns.seq = row.seq;
    columns.n = row.last_seq - row.seq + 1;
    columns.ends = count_.bytes(0);
    columns.types = count_.bytes(1);
    columns.type_of = count_.bytes(2);
    columns.clients = count_.bytes(3);
    columns.attributes = count_.bytes(4);
    const auto block = decode_without_bodies(columns);
    count_.reset();
    if (!block) return {last - first + 1, 0};
    event_volume sum;
    for (auto seq = first; seq <= last; ++seq) {
      const auto i = seq - row.seq;
      const bool is_all = portion == backlog_events::portion::all;
      if (is_all || backlog.is_in_backlog(row.stream, seq, block->events[i].client))
        sum += {1, block->event_bytes(i)};
    }
    return sum;
  }

  result<void> connect(const std::string& vfs) {
    auto db = open_segment(info_.path, sqlite_mode::read_only, vfs);
    if (!db) return db.error();
    db_.emplace(std::move(*db));
    return prepare();
  }

  /// A segment of the first format version has no such table.
  result<void> prepare_keys() {
    auto table = db_->prepare("SELECT 1 FROM sqlite_schema WHERE name = 'idempotency'");
    if (!table) return table.error();
    const auto found = table->step();
    if (!found) return found.error();
    if (*found) {
      auto prepared = db_->prepare("SELECT seq, n, time_ms, key, content FROM idempotency "
                                   "WHERE seq >= coalesce((SELECT max(seq) FROM idempotency "
                                   "WHERE seq <= ?1), ?1) AND seq <= ?2 ORDER BY seq",
                                   true);
      if (!prepared) return prepared.error();
      keys_ = std::move(*prepared);
    }
    has_keys_ = *found;
    return {};
  }

  result<void> prepare() {
    const std::pair<sqlite_statement*, const char*> statements[] = {
        {&find_, "SELECT max(seq) FROM block WHERE seq <= ?1 + 1"},
        {&next_, "SELECT seq, n, stream FROM block WHERE seq >= ?1 AND seq + n - 1 > ?2 "
                 "AND (?3 = '' OR stream = ?3) ORDER BY seq"},
        {&load_, "SELECT n, time_ms, stream, ends, types, type_of, clients, attributes, bodies "
                 "FROM block WHERE seq = ?1"},
        {&count_, "SELECT ends, types, type_of, clients, attributes FROM block WHERE seq = ?1"},
    };
    for (const auto& [statement, sql] : statements) {
      auto prepared = db_->prepare(sql, true);
      if (!prepared) return prepared.error();
      *statement = std::move(*prepared);
    }
    return {};
  }

  std::shared_ptr<segment_catalog> catalog_;
  segment_info info_;
  std::optional<sqlite_database> db_;
  sqlite_statement find_, next_, load_, count_, keys_;
  std::optional<bool> has_keys_; // once it was looked for
};

class segment_journal_reader final : public journal_reader {
 public:
  segment_journal_reader(std::shared_ptr<segment_catalog> catalog, std::string vfs)
      : catalog_(std::move(catalog)), vfs_(std::move(vfs)) {}

  result<std::vector<std::shared_ptr<const event_block>>>
  read(const std::string& stream, std::uint64_t after_seq, std::size_t max_bytes,
       std::vector<std::string>* damage) override {
    return read_rows(
        stream, [](const std::string&) { return true; }, after_seq, {max_bytes, SIZE_MAX, false},
        damage);
  }

  result<std::vector<std::shared_ptr<const event_block>>>
  read_wanted(const stream_filter& wanted, std::uint64_t after_seq, std::size_t max_bytes,
              std::size_t max_blocks, std::vector<std::string>* damage) override {
    return read_rows({}, wanted, after_seq, {max_bytes, max_blocks, wants_keys_}, damage);
  }

  void want_keys() override { wants_keys_ = true; }

  result<std::uint64_t> seq_before_time(const std::string& stream, std::int64_t time_ms) override {
    return between_moves([&] { return seq_before_time_once(stream, time_ms); });
  }

  result<event_volume> count_backlog(const std::string& stream, std::uint64_t after_seq,
                                     std::uint64_t up_to_seq,
                                     const backlog_events& backlog) override {
    return between_moves([&] { return count_backlog_once(stream, after_seq, up_to_seq, backlog); });
  }

  result<std::uint64_t> count_between(const std::string& stream, std::uint64_t after_seq,
                                      std::uint64_t up_to_seq) override {
    return between_moves([&] { return count_between_once(stream, after_seq, up_to_seq); });
  }

  void release() override { held_.reset(); }

 private:
  /// What goes through several segments is done again if events were moved between them meanwhile.
  template <class Count>
  std::invoke_result_t<Count> between_moves(Count count) {
    constexpr int max_tries = 5;
    for (int tries = 1;; ++tries) {
      const auto moves = catalog_->moves();
      auto counted = count();
      if (catalog_->moves() == moves) return counted;
      if (tries == max_tries) return error{errc::unavailable, "events are being moved"};
      held_.reset();
    }
  }

  result<std::uint64_t> seq_before_time_once(const std::string& stream, std::int64_t time_ms) {
    for (const auto& segment : catalog_->list()) {
      if (segment.last_time_ms < time_ms || segment.events.count(stream) == 0) continue;
      if (auto opened = hold(segment); !opened) {
        if (!skippable(opened.error(), nullptr)) return opened.error();
        continue;
      }
      auto first = held_->db().prepare("SELECT seq FROM block WHERE stream = ?1 AND time_ms >= ?2 "
                                       "ORDER BY seq LIMIT 1");
      if (!first) return first.error();
      first->bind_text(1, stream);
      first->bind(2, time_ms);
      auto row = first->step();
      if (!row) return row.error();
      if (*row) return static_cast<std::uint64_t>(first->integer(0)) - 1;
    }
    return catalog_->durable_seq();
  }

  result<event_volume> count_backlog_once(const std::string& stream, std::uint64_t after_seq,
                                          std::uint64_t up_to_seq, const backlog_events& backlog) {
    using enum backlog_events::portion;
    event_volume count;
    for (const auto& segment : catalog_->list()) {
      const auto events = segment.events.find(stream);
      if (events == segment.events.end() || segment.last_seq <= after_seq) continue;
      if (segment.first_seq > up_to_seq) break;
      const auto first = std::max(segment.first_seq, after_seq + 1);
      const auto last = std::min(segment.last_seq, up_to_seq);
      const auto portion = backlog.between(stream, first, last);
      if (portion == none) continue;
      if (portion == all && first == segment.first_seq && last == segment.last_seq) {
        const auto bytes = segment.body_bytes.find(stream);
        count += {events->second, bytes == segment.body_bytes.end() ? 0 : bytes->second};
        continue;
      }
      if (auto opened = hold(segment); !opened) {
        if (!skippable(opened.error(), nullptr)) return opened.error();
        continue;
      }
      if (auto counted = held_->count(stream, first, last, backlog, count); !counted)
        if (!skippable(counted.error(), nullptr)) return counted.error();
    }
    return count;
  }

  result<std::uint64_t> count_between_once(const std::string& stream, std::uint64_t after_seq,
                                           std::uint64_t up_to_seq) {
    std::uint64_t count = 0;
    for (const auto& segment : catalog_->list()) {
      const auto events = segment.events.find(stream);
      if (events == segment.events.end() || segment.last_seq <= after_seq) continue;
      if (segment.first_seq > up_to_seq) break;
      if (segment.first_seq > after_seq && segment.last_seq <= up_to_seq) {
        count += events->second;
        continue;
      }
      if (auto opened = hold(segment); !opened) {
        if (!skippable(opened.error(), nullptr)) return opened.error();
        continue;
      }
      auto sum = held_->db().prepare("SELECT sum(min(seq + n - 1, ?3) - max(seq - 1, ?2)) "
                                     "FROM block WHERE stream = ?1 AND seq + n - 1 > ?2 "
                                     "AND seq <= ?3");
      if (!sum) return sum.error();
      sum->bind_text(1, stream);
      sum->bind(2, after_seq);
      sum->bind(3, up_to_seq);
      auto row = sum->step();
      if (!row) return row.error();
      count += static_cast<std::uint64_t>(sum->integer(0));
    }
    return count;
  }

  /// Enough is read when the bodies exceed `bytes`, or there are as many blocks.
  struct read_bounds {
    std::size_t bytes;
    std::size_t blocks;
    bool with_keys;
  };

  /// Of one stream, or of all that are wanted if it is empty.
  result<std::vector<std::shared_ptr<const event_block>>>
  read_rows(const std::string& stream, const stream_filter& wanted, std::uint64_t after_seq,
            read_bounds most, std::vector<std::string>* damage) {
    std::vector<std::shared_ptr<const event_block>> blocks;
    std::size_t bytes = 0;
    while (auto segment = next_with(stream, wanted, after_seq)) {
      auto last_read = after_seq;
      if (auto opened = hold(*segment); !opened) {
        // It was retired, or its events were moved to another: then that one is found.
        if (!catalog_->get(segment->number)) continue;
        if (!skippable(opened.error(), damage)) return opened.error();
      } else if (!read_segment(stream, wanted, last_read, most, blocks, bytes, damage)) {
        break;
      }
      // What was opened may hold more than what was found: moved events came meanwhile.
      after_seq = std::max(segment->last_seq, last_read);
    }
    return blocks;
  }

  /// The first segment that holds such events after a sequence number.
  std::optional<segment_info> next_with(const std::string& stream, const stream_filter& wanted,
                                        std::uint64_t after_seq) const {
    const auto has_some = [&](const segment_info& segment) {
      if (!stream.empty()) return segment.events.count(stream) > 0;
      return std::ranges::any_of(segment.events, [&](auto& one) { return wanted(one.first); });
    };
    auto segment = catalog_->find(after_seq + 1);
    while (segment && !has_some(*segment))
      segment = catalog_->find(segment->last_seq + 1);
    return segment;
  }

  result<void> hold(const segment_info& segment) {
    if (held_ && held_->info().number == segment.number &&
        held_->info().generation == segment.generation)
      return {};
    held_.reset();
    auto opened = open_segment_reader::open(catalog_, segment, vfs_);
    if (!opened) return opened.error();
    held_ = std::move(*opened);
    return {};
  }

  /// True when what failed concerns one segment alone, so that the next may be tried.
  static bool skippable(const error& why, std::vector<std::string>* damage) {
    if (why.code == errc::not_found) return true;
    if (why.code != errc::corrupt) return false;
    if (damage != nullptr) damage->push_back(why.message);
    return true;
  }

  /// Adds blocks of the held segment that lie after `after_seq`, which is the last one looked at
  /// then. False when enough was read.
  bool read_segment(const std::string& stream, const stream_filter& wanted,
                    std::uint64_t& after_seq, read_bounds most,
                    std::vector<std::shared_ptr<const event_block>>& blocks, std::size_t& bytes,
                    std::vector<std::string>* damage) {
    const auto tell = [&](std::string what, const error& why) {
      if (damage == nullptr) return;
      damage->push_back(held_->info().path.string() + ": " + std::move(what) +
                        " can't be read: " + why.message);
    };
    auto started = held_->start(stream, after_seq);
    if (!started) tell("rows after " + std::to_string(after_seq), started.error());
    bool wants_more = true;
    while (started && wants_more) {
      auto row = held_->next();
      if (!row) tell("rows after " + std::to_string(after_seq), row.error());
      if (!row || !*row) break;
      after_seq = (*row)->last_seq;
      if (!wanted((*row)->stream)) continue;
      auto block = held_->load((*row)->seq);
      if (!block) {
        tell("the events " + std::to_string((*row)->seq) + " to " + std::to_string(after_seq),
             block.error());
        continue;
      }
      if (most.with_keys)
        if (auto loaded = held_->load_keys(*block); !loaded)
          tell("keys of the events from " + std::to_string((*row)->seq) + " on", loaded.error());
      bytes += block->bodies.size();
      blocks.push_back(std::make_shared<const event_block>(std::move(*block)));
      wants_more = bytes <= most.bytes && blocks.size() < most.blocks;
    }
    held_->stop();
    return wants_more;
  }

  std::shared_ptr<segment_catalog> catalog_;
  std::string vfs_;
  bool wants_keys_ = false;
  std::unique_ptr<open_segment_reader> held_;
};

} // namespace

result<event_volume> journal_reader::count_after(const std::string& stream,
                                                 std::uint64_t after_seq) {
  constexpr auto last = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  return count_backlog(stream, after_seq, last, whole_backlog{});
}

std::unique_ptr<journal_reader> journal_reader::make(std::shared_ptr<segment_catalog> catalog,
                                                     std::string vfs) {
  return std::make_unique<segment_journal_reader>(std::move(catalog), std::move(vfs));
}

} // namespace penstock
