#include "actors/usage/usage_rebuilder.hpp"

#include "actors/base/fail_fast.hpp"
#include "actors/usage/usage_actor.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace penstock {

// -- the board ------------------------------------------------------------------------------------

bool usage_rebuild_status::begin() {
  const std::lock_guard hold{mutex_};
  if (update_.at == phase::running) return false;
  update_ = {.at = phase::running, .outcome = {}, .why = {}};
  return true;
}

void usage_rebuild_status::progress(std::uint64_t done_bytes, std::uint64_t all_bytes) {
  const std::lock_guard hold{mutex_};
  update_.done_bytes = done_bytes;
  update_.all_bytes = all_bytes;
}

void usage_rebuild_status::finish(result<usage_rebuilt> outcome) {
  const std::lock_guard hold{mutex_};
  update_.at = outcome ? phase::done : phase::failed;
  if (outcome)
    update_.outcome = std::move(*outcome);
  else
    update_.why = outcome.error();
}

usage_rebuild_status::update usage_rebuild_status::read() const {
  const std::lock_guard hold{mutex_};
  return update_;
}

// -- the actor ------------------------------------------------------------------------------------

void usage_rebuilder_state::begin(const usage_rebuild_request& request) {
  // Here rather than at the start, where it might still be the thread that spawns.
  if (std::exchange(parts_.yields, false)) lower_thread_priority();
  request_ = request;
  up_to_seq_ = parts_.catalog->durable_seq();
  self_->request(parts_.accounts, caf::infinite, list_accounts{})
      .then(
          [this](const account_names_ptr& names) {
            accounts_ = names;
            self_->delayed_send(self_, usage_settle_time, usage_settled{});
          },
          [this](const caf::error&) {
            fail({errc::unavailable, "the node is stopping"});
          });
}

void usage_rebuilder_state::settled() {
  self_->request(parts_.usage, caf::infinite, usage_write{})
      .then(
          [this](const usage_written& written) {
            if (written.ok)
              compare();
            else
              fail(written.why);
          },
          [this](const caf::error&) {
            fail({errc::unavailable, "the node is stopping"});
          });
}

result<usage_rebuilt> usage_rebuilder_state::run(std::vector<usage_batch_ptr>& corrections) {
  auto counts = usage_reader::open(parts_.data_dir, static_cast<std::int64_t>(parts_.max_sums));
  if (!counts) return counts.error();
  const usage_rebuild_sources from{
      .journal = *parts_.journal,
      .catalog = *parts_.catalog,
      .counts = **counts,
      .accounts = *accounts_,
      .hash = parts_.hash,
      .is_cluster = parts_.is_cluster,
      .begun_ms = parts_.begun_ms,
      .up_to_seq = up_to_seq_,
      .progress = [this](std::uint64_t done,
                         std::uint64_t all) { parts_.board->progress(done, all); },
      .give_up = [this] { return parts_.stopping->load(std::memory_order_relaxed); },
      .max_sums = parts_.max_sums};
  auto outcome = rebuild_usage(request_, from, corrections);
  parts_.journal->release();
  return outcome;
}

void usage_rebuilder_state::compare() {
  std::vector<usage_batch_ptr> corrections;
  auto outcome = run(corrections);
  accounts_.reset();
  if (!outcome || request_.dry_run || corrections.empty())
    parts_.board->finish(std::move(outcome));
  else
    correct(std::move(*outcome), std::move(corrections));
}

void usage_rebuilder_state::correct(usage_rebuilt outcome,
                                    std::vector<usage_batch_ptr> corrections) {
  self_->request(parts_.usage, caf::infinite, usage_write{std::move(corrections)})
      .then(
          [this, outcome = std::move(outcome)](const usage_written& written) {
            if (!written.ok) return fail(written.why);
            spdlog::info("usage: {} events of streams and {} of accounts added from the journal",
                         outcome.added_streams.events, outcome.added_accounts.events);
            parts_.board->finish(outcome);
          },
          [this](const caf::error&) {
            fail({errc::unavailable, "the node is stopping"});
          });
}

usage_rebuilder_self::behavior_type
usage_rebuilder_actor(usage_rebuilder_self::stateful_pointer<usage_rebuilder_state> self,
                      usage_rebuilder_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  return {
      [self](const usage_rebuild_request& request) { self->state.begin(request); },
      [self](usage_settled) { self->state.settled(); },
  };
}

} // namespace penstock
