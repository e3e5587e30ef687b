#include "tests/crash/damage/life.hpp"

#include "storage/check/data_dir_check.hpp"
#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/journal_place.hpp"
#include "storage/journal/journal_reader.hpp"
#include "storage/journal/replica_store.hpp"
#include "storage/journal/segment_keeper.hpp"
#include "storage/stores/cursor_store.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/replay_store.hpp"
#include "storage/stores/usage_store.hpp"
#include "tests/crash/damage/base.hpp"

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>

namespace penstock::damage {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t no_limit_bytes = std::numeric_limits<std::size_t>::max();
constexpr std::int64_t any_time_ms = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t letters_at_once = 10'000;

bool is_acked_ahead(const cursor& position, std::uint64_t seq) {
  return std::ranges::any_of(position.acked_ahead, [&](const auto& range) {
    return range.first <= seq && seq <= range.second;
  });
}

class one_life {
 public:
  one_life(const fs::path& dir, const deeds& does) : dir_(dir), does_(does) {}

  life run() {
    auto done = open_journal();
    for (const auto step :
         {&one_life::open_cursors, &one_life::open_counters, &one_life::open_accounts,
          &one_life::open_keys, &one_life::open_letters, &one_life::open_replays,
          &one_life::open_usage, &one_life::open_replicas, &one_life::deliver,
          &one_life::add_events, &one_life::confirm_all})
      if (done) done = (this->*step)();
    if (!done) {
      out_.refusal = done.error().message;
      out_.refused_as = done.error().code;
    }
    auto& all = out_.damaged;
    all.insert(all.end(), stores_.damaged.begin(), stores_.damaged.end());
    out_.torn.insert(out_.torn.end(), stores_.torn.begin(), stores_.torn.end());
    return std::move(out_);
  }

 private:
  result<void> open_journal() {
    if (auto there = miss_journal(dir_); !there) return there;
    recovery_report report;
    auto opened = journal::open(options_of(dir_), &report);
    out_.damaged = std::move(report.damaged);
    out_.torn = std::move(report.torn);
    if (!opened) return opened.error();
    note_journal(dir_);
    journal_ = std::move(*opened);
    out_.next_seq = journal_->next_seq();
    return {};
  }

  result<void> open_cursors() {
    auto opened = cursor_store::open(dir_, 0, {}, &stores_);
    if (!opened) return opened.error();
    cursors_ = std::move(*opened);
    auto loaded = cursors_->load(&stores_.damaged);
    if (!loaded) return loaded.error();
    const auto beyond = go_beyond_cursors(*journal_, *loaded);
    if (!beyond) return beyond.error();
    if (!beyond->empty()) out_.damaged.push_back(*beyond);
    out_.next_seq = journal_->next_seq();
    for (auto& position : *loaded)
      if (position.sink == queue_sink) positions_[position.stream] = position;
    return {};
  }

  result<void> open_counters() {
    auto opened = counter_store::open(dir_, {}, &stores_);
    if (!opened) return opened.error();
    return (*opened)->load(0, [&](const counter_row& row) { out_.counters.push_back(row); });
  }

  result<void> open_accounts() {
    auto opened = account_store::open(dir_, {}, &stores_);
    if (!opened) return opened.error();
    auto all = (*opened)->load();
    if (!all) return all.error();
    out_.accounts = std::move(*all);
    return {};
  }

  result<void> open_keys() {
    auto opened = idempotency_store::open(dir_, journal_->tag(), 0, {}, &stores_);
    if (!opened) return opened.error();
    return (*opened)->visit(0, [](const idempotency_record&) {});
  }

  result<void> open_letters() {
    auto opened = dead_letter_store::open(dir_, default_dead_letters_bytes, {}, &stores_);
    if (!opened) return opened.error();
    for (std::uint64_t last = 0;;) {
      auto some = (*opened)->list({}, last, letters_at_once, true);
      if (!some) return some.error();
      if (some->empty()) return {};
      for (auto& kept : *some)
        (kept.is_damaged ? out_.damaged_letters : out_.letters).push_back(std::move(kept.letter));
      last = some->back().number;
    }
  }

  result<void> open_replays() {
    auto opened = replay_store::open(dir_, {}, &stores_);
    if (!opened) return opened.error();
    auto all = (*opened)->list();
    if (!all) return all.error();
    out_.jobs = all->size();
    return {};
  }

