#include "actors/journal/journal_actor.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/base/lifecycle_messages.hpp"
#include "actors/interfaces/handles.hpp"
#include "storage/base/assert.hpp"

#include <spdlog/spdlog.h>

namespace penstock {

void journal_state::start(std::shared_ptr<journal> store, journal_actor_settings settings,
                          node_state* node, std::shared_ptr<journal_metrics> metrics) {
  store_ = std::move(store);
  settings_ = std::move(settings);
  node_ = node;
  metrics_ = std::move(metrics);
  // Not node->next_ticket: front ends may have drawn from it before this actor's thread came to
  // run.
  next_ticket_ = store_->next_seq();
  auto durable = store_->catalog()->durable_seq();
  fetches_.emplace(
      settings_.recent_bytes, durable, settings_.recent,
      [this] { return caf::response_promise{self_->make_response_promise()}; },
      [this](const publisher_handle& to, stream_seen what) { self_->send(to, std::move(what)); });
  space_.emplace(settings_.space_rule, settings_.unconfigured_max_bytes, store_->catalog(),
                 metrics_, [this](const front_end_handle& to, refused_streams_ptr which) {
                   self_->send(to, std::move(which));
                 });
  metrics_->durable_seq.set(static_cast<std::int64_t>(durable));
  metrics_->bytes.set(static_cast<std::int64_t>(store_->bytes()));
  check_scarce();
  self_->delayed_send(self_, place_check_interval, place_check{});
}

// -- appending ------------------------------------------------------------------------------------

void journal_state::take(const append_batch_ptr& batch) {
  metrics_->messages.add();
  if (batch->first_ticket != next_ticket_) {
    // Tickets are drawn from one counter, each once.
    PENSTOCK_ASSERT(batch->first_ticket > next_ticket_);
    const bool is_new = overtook_.emplace(batch->first_ticket, batch).second;
    PENSTOCK_ASSERT(is_new);
    return;
  }
  stage(batch);
  while (!overtook_.empty() && overtook_.begin()->first == next_ticket_) {
    auto next = overtook_.begin()->second;
    overtook_.erase(overtook_.begin());
    stage(next);
  }
}

void journal_state::stage(const append_batch_ptr& batch) {
  next_ticket_ += batch->events;
  if (store_->full()) {
    error why{errc::journal_full, "the journal has reached journal.max_size"};
    refuse_more(why);
    return tell({batch}, {{}, false, why});
  }
  staged_.push_back(batch);
  staged_events_ += batch->events;
  for (auto& block : batch->blocks) {
    PENSTOCK_ASSERT(block->first_seq >= batch->first_ticket && block->last_seq() < next_ticket_);
    if (!follows_row(*block) && !write_row()) return;
    gather(block);
  }
  metrics_->queued_batches.set(static_cast<std::int64_t>(staged_.size() + overtook_.size()));
  if (staged_events_ >= max_group_events || staged_bytes_ >= max_group_bytes) return commit();
  if (batch->urgent && !commit_sent_) {
    commit_sent_ = true;
    self_->send(self_, commit_due{});
  } else if (!batch->urgent && !commit_sent_ && !delayed_commit_sent_) {
    delayed_commit_sent_ = true;
    self_->delayed_send(self_, settings_.received_delay_ms, commit_due{});
  }
}

// Whether the block can go into the row that is being gathered.
bool journal_state::follows_row(const event_block& block) const {
  return row_ && row_->stream == block.stream && row_->last_seq() + 1 == block.first_seq &&
         row_->size() + block.size() <= max_row_events &&
         row_->bodies.size() + block.bodies.size() <= max_row_bytes;
}

void journal_state::gather(const block_ptr& block) {
  PENSTOCK_ASSERT(!row_ || row_->last_seq() + 1 == block->first_seq);
  staged_bytes_ += block->bodies.size();
  // The first block is the row itself; its front end does not look at it until it is told.
  if (row_)
    row_->append(*block);
  else
    row_ = block;
}

// False when it could not be written, in which case the whole group has failed.
bool journal_state::write_row() {
  if (!row_) return true;
  auto row = std::move(row_);
  row_ = nullptr;
  if (auto done = store_->append(*row); !done) {
    fail_staged(done.error());
    return false;
  }
  PENSTOCK_ASSERT(rows_.empty() || rows_.back()->last_seq() < row->first_seq);
  rows_.push_back(std::move(row));
  return true;
}

void journal_state::commit() {
  commit_sent_ = delayed_commit_sent_ = false;
  if (staged_.empty() || !write_row()) return;
  if (auto done = store_->commit(); !done) return fail_staged(done.error());
  set_failed(false);
  auto batches = std::move(staged_);
  auto events = staged_events_;
  auto bytes = staged_bytes_;
  staged_.clear();
  staged_events_ = staged_bytes_ = 0;
  // What nobody fetches is let go before the front end is told, so that it can use the memory
  // again.
  for (auto& batch : batches)
    batch->blocks.clear();
  send_to_replicator();
  if (!rows_told_.empty()) tell_subscribers();
  space_->note_appended(rows_);
  std::vector<const_block_ptr> fetched;
  for (auto& row : rows_)
    if (settings_.is_fetched(row->stream)) fetched.push_back(std::move(row));
  rows_.clear();
  tell(batches, {{}, true, {}});
  fetches_->publish(fetched);
  note_commit(events, bytes);
  if (store_->wants_rotation()) {
    if (auto done = store_->rotate(); !done)
      spdlog::warn("journal: the next segment can't be made: {}", done.error().message);
  }
  if (store_->full()) refuse_more({errc::journal_full, {}});
  check_scarce();
}

void journal_state::note_commit(std::size_t events, std::size_t bytes) {
  metrics_->commits.add();
  metrics_->events.add(events);
  metrics_->appended_bytes.add(bytes);
  metrics_->fsync_us.observe(store_->last_commit_us());
  metrics_->group_size.observe(events);
  metrics_->durable_seq.set(static_cast<std::int64_t>(store_->catalog()->durable_seq()));
  metrics_->bytes.set(static_cast<std::int64_t>(store_->bytes()));
  metrics_->queued_batches.set(static_cast<std::int64_t>(overtook_.size()));
}

// The journal has rolled back everything since the last commit.
void journal_state::fail_staged(const error& why) {
  metrics_->failures.add();
  spdlog::error("journal: nothing was stored: {}", why.message);
  auto batches = std::move(staged_);
  staged_.clear();
  row_ = nullptr;
  rows_.clear();
  staged_events_ = staged_bytes_ = 0;
  if (why.code == errc::disk_full || why.code == errc::journal_full) refuse_more(why);
  if (why.code == errc::io || why.code == errc::corrupt) set_failed(true);
  tell(batches, {{}, false, why});
}

void journal_state::set_failed(bool failed) {
  if (node_->journal_failed.load(std::memory_order_relaxed) == failed) return;
  node_->journal_failed.store(failed);
  metrics_->failed.set(failed ? 1 : 0);
}

// A directory can be removed, moved or unmounted below a running node, and writes go on to files
// that nobody will find again. Whether a disk that failed works again only a write can tell: let
// one try.
void journal_state::check_place() {
  self_->delayed_send(self_, place_check_interval, place_check{});
  const auto place = store_->check_place();
  const bool was_lost = std::exchange(is_lost_, !place);
  if (is_lost_ && !was_lost) {
    metrics_->failures.add();
    spdlog::error("journal: {}; nothing is stored until it is there again, or the node is started "
                  "anew",
                  place.error().message);
  }
  if (was_lost && !is_lost_)
    spdlog::info("journal: its files are where they were; events are stored again");
  set_failed(is_lost_);
}

// One message a front end, whatever the number of its batches.
void journal_state::tell(const std::vector<append_batch_ptr>& batches, const append_done& outcome) {
  std::vector<std::pair<front_end_handle, append_done>> messages;
  for (auto& batch : batches) {
    auto at = std::find_if(messages.begin(), messages.end(),
                           [&](auto& m) { return m.first == batch->front_end; });
    if (at == messages.end()) {
      messages.emplace_back(batch->front_end, outcome);
      at = messages.end() - 1;
    }
    at->second.tokens.push_back(batch->token);
  }
  for (auto& [front_end, message] : messages)
    self_->send(front_end, std::move(message));
}

// -- a journal that is full, or nearly ------------------------------------------------------------

void journal_state::refuse_more(const error& why) {
  if (node_->journal_full.load()) return;
  node_->disk_full.store(why.code == errc::disk_full);
  node_->journal_full.store(true);
  metrics_->full.set(1);
  spdlog::warn("journal: full ({}); new events are refused with 507 until there is room",
               why.code == errc::disk_full ? "no space on the disk" : "journal.max_size");
  look_again_soon();
}

void journal_state::look_again_soon() {
  if (look_sent_) return;
  look_sent_ = true;
  self_->delayed_send(self_, full_check_interval, full_check{});
}

void journal_state::look_again() {
  look_sent_ = false;
  if (node_->journal_full.load()) check_full();
  check_scarce();
}

// Two marks, so that a journal at one of them does not change its mind with every commit.
void journal_state::check_scarce() {
  const bool was = node_->journal_scarce.load();
  const auto used = store_->used_bytes();
  const bool is = was ? used > settings_.scarce_until_bytes : used > settings_.scarce_above_bytes;
  if (is) look_again_soon();
  if (is == was) return;
  node_->journal_scarce.store(is);
  metrics_->scarce.set(is ? 1 : 0);
  if (is)
    spdlog::warn("journal: {} bytes of at most {} are used; expendable streams are refused with "
                 "507 until there are {}",
                 used, settings_.max_bytes, settings_.scarce_until_bytes);
  else
    spdlog::info("journal: expendable streams are taken again");
}

void journal_state::check_full() {
  // Whether a full disk has room again only an append can tell: let one try.
  if (!node_->disk_full.load() && store_->full()) return look_again_soon();
  metrics_->full.set(0);
  node_->journal_full.store(false);
  metrics_->bytes.set(static_cast<std::int64_t>(store_->bytes()));
  if (!node_->disk_full.load()) spdlog::info("journal: there is room again");
}

// -- replicating ----------------------------------------------------------------------------------

// Once durable here: a holder must not publish what this node never stored.
void journal_state::send_to_replicator() {
  if (!is_replicated_) return;
  journal_rows durable;
  for (const auto& row : rows_)
    if (is_replicated_(row->stream)) durable.rows.push_back(row);
  if (!durable.rows.empty()) self_->send(settings_.replicator, std::move(durable));
}

// In order with the rows, so that the replicator knows from which number on it gets which.
void journal_state::replicate(replicated_streams which) {
  if (!settings_.replicator) return;
  which.since_seq = store_->catalog()->durable_seq();
  is_replicated_ = which.wanted;
  self_->send(settings_.replicator, std::move(which));
}

// -- extensions -----------------------------------------------------------------------------------

void journal_state::subscribe(const subscribe_rows& command) {
  rows_told_.add(command.who, command.window, command.wants);
}

void journal_state::tell_subscribers() {
  rows_told_.tell([this](const stream_filter& wants) {
    feed<durable_rows>::update update;
    for (const auto& row : rows_) {
      if (!wants(row->stream)) continue;
      update.content.rows.push_back(row);
      update.bytes += row->memory_bytes();
      update.count += row->size();
    }
    return update;
  });
}

// -- life -----------------------------------------------------------------------------------------

void journal_state::close() {
  commit();
  if (auto done = store_->close(); !done) spdlog::error("journal: {}", done.error().message);
}

journal_self::behavior_type journal_actor(journal_self::stateful_pointer<journal_state> self,
                                          std::shared_ptr<journal> store,
                                          journal_actor_settings settings, node_state* node,
                                          std::shared_ptr<journal_metrics> metrics) {
  end_process_on_exception(self);
  auto& state = self->state;
  state.start(std::move(store), std::move(settings), node, std::move(metrics));
  return {
      [&state](const append_batch_ptr& batch) { state.take(batch); },
      [&state](commit_due) { state.commit(); },
      [&state](full_check) { state.look_again(); },
      [&state](place_check) { state.check_place(); },
      [&state](const subscribe_rows& command) { state.subscribe(command); },
      [&state](const watch_space& command) { state.space().watch(command.front_end); },
      [&state](const sink_backlog_ptr& told) { state.space().report(*told); },
      [&state](const space_rules_changed& update) { state.space().change_rules(update.rule_of); },
      [&state](const fetch_request& request) { return state.fetches().fetch(request); },
      [&state](const forget_stream& which) { state.fetches().forget(which.stream); },
      [&state](const replicated_streams& which) { state.replicate(which); },
      [self](watch_streams) { self->state.fetches().watch(sender_as<publisher_handle>(self)); },
      [self](drain) {
        self->state.close();
        self->quit();
        return drained{};
      },
  };
}

} // namespace penstock
