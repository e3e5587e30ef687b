// The part of a node's composition that opens what lasts, and starts the actors that write it.
#include "actors/base/shards.hpp"
#include "actors/cluster/cluster_settings.hpp"
#include "actors/cluster/placement.hpp"
#include "cli/node/client_secret.hpp"
#include "cli/node/node.hpp"
#include "net/base/stream_name.hpp"
#include "net/base/wall_time.hpp"
#include "net/clients/identity_settings.hpp"
#include "storage/base/files.hpp"
#include "storage/base/node_name.hpp"
#include "storage/journal/idempotency_rows.hpp"
#include "storage/journal/journal_place.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace penstock {

namespace {

using namespace std::chrono_literals;

name_hasher name_hasher_of(const std::string& secret) {
  return [hash = client_hasher{secret}](std::string_view kind, std::string_view name) {
    return hash(identity_source::bearer, kind, name);
  };
}

} // namespace

result<void> node::open_storage() {
  const std::filesystem::path dir{settings_.data_dir};
  if (auto made = make_directory(dir); !made) return made;
  keep_contents_private(dir);
  if (is_open_to_others(dir))
    spdlog::warn("node.data_dir {} is open to other users of this machine; 'chmod 700' closes it",
                 dir.string());
  journal_options_.dir = dir / "journal";
  journal_options_.max_bytes = settings_.journal.max_size_bytes;
  journal_options_.segment_max_bytes = settings_.journal.segment_size_bytes;
  if (auto there = miss_journal(dir); !there) return there;
  recovery_report report;
  auto opened = journal::open(journal_options_, &report);
  if (!opened) return opened.error();
  note_journal(dir);
  journal_ = std::move(*opened);
  for (auto& sentence : report.damaged)
    spdlog::error("journal: {}", sentence);
  for (auto& sentence : report.torn)
    spdlog::warn("journal: {}", sentence);
  journal_metrics_->damaged.set(static_cast<std::int64_t>(report.damaged.size()));
  if (report.events > 0)
    spdlog::info("journal: {} events in {} segments, {} bytes", report.events, report.segments,
                 report.bytes);
  if (auto done = open_cursors(); !done) return done;
  store_report found;
  auto counters = counter_store::open(dir, {}, &found);
  tell_damage(found);
  if (!counters) return counters.error();
  counter_store_ = std::move(*counters);
  keep_node_name(dir, settings_.node_name);
  state_.tag = journal_->tag();
  state_.next_ticket.store(journal_->next_seq());
  return {};
}

result<void> node::open_cursors() {
  store_report found;
  auto cursors = cursor_store::open(settings_.data_dir, default_cursor_reserve_bytes, {}, &found);
  auto saved = cursors ? (*cursors)->load(&found.damaged)
                       : result<std::vector<cursor>>{cursors.error()};
  tell_damage(found); // also before an error: what was put right is not found again
  if (!saved) return saved.error();
  const auto beyond = go_beyond_cursors(*journal_, *saved);
  if (!beyond) return beyond.error();
  if (!beyond->empty()) {
    spdlog::error("journal: {}", *beyond);
    journal_metrics_->damaged_stores.add(1);
  }
  cursors_ = std::move(*cursors);
  saved_cursors_ = std::move(*saved);
  return {};
}

void node::tell_damage(const store_report& found) {
  for (const auto& sentence : found.damaged)
    spdlog::error("stores: {}", sentence);
  for (const auto& sentence : found.torn)
    spdlog::warn("stores: {}", sentence);
  journal_metrics_->damaged_stores.add(static_cast<std::int64_t>(found.damaged.size()));
}

