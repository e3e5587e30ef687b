// A small journal whose files the input damages, and then the start of a node on it. The first byte
// chooses the journal, the second whether the logs' checksums are made right again, as whoever
// wants to do harm would; the rest is the damage.
#include "storage/journal/recovery.hpp"
#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/journal/journal.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/segment.hpp"
#include "storage/journal/segment_keeper.hpp"
#include "storage/journal/segment_mover.hpp"
#include "storage/sqlite/wal_vfs.hpp"
#include "tests/fuzz/disk_damage.hpp"
#include "tests/fuzz/target.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

using namespace penstock;
using namespace penstock::fuzz;

namespace {

constexpr std::uint64_t events_per_commit = 3, commits_per_segment = 3, segments = 3;
constexpr std::uint64_t last_written = events_per_commit * commits_per_segment * segments;
constexpr auto tag_of_all = "fuzzfuzz";
constexpr std::int64_t far_future_ms = std::int64_t{1} << 60;

journal_options small_journal(bool preallocate) {
  journal_options options;
  options.dir = scratch_dir() / "journal";
  options.max_bytes = 16 << 20;
  options.segment_max_bytes = 64 << 10;
  options.max_unjournaled_events = 100;
  options.preallocate = preallocate;
  return options;
}

struct plain_event {
  std::string stream, body, type, attributes;
  std::uint64_t client = 0;
  std::int64_t time_ms = 0;
  bool operator==(const plain_event&) const = default;
};
using plain_events = std::map<std::uint64_t, plain_event>;

plain_event event_at(const event_block& block, std::size_t i) {
  const auto& meta = block.events[i];
  return {block.stream,
          std::string{block.body(i)},
          block.content_types[meta.type],
          block.attributes[meta.attributes],
          meta.client,
          block.time_ms};
}

event_block block_at(std::uint64_t first) {
  event_block block;
  block.first_seq = first;
  block.time_ms = static_cast<std::int64_t>(first);
  block.stream = first % 2 == 0 ? "beats" : "errors";
  for (auto seq = first; seq < first + events_per_commit; ++seq)
    block.push("event " + std::to_string(seq) + std::string(seq % 4 * 500, '.'),
               seq % 3 == 0 ? "a/b" : "c/d", seq % 5, seq % 3 == 1 ? R"({"a":"b"})" : "");
  block.keys.push_back({});
  block.keys.back().count = 1;
  return block;
}

std::uint64_t segment_of(std::uint64_t seq) {
  return (seq - 1) / (events_per_commit * commits_per_segment) + 1;
}

struct whole_backlog final : backlog_events {
  portion between(const std::string&, std::uint64_t, std::uint64_t) const override {
    return portion::all;
  }
  bool is_in_backlog(const std::string&, std::uint64_t, std::uint64_t) const override {
    return true;
  }
};

void must_work(const result<void>& done) {
  expect(done.has_value(), done ? "" : done.error().message.c_str());
}

/// A journal to damage: its files as a kill leaves them.
struct made_journal {
  file_images files;
  std::vector<std::string> names; ///< of what may be damaged, and of what may come to be
  bool has_move = false;          ///< of the first two segments into one, made and not finished
  bool preallocates = true;
};

enum class end_of_journal : std::uint8_t { plain, prepared, moving, earlier_logs };

made_journal make_journal(end_of_journal how) {
  made_journal made;
  made.preallocates = how != end_of_journal::earlier_logs;
  made.has_move = how == end_of_journal::moving;
  const auto options = small_journal(made.preallocates);
  write_files(options.dir, {{"tag", std::string{tag_of_all} + "\n"}});
  fix_sqlite_randomness();
  auto log = journal::open(options);
  expect(log.has_value(), "a journal can be made");
  for (std::uint64_t seq = 1; seq <= last_written; seq += events_per_commit) {
    if (seq > 1 && segment_of(seq) != segment_of(seq - 1)) must_work((*log)->rotate());
    must_work((*log)->append(block_at(seq)));
    must_work((*log)->commit());
  }
  if (how == end_of_journal::prepared) must_work(segment_keeper::make(**log, options)->prepare());
  const auto catalog = (*log)->catalog();
  if (made.has_move)
    expect(segment_mover{catalog, std::make_shared<file_list>(options.dir / segments_file_name),
                         tag_of_all, wal_vfs({}, true)}
               .make({*catalog->get(1), *catalog->get(2)}, whole_backlog{}, options.max_bytes)
               .has_value(),
           "segments can be moved");
  made.files = read_files(options.dir);
  made.files.erase("lock");
  std::erase_if(made.files, [](const auto& file) { return file.first.ends_with("-shm"); });
  for (const auto& [name, bytes] : made.files)
    made.names.push_back(name);
  made.names.insert(made.names.end(), {"000000000009.db", "000000000009.db-wal", "spare-1.wal"});
  return made;
}

const made_journal& journal_to_damage(std::uint8_t which) {
  static const std::array all{
      make_journal(end_of_journal::plain), make_journal(end_of_journal::prepared),
      make_journal(end_of_journal::moving), make_journal(end_of_journal::earlier_logs)};
  return all[which % all.size()];
}

/// Everything that can be read, in its order. What is written with right checksums may be anything.
plain_events read_everything(const journal& log, bool is_honest) {
  constexpr std::size_t max_bytes = 2000, max_blocks = 2, max_reads = 1000;
  plain_events events;
  auto reader = journal_reader::make(log.catalog(), wal_vfs({}, true));
  std::vector<std::string> damage;
  std::uint64_t after = 0;
  for (std::size_t reads = 0;; ++reads) {
    expect(reads < max_reads, "reading ends");
    const auto blocks = reader->read_wanted([](const std::string&) { return true; }, after,
                                            max_bytes, max_blocks, &damage);
    expect(blocks.has_value() || !is_honest, "what a start took can be read");
    if (!blocks || blocks->empty()) break;
    for (const auto& block : *blocks)
      for (std::size_t i = 0; i < block->size(); ++i)
        expect(events.emplace(block->first_seq + i, event_at(*block, i)).second || !is_honest,
               "no event is read twice");
    expect(blocks->back()->last_seq() > after, "each read goes on where the last one ended");
    after = blocks->back()->last_seq();
  }
  expect(damage.empty() || !is_honest, "what a start took is whole");
  (void)reader->count_after("errors", after / 2);
  (void)reader->count_between("beats", 1, after);
  (void)reader->seq_before_time("errors", 5);
  return events;
}

/// What the first start found.
struct first_start {
  recovery_report report;
  plain_events events;
};

bool is_as_it_was(const made_journal& made, const file_images& files, const std::string& name) {
  const auto now = files.find(name), before = made.files.find(name);
  if (now == files.end() || before == made.files.end())
    return now == files.end() && before == made.files.end();
  return now->second == before->second;
}

bool is_segment_untouched(const made_journal& made, const file_images& files,
                          std::uint64_t number) {
  const auto db = segment_path({}, number).string();
  return is_as_it_was(made, files, db) && is_as_it_was(made, files, db + "-wal");
}

/// What is read was written, and only what lies in damaged files is missing.
void check_events(const made_journal& made, const file_images& files, const plain_events& read) {
  const bool is_move_untouched =
      !made.has_move || (is_as_it_was(made, files, "000000000001.db.moved") &&
                         is_as_it_was(made, files, "000000000001.db.moved-wal"));
  for (std::uint64_t seq = 1; seq <= last_written; ++seq) {
    const auto found = read.find(seq);
    const auto block = block_at(seq - (seq - 1) % events_per_commit);
    if (found != read.end())
      expect(found->second == event_at(block, seq - block.first_seq),
             "what is read is what was written");
    else
      expect(!is_move_untouched || !is_segment_untouched(made, files, segment_of(seq)),
             "only what lies in damaged files is lost");
  }
  expect(read.empty() || read.rbegin()->first <= last_written,
         "nothing is read that was not written");
}

constexpr std::string_view unused_log = "penstock: a log that is not used";

bool holds_something(const std::string& bytes) {
  return !bytes.starts_with(unused_log) && bytes.find_first_not_of('\0') != std::string::npos;
}

// Which damage can be told at all: not that a segment's files are both gone, nor that the end of
// the last log is as if it had never been written.
bool must_be_told(const file_images& files, std::uint64_t seq) {
  const auto db = segment_path({}, segment_of(seq)).string(),
             last = segment_path({}, segments).string();
  const auto log = files.find(db + "-wal");
  return db != last && files.count(last) != 0 &&
         (files.count(db) != 0 || (log != files.end() && holds_something(log->second)));
}

/// What is lost is told, one sentence for each file at least.
void check_told(const made_journal& made, const file_images& files, const first_start& first) {
  for (const auto& [name, bytes] :
       files) // a log that says of itself that it was never used is believed
    if (name.ends_with("-wal") && bytes.starts_with(unused_log) && !is_as_it_was(made, files, name))
      return;
  for (std::uint64_t seq = 1; seq <= last_written; ++seq)
    if (first.events.count(seq) == 0 && must_be_told(files, seq))
      expect(!first.report.damaged.empty() || !first.report.torn.empty(),
             "nothing is lost in silence");
}

/// Whatever may hold an event is where it was, or put aside as it was.
void check_nothing_deleted(const made_journal& made, const file_images& files,
                           const file_images& after) {
  for (const auto& [name, bytes] : files) {
    if (!name.ends_with(".db-wal") || !holds_something(bytes)) continue;
    const bool may_be_moved =
        made.has_move && (name.starts_with("000000000001") || name.starts_with("000000000002"));
    if (may_be_moved || after.count(name) != 0) continue;
    const auto aside = after.find("damaged/" + name);
    expect(aside != after.end(), "no log goes that may hold an event");
    expect(aside->second == bytes, "what is put aside is as it was");
  }
}

/// A start that fails leaves all as it was, so that a person can mend it.
void check_refusal(const error& why, const file_images& files, const file_images& after) {
  expect(why.code == errc::corrupt || why.code == errc::newer,
         "a start fails only on a tag or a newer format");
  expect(!why.message.empty(), "and says why");
  for (const auto& [name, bytes] : files) {
    if (name.ends_with(".moved") || name.ends_with(".moved-wal")) continue;
    const auto found = after.find(name);
    expect(found != after.end() && found->second == bytes, "a start that fails changes nothing");
  }
}

bool tells_of(const std::vector<std::string>& sentences, const std::string& sentence) {
  // The name of a segment, or another file's: up to the first blank.
  const auto name = sentence.substr(0, sentence.find(' '));
  return std::ranges::any_of(sentences, [&](const auto& one) { return one.starts_with(name); });
}

/// Starts, reads, and goes on.
bool start_once(const made_journal& made, const file_images& files, bool is_honest,
                first_start& out) {
  const auto options = small_journal(made.preallocates);
  auto log = journal::open(options, &out.report);
  if (!log) {
    check_refusal(log.error(), files, read_files(options.dir));
    return false;
  }
  check_nothing_deleted(made, files, read_files(options.dir));
  out.events = read_everything(**log, is_honest);
  if (!is_honest) return true;
  check_events(made, files, out.events);
  check_told(made, files, out);
  const auto next = (*log)->next_seq();
  if (is_as_it_was(made, files, "next-id")) expect(next > last_written, "no id is given twice");
  const auto block = block_at(next);
  must_work((*log)->append(block));
  must_work((*log)->commit());
  for (std::size_t i = 0; i < block.size(); ++i)
    out.events[next + i] = event_at(block, i);
  return true;
}

/// Finds the same again, and nothing more to tell; then all is delivered.
void start_again(const made_journal& made, bool is_honest, const first_start& first) {
  const auto options = small_journal(made.preallocates);
  recovery_report report;
  auto log = journal::open(options, &report);
  expect(log.has_value(), "a second start succeeds");
  if (is_honest) {
    expect(report.torn.empty(), "a torn end is told once");
    for (const auto& sentence : report.damaged)
      expect(tells_of(first.report.damaged, sentence), "a second start finds no further damage");
    expect(read_everything(**log, true) == first.events, "a second start reads the same");
  }
  const auto before = read_files(options.dir);
  auto keeper = segment_keeper::make(**log, options);
  (void)keeper->retire(UINT64_MAX, far_future_ms);
  if (!is_honest) return;
  const auto after = read_files(options.dir);
  for (const auto& segment : (*log)->catalog()->list())
    expect(!segment.damaged, "what is damaged is put aside when it was delivered");
  for (const auto& [name, bytes] : before)
    if (name.starts_with("damaged/")) expect(after.count(name) != 0, "what was put aside stays");
}

} // namespace

PENSTOCK_FUZZ_TARGET(recovery)(std::string_view input) {
  command_bytes script{input};
  const auto& made = journal_to_damage(script.byte());
  const bool is_honest = script.byte() % 4 != 3;
  auto files = made.files;
  damage_files(script, files, made.names);
  if (!is_honest)
    for (auto& [name, bytes] : files)
      if (name.ends_with("-wal")) reseal_log(bytes);
  write_files(scratch_dir() / "journal", files);
  first_start first;
  if (start_once(made, files, is_honest, first)) start_again(made, is_honest, first);
}
