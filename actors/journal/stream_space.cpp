#include "actors/journal/stream_space.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace penstock {

stream_space::stream_space(const stream_rules& rule_of, std::uint64_t unconfigured_max_bytes,
                           std::shared_ptr<const segment_catalog> catalog,
                           std::shared_ptr<journal_metrics> metrics, send_function send)
    : catalog_(std::move(catalog)), metrics_(std::move(metrics)), send_(std::move(send)) {
  if (rule_of) book_.emplace(rule_of, unconfigured_max_bytes);
}

void stream_space::note_appended(const std::vector<block_ptr>& rows) {
  if (!book_) return;
  const std::string* last = nullptr;
  for (const auto& row : rows) {
    if (last && *last == row->stream) continue;
    last = &row->stream;
    book_->note_appended(*last, catalog_->appended_count_of(*last));
  }
  tell_if_changed();
}

void stream_space::report(const sink_backlog& told) {
  if (!book_) return;
  if (refusals_since_report_ > max_refusals_told)
    spdlog::warn("journal: and {} streams more; see 'penstock status'",
                 refusals_since_report_ - max_refusals_told);
  refusals_since_report_ = 0;
  book_->report(told,
                [this](const std::string& stream) { return catalog_->appended_count_of(stream); });
  metrics_->unconfigured_bytes.set(static_cast<std::int64_t>(book_->unconfigured_bytes()));
  tell_if_changed();
}

void stream_space::change_rules(const stream_rules& rule_of) {
  if (!book_) return;
  book_->change_rules(rule_of);
  tell_if_changed();
}

void stream_space::watch(const front_end_handle& front_end) {
  watchers_.push_back(front_end);
  if (told_) send_(front_end, told_);
}

void stream_space::tell_if_changed() {
  const auto& now = book_->refused();
  if (now == told_) return;
  log_refused(now);
  told_ = now;
  metrics_->publish_refused(now);
  metrics_->unconfigured_full.set(now && now->unconfigured ? 1 : 0);
  for (const auto& front_end : watchers_)
    send_(front_end, told_);
}

void stream_space::log_refused(const refused_streams_ptr& now) {
  const auto names_in = [](const refused_streams_ptr& which) {
    return which ? which->names.size() : std::size_t{0};
  };
  const bool was_full = told_ && told_->unconfigured;
  const bool is_full = now && now->unconfigured;
  if (now)
    for (const auto& stream : now->names) {
      if (told_ && told_->names.contains(stream)) continue;
      if (++refusals_since_report_ <= max_refusals_told)
        spdlog::warn(
            "journal: the stream '{}' holds as much, or as old events, as it may; its new ones are "
            "refused with 507 until its sinks have taken some",
            stream);
    }
  if (names_in(told_) > 0 && names_in(now) == 0)
    spdlog::info("journal: no stream is refused any more for what it holds itself");
  if (is_full && !was_full)
    spdlog::warn("journal: the streams that are not configured hold {} bytes together, "
                 "journal.unconfigured_max_size; their new events are refused with 507",
                 book_->unconfigured_bytes());
  if (was_full && !is_full)
    spdlog::info("journal: streams that are not configured are taken again");
}

} // namespace penstock