result<void> node::open_usage() {
  const auto& settings = settings_.usage;
  if (!settings.enabled) return {};
  store_report found;
  auto store = usage_store::open(settings_.data_dir, &found);
  tell_damage(found);
  if (!store) return store.error();
  auto reader = usage_reader::open(settings_.data_dir,
                                    static_cast<std::int64_t>(settings_.memory.usage_sums));
  if (!reader) return reader.error();
  usage_parts parts;
  parts.store = std::move(*store);
  parts.keep.keep_ms = {settings.minute_retention_ms, settings.hour_retention_ms,
                        settings.day_retention_ms, 0ms};
  parts.keep.max_rows = settings.max_rows;
  parts.metrics = usage_metrics_;
  parts.wall_ms = wall_ms;
  parts.max_pending_entries = settings_.memory.usage_pending_entries;
  parts.pending = usage_budget_;
  usage_ = system_.spawn<caf::detached>(usage_actor, std::move(parts));
  usage_reader_ = system_.spawn<caf::detached>(
      usage_reader_actor, usage_reader_parts{std::move(*reader), stopping_, true});
  return {};
}

// Usage is rebuilt with what the journal has and the accounts that are known.
void node::start_usage_rebuilder() {
  if (!usage_) return;
  usage_rebuilder_parts parts;
  parts.data_dir = settings_.data_dir;
  parts.journal = journal_reader::make(journal_->catalog());
  parts.catalog = journal_->catalog();
  parts.usage = usage_;
  parts.accounts = accounts_;
  parts.hash = name_hasher_of(secret_);
  parts.is_cluster = settings_.cluster.directory != directory_kind::none;
  parts.board = usage_rebuild_board_;
  parts.stopping = stopping_;
  parts.max_sums = settings_.memory.usage_sums;
  usage_rebuilder_ = system_.spawn<caf::detached>(usage_rebuilder_actor, std::move(parts));
}

// Fills the indexes of the lanes with the keys that the journal still tells of.
result<void> node::open_idempotency() {
  const auto& settings = settings_.idempotency;
  if (settings.max_keys == 0) return {};
  store_report found;
  auto store = idempotency_store::open(settings_.data_dir, journal_->tag(),
                                       default_idempotency_reserve_bytes, {}, &found);
  tell_damage(found);
  if (!store) return store.error();
  kept_keys_ = std::move(*store);
  const auto share = std::max<std::uint64_t>(1, settings.max_keys / lanes_.size());
  for (auto& lane : lanes_)
    lane.keys = std::make_shared<idempotency_index>(share, settings.window_ms.count());
  const auto now_ms = wall_ms();
  const auto since_ms = now_ms - settings.window_ms.count();
  std::size_t count = 0;
  const auto add = [&](const idempotency_record& record) {
    lanes_[shard_of(record.key.high) % lanes_.size()].keys->insert(record, now_ms);
    ++count;
  };
  if (auto read = kept_keys_->visit(since_ms, add); !read) return read;
  for (const auto& segment : journal_->catalog()->list()) {
    if (segment.keys == 0 || segment.last_time_ms < since_ms) continue;
    if (auto read = visit_records(segment.path, since_ms, add); !read) {
      if (read.error().code != errc::corrupt) return read;
      spdlog::error("journal: idempotency keys can't be read: {}", read.error().message);
    }
  }
  if (count > 0)
    spdlog::info("idempotency: {} keys of the last {} s, read in {} ms", count,
                 settings.window_ms.count() / 1000, wall_ms() - now_ms);
  return {};
}

// Keys and plans. The account book is the accounts actor's once that runs.
result<void> node::open_accounts() {
  auto secret = client_secret(settings_.cluster, settings_.data_dir);
  if (!secret) return secret.error();
  secret_ = std::move(*secret);
  store_report found;
  auto store = account_store::open(settings_.data_dir, {}, &found);
  tell_damage(found);
  if (!store) return store.error();
  auto records = (*store)->load();
  if (!records) return records.error();
  account_book_ = std::make_shared<account_book>(std::move(*records), plans_of(settings_),
                                                 name_hasher_of(secret_));
  account_store_ = std::move(*store);
  return {};
}

std::vector<sink_route> node::sink_routes() const {
  std::vector<sink_route> routes;
  for (const auto& sink : fed_sinks(settings_))
    routes.push_back({sink, feeds(settings_, sink)});
  return routes;
}

