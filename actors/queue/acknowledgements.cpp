#include "actors/queue/acknowledgements.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

namespace penstock {

void acknowledgements::add(queue_stream& of, caf::response_promise promise,
                           queue_receipts_done done) {
  note_moved(of);
  unsaved_receipts_ += done.done;
  unsaved_.push_back({std::move(promise), std::move(done)});
}

void acknowledgements::save_if_due() {
  if (!is_dirty_) return;
  const bool many = unsaved_receipts_ >= max_acks_unsaved && !has_failed_;
  if (many || context_.now_ms() >= next_ms_)
    save();
  else
    context_.wake_at(next_ms_);
}

void acknowledgements::save() {
  const auto& parts = context_.parts;
  std::vector<cursor> cursors;
  for (const auto& [name, of] : streams_)
    if (of.dirty) cursors.push_back(of.state.to_save());
  const auto saved = parts.cursors->save(cursors);
  if (saved) {
    parts.metrics->cursor_saves.add();
    if (has_failed_) spdlog::info("queue: cursors are saved again");
    for (auto& [name, of] : streams_)
      if (of.dirty) {
        of.dirty = false;
        of.durable_confirmed = of.state.confirmed();
      }
  } else {
    parts.metrics->cursor_failures.add();
    if (!has_failed_)
      spdlog::error("queue: cursors can't be saved, going on in memory: {}", saved.error().message);
  }
  has_failed_ = !saved;
  is_dirty_ = has_failed_;
  next_ms_ = context_.now_ms() + (saved ? cursor_save_interval : cursor_retry_interval).count();
  if (is_dirty_) context_.wake_at(next_ms_);
  unsaved_receipts_ = 0;
  for (auto& waiting : std::exchange(unsaved_, {})) {
    if (!saved) {
      waiting.done.ok = false;
      waiting.done.why = saved.error();
    }
    waiting.promise.deliver(std::move(waiting.done));
  }
}

void acknowledgements::tell_keeper(std::uint64_t durable) {
  auto confirmed = durable;
  for (const auto& [name, of] : streams_)
    confirmed = std::min(confirmed, of.durable_confirmed);
  if (confirmed <= told_confirmed_) return;
  told_confirmed_ = confirmed;
  const auto& parts = context_.parts;
  parts.metrics->confirmed_seq.set(static_cast<std::int64_t>(confirmed));
  context_.self->send(parts.keeper, confirmed_up_to{confirmed, parts.sink});
}

} // namespace penstock
