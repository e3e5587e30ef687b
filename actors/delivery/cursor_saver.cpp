#include "actors/delivery/cursor_saver.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace penstock {

void cursor_saver::save_if_due() {
  if (!is_dirty_) return;
  if (context_.now_ms() >= next_ms_)
    save();
  else
    context_.wake_at(next_ms_);
}

void cursor_saver::save() {
  const auto& sink = context_.parts.sink;
  std::vector<cursor> cursors;
  std::vector<std::pair<publisher_stream*, std::uint64_t>> moved;
  for (auto& [name, of] : streams_) {
    if (!of.dirty) continue;
    for (auto& one : of.feed.to_save(sink))
      cursors.push_back(std::move(one));
    moved.emplace_back(&of, of.feed.confirmed());
  }
  const auto saved = context_.parts.cursors->save(cursors);
  if (saved) {
    if (has_failed_) spdlog::info("sink {}: cursors are saved again", sink);
    for (const auto& [of, confirmed] : moved) {
      of->dirty = false;
      of->durable_confirmed = confirmed;
    }
  } else if (!has_failed_) {
    spdlog::error("sink {}: cursors can't be saved, going on in memory: {}", sink,
                  saved.error().message);
  }
  has_failed_ = !saved;
  is_dirty_ = has_failed_;
  next_ms_ =
      context_.now_ms() + (saved ? publisher_save_interval : publisher_retry_interval).count();
  if (is_dirty_) context_.wake_at(next_ms_);
}

void cursor_saver::tell_keeper(std::uint64_t durable) {
  auto confirmed = durable;
  for (auto& [name, of] : streams_) {
    if (!of.dirty) of.durable_confirmed = of.feed.confirmed();
    confirmed = std::min(confirmed, of.durable_confirmed);
  }
  if (confirmed <= told_confirmed_) return;
  told_confirmed_ = confirmed;
  context_.self->send(context_.parts.keeper, confirmed_up_to{confirmed, context_.parts.sink});
}

} // namespace penstock