void node::start_storage_actors() {
  journal_actor_settings settings;
  settings.recent_bytes = settings_.queue.memory_bytes;
  settings.recent = recent_budget_;
  settings.received_delay_ms = settings_.journal.received_delay_ms;
  const auto percent_of_cap = [this](std::uint64_t percent) {
    const auto cap = settings_.journal.max_size_bytes;
    return cap / 100 * percent + cap % 100 * percent / 100;
  };
  settings.max_bytes = settings_.journal.max_size_bytes;
  settings.scarce_above_bytes = percent_of_cap(settings_.journal.high_watermark);
  settings.scarce_until_bytes = percent_of_cap(settings_.journal.low_watermark);
  settings.is_fetched = [streams = settings_.streams](const std::string& stream) {
    const auto found = streams.find(stream);
    return !(found != streams.end() ? found->second : streams.at("default")).sinks.empty();
  };
  settings.replicator = replicator_;
  settings.space_rule = space_rule(settings_);
  settings.unconfigured_max_bytes = unconfigured_max_bytes(settings_);
  journal_actor_ = system_.spawn<caf::detached>(journal_actor, journal_, std::move(settings),
                                                &state_, journal_metrics_);
  keeper_parts keeper;
  keeper.segments = segment_keeper::make(
      *journal_, journal_options_,
      {kept_keys_, settings_.idempotency.window_ms, settings_.idempotency.max_keys, wall_ms});
  keeper.catalog = journal_->catalog();
  keeper.sinks = fed_sinks(settings_);
  keeper.retention_ms = settings_.journal.retention_ms;
  keeper.replicator = replicator_;
  keeper.metrics = keeper_metrics_;
  keeper.wall_ms = wall_ms;
  keeper.cursors = cursors_;
  keeper.routes = sink_routes();
  keeper.queue = queue_name(settings_);
  keeper.max_bytes = settings_.journal.max_size_bytes;
  keeper.segment_max_bytes = journal_options_.segment_max_bytes;
  keeper_ = system_.spawn<caf::detached>(keeper_actor, std::move(keeper));
}

void node::start_queue() {
  auto sink = queue_name(settings_);
  queue_parts queue;
  queue.sink = sink;
  queue.settings = settings_.queue;
  queue.feeds = feeds(settings_, sink);
  queue.is_configured = is_configured();
  queue.budget = queue_budget_;
  queue.saved = saved_cursors_;
  queue.cursors = cursors_;
  queue.reader = journal_reader::make(journal_->catalog());
  queue.replay = journal_reader::make(journal_->catalog());
  queue.catalog = journal_->catalog();
  queue.journal = journal_actor_;
  queue.keeper = keeper_;
  queue.is_name = [](const std::string& stream) { return is_stream_name(stream); };
  queue.dead_letters = dead_letters_;
  queue.tag = journal_->tag();
  queue.space_rule = space_rule(settings_);
  queue.metrics = queue_metrics_;
  queue.wall_ms = wall_ms;
  queue_ = system_.spawn<caf::detached>(queue_actor, std::move(queue));
}

// One ledger a lane, with what clients had used when it was saved last.
result<std::vector<std::shared_ptr<limit_ledger>>> node::restore_ledgers() {
  auto plans = limiters_plans(*account_book_->plans());
  auto max_clients = std::max<std::uint64_t>(1, settings_.limiter.max_clients / lanes_.size());
  std::vector<std::shared_ptr<limit_ledger>> ledgers;
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    ledgers.push_back(std::make_shared<limit_ledger>(plans, max_clients, limit_labels_));
  auto now = wall_ns();
  auto loaded = counter_store_->load(now, [&](const counter_row& row) {
    ledgers[shard_of(row.client) % lanes_.size()]->restore(row, now);
  });
  if (!loaded) return loaded.error();
  return ledgers;
}

} // namespace penstock
