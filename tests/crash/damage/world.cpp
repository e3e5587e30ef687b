#include "tests/crash/damage/world.hpp"

#include "storage/base/file_list.hpp"
#include "storage/base/files.hpp"
#include "storage/base/node_name.hpp"
#include "storage/journal/journal_place.hpp"
#include "storage/journal/recovery.hpp"
#include "storage/sqlite/wal_vfs.hpp"

#include <algorithm>
#include <set>

namespace penstock::damage {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t some_time_ms = 1'790'000'000'000;
constexpr const char* tag = "damagedd";
constexpr const char* origin_tag = "origin22";
constexpr std::uint64_t small_reserve_bytes = 8192;

const std::vector<std::string>& stream_names() {
  static const std::vector<std::string> names{"default", "errors", "usage-pings"};
  return names;
}

/// Owes what the book says is not delivered.
class backlog_by_book final : public backlog_events {
 public:
  explicit backlog_by_book(const sent_events& events) : events_(events) {}
  portion between(const std::string& stream, std::uint64_t first,
                  std::uint64_t last) const override {
    for (auto at = events_.lower_bound(first); at != events_.end() && at->first <= last; ++at)
      if (at->second.stream == stream && !at->second.is_delivered) return portion::some;
    return portion::none;
  }
  bool is_in_backlog(const std::string&, std::uint64_t seq, std::uint64_t) const override {
    const auto found = events_.find(seq);
    return found != events_.end() && !found->second.is_delivered;
  }

 private:
  const sent_events& events_;
};

} // namespace

journal_options options_of(const fs::path& data_dir, bool preallocate) {
  journal_options options;
  options.dir = data_dir / "journal";
  options.max_bytes = 64 << 20;
  options.segment_max_bytes = 192 << 10;
  options.max_unjournaled_events = 1000;
  options.preallocate = preallocate;
  return options;
}

replica_options replica_options_of(const fs::path& data_dir) {
  replica_options options;
  options.dir = data_dir;
  options.segment_max_bytes = 192 << 10;
  return options;
}

world::world(const fs::path& dir, std::uint64_t seed, bool preallocate) : dir_(dir), random_(seed) {
  must(make_directory(dir / "journal"));
  must(write_file(dir / "journal" / tag_file_name, std::string{tag} + "\n"));
  keep_node_name(dir, "node-1");
  const auto options = options_of(dir, preallocate);
  journal_ = must(journal::open(options));
  note_journal(dir);
  kept_keys_ = must(idempotency_store::open(dir, tag, small_reserve_bytes));
  record_retention retention{kept_keys_, std::chrono::hours{24}, 1000, [] { return some_time_ms; }};
  keeper_ = segment_keeper::make(*journal_, options, std::move(retention));
  cursors_ = must(cursor_store::open(dir, small_reserve_bytes));
  accounts_ = must(account_store::open(dir));
  counters_ = must(counter_store::open(dir));
  letters_ = must(dead_letter_store::open(dir));
  replays_ = must(replay_store::open(dir));
  usage_ = must(usage_store::open(dir));
  replicas_ = must(replica_store::open(replica_options_of(dir)));
  book_.tag = tag;
}

event_block world::random_block(std::uint64_t first_seq) {
  event_block block;
  block.first_seq = first_seq;
  block.time_ms = some_time_ms + static_cast<std::int64_t>(first_seq);
  block.stream = stream_names()[random_() % stream_names().size()];
  const auto n = random_() % 4 == 0 ? 1 + random_() % 12 : 1;
  for (std::size_t i = 0; i < n; ++i) {
    auto body = "event " + std::to_string(first_seq + i) + " of " + block.stream + ' ';
    // One draw a statement: the order of arguments is the compiler's affair.
    const auto more = random_() % 25 == 0 ? 9000 : random_() % 200;
    body.append(more, static_cast<char>('a' + random_() % 26));
    const auto type = random_() % 3 == 0 ? "application/json" : "text/plain";
    const auto client = random_() % 5;
    block.push(body, type, client,
               random_() % 3 == 0 ? "{\"at\":\"" + std::to_string(first_seq + i) + "\"}" : "");
  }
  if (random_() % 3 != 0) return block;
  const auto key = random_();
  block.keys.push_back({{key, key + 1}, key, 0, 1});
  return block;
}

void world::send(int transactions) {
  for (int i = 0; i < transactions; ++i) {
    sent_events promised;
    for (auto rows = 1 + random_() % 2; rows > 0; --rows) {
      const auto block = random_block(next_seq_);
      next_seq_ = block.last_seq() + 1 + random_() % 2;
      must(journal_->append(block));
      note(promised, block);
    }
    must(journal_->commit());
    book_.events.merge(promised);
  }
}