  result<void> open_usage() {
    auto opened = usage_store::open(dir_, &stores_);
    if (!opened) return opened.error();
    out_.usage_rows = (*opened)->rows();
    return {};
  }

  result<void> open_replicas() {
    const auto options = replica_options_of(dir_);
    auto opened = replica_store::open(options, &out_.damaged, &out_.torn);
    if (!opened) return opened.error();
    for (const auto& origin : (*opened)->list()) {
      auto& events = out_.replicas[origin.tag];
      const auto catalog = (*opened)->catalog(origin.tag);
      for (const auto& stream : catalog->streams())
        if (auto read = take(catalog, {stream, {}, origin.forgotten_seq, {}}, events); !read)
          return read;
    }
    return {};
  }

  result<void> deliver() {
    for (const auto& stream : journal_->catalog()->streams()) {
      const auto saved = positions_.find(stream);
      const auto position =
          saved == positions_.end() ? cursor{stream, queue_sink, 0, {}} : saved->second;
      if (auto read = take(journal_->catalog(), position, out_.delivered); !read) return read;
    }
    return {};
  }

  result<void> take(const std::shared_ptr<segment_catalog>& catalog, const cursor& position,
                    sent_events& into) {
    const auto reader = journal_reader::make(catalog);
    const auto blocks = reader->read(position.stream, position.seq, no_limit_bytes, &out_.rows);
    if (!blocks) return blocks.error();
    for (const auto& block : *blocks) {
      sent_events found;
      note(found, *block);
      for (auto& [seq, event] : found)
        if (seq > position.seq && !is_acked_ahead(position, seq)) into[seq] = std::move(event);
    }
    return {};
  }

  result<void> add_events() {
    if (does_.add == nullptr) return {};
    for (const auto& [index, event] : *does_.add) {
      event_block block;
      block.first_seq = journal_->next_seq() + index;
      block.time_ms = 1;
      block.stream = event.stream;
      block.push(event.body, event.content_type, 0, event.attributes);
      if (auto done = journal_->append(block); !done) return done;
      if (auto done = journal_->commit(); !done) return done;
    }
    return deliver();
  }

  result<void> confirm_all() {
    if (!does_.confirms_all) return {};
    if (auto done = journal_->rotate(); !done) return done;
    std::vector<cursor> all;
    for (const auto& stream : journal_->catalog()->streams())
      all.push_back({stream, queue_sink, journal_->catalog()->durable_seq(), {}});
    if (auto done = cursors_->save(all); !done) return done;
    const auto keeper = segment_keeper::make(*journal_, options_of(dir_));
    const auto retired = keeper->retire(journal_->catalog()->durable_seq(), any_time_ms);
    return retired ? result<void>{} : retired.error();
  }

  const fs::path& dir_;
  const deeds& does_;
  life out_;
  store_report stores_;
  std::unique_ptr<journal> journal_;
  std::unique_ptr<cursor_store> cursors_;
  std::map<std::string, cursor> positions_;
};

} // namespace

life live_once(const fs::path& data_dir, const deeds& does) {
  return one_life{data_dir, does}.run();
}

checked check_once(const fs::path& data_dir, const fs::path& scratch) {
  checked out;
  auto copy = data_dir_copy::make(data_dir, scratch);
  if (!copy) return {copy.error().message, {}, {}};
  auto report = open_all_stores(copy->path());
  if (!report) return {copy->of_original(report.error().message), {}, {}};
  for (auto& sentence : report->damaged)
    out.damaged.push_back(copy->of_original(std::move(sentence)));
  for (auto& sentence : report->torn)
    out.torn.push_back(copy->of_original(std::move(sentence)));
  return out;
}

std::string content_of(const fs::path& file) {
  std::error_code absent;
  const auto bytes = fs::file_size(file, absent);
  std::string content(absent ? 0 : bytes, '\0');
  std::ifstream{file, std::ios::binary}.read(content.data(),
                                             static_cast<std::streamsize>(content.size()));
  return content;
}

std::size_t fingerprint(const fs::path& dir) {
  std::vector<std::string> all;
  for (const auto& entry : fs::recursive_directory_iterator{dir}) {
    auto text = entry.path().string();
    if (entry.is_regular_file()) text += content_of(entry.path());
    all.push_back(std::move(text));
  }
  std::sort(all.begin(), all.end());
  std::size_t sum = 0;
  for (const auto& one : all)
    sum = sum * 31 + std::hash<std::string>{}(one);
  return sum;
}

} // namespace penstock::damage