void world::consume(double share) {
  std::vector<cursor> positions;
  for (const auto& stream : stream_names()) {
    std::vector<std::pair<const std::uint64_t, sent_event>*> backlog;
    cursor position{stream, queue_sink, 0, {}};
    for (auto& one : book_.events)
      if (one.second.stream == stream) backlog.push_back(&one);
    const auto confirmed = static_cast<std::size_t>(static_cast<double>(backlog.size()) * share);
    for (std::size_t i = 0; i < backlog.size(); ++i) {
      // In order, and one beyond.
      if (i >= confirmed && i != confirmed + 2) continue;
      backlog[i]->second.is_delivered = true;
      if (i < confirmed)
        position.seq = backlog[i]->first;
      else
        position.acked_ahead.push_back({backlog[i]->first, backlog[i]->first});
    }
    positions.push_back(position);
    must(cursors_->save({position}));
  }
  must(cursors_->save(positions));
}

void world::retire() {
  std::uint64_t confirmed = next_seq_;
  for (const auto& [seq, event] : book_.events)
    if (!event.is_delivered) {
      confirmed = seq - 1;
      break;
    }
  must(keeper_->retire(confirmed, some_time_ms * 2));
}

void world::begin_move(std::size_t segments) {
  auto from = journal_->catalog()->list();
  std::erase_if(from, [](const segment_info& one) { return !one.sealed; });
  from.resize(std::min(from.size(), segments));
  segment_mover mover{journal_->catalog(),
                      std::make_shared<file_list>(dir_ / "journal" / segments_file_name), tag,
                      wal_vfs({}, true)};
  if (!must(mover.make(from, backlog_by_book{book_.events}, 1u << 30))) std::abort();
}

void world::save_keys(int round) {
  auto& all = book_.accounts;
  key_record key;
  key.id = "key_" + std::to_string(round);
  key.version = static_cast<std::uint64_t>(round) + 1;
  key.account = "account " + std::to_string(round % 3);
  key.plan = "pro";
  key.hash = key_hasher{"secret"}(key.id);
  key.shown = "psk_live_ab";
  key.streams = {"errors", "default"};
  key.created_ms = some_time_ms + round;
  must(accounts_->save({{key}, {}}));
  all.keys.push_back(key);
  if (round % 3 != 2) return;
  auto& revoked = all.keys[static_cast<std::size_t>(round) - 2];
  revoked.revoked_ms = some_time_ms + round;
  revoked.version += 100;
  must(accounts_->save({{revoked}, {}}));
  plan_record plan{"plan " + std::to_string(round), static_cast<std::uint64_t>(round), "[]",
                   some_time_ms, 0};
  must(accounts_->save({{}, {plan}}));
  all.plans.push_back(plan);
}

void world::fill_stores(int rounds) {
  for (const auto end = round_ + rounds; round_ < end; ++round_) {
    save_keys(round_);
    counter_row row;
    row.client = static_cast<std::uint64_t>(round_) + 1;
    row.at = some_time_ms;
    row.used = 7 + static_cast<std::uint32_t>(round_);
    row.idle_at = INT64_MAX;
    must(counters_->save({&row, 1}));
    book_.counters.push_back(row);
    dead_letter letter;
    letter.sink = "bus";
    letter.stream = "default";
    letter.tag = tag;
    letter.seq = static_cast<std::uint64_t>(round_) + 1;
    letter.time_ms = some_time_ms;
    letter.content_type = "text/plain";
    letter.body = "letter " + std::to_string(round_) + std::string(random_() % 5000, 'x');
    letter.reason = "no";
    must(letters_->add({letter}));
    book_.letters.push_back(letter);
    delivery_job job;
    job.stream = "stream " + std::to_string(round_);
    must(replays_->add(job));
    auto batch = std::make_shared<usage_batch>();
    batch->time_ms = some_time_ms;
    batch->entries[0].push_back({"account " + std::to_string(round_), {1, 1, 1, 0}});
    const usage_batch_ptr shared = batch;
    must(usage_->write({&shared, 1}));
  }
  book_.jobs = static_cast<std::uint64_t>(round_);
  book_.usage_rows = usage_->rows();
}

void world::hold_replicas(int transactions) {
  must(replicas_->add_origin(origin_tag, "node-2"));
  auto& held = book_.replicas[origin_tag];
  for (int i = 0; i < transactions; ++i) {
    auto block = random_block(next_replica_seq_);
    block.keys.clear();
    next_replica_seq_ = block.last_seq() + 1;
    must(replicas_->append(origin_tag, block));
    must(replicas_->commit(origin_tag));
    note(held, block);
  }
  const auto forgotten = next_replica_seq_ / 3;
  must(replicas_->forget_up_to(origin_tag, forgotten));
  for (auto& [seq, event] : held)
    event.is_delivered = seq <= forgotten;
}

void world::copy_to(const fs::path& to) const {
  fs::remove_all(to);
  fs::copy(dir_, to, fs::copy_options::recursive);
}

} // namespace penstock::damage
