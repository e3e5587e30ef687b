#include "actors/journal/space_book.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace penstock {

bool space_book::is_bound(const stream_rule& rule) const {
  const bool by_itself = rule.max_bytes > 0 || (rule.refuses && rule.max_age_ms > 0);
  return by_itself || (!rule.is_configured && unconfigured_max_bytes_ > 0);
}

// Streams without a bound are not remembered.
space_book::entry* space_book::find_or_add(const std::string& stream) {
  if (const auto found = streams_.find(stream); found != streams_.end()) return &found->second;
  const auto rule = rule_of_(stream);
  if (!is_bound(rule)) return nullptr;
  return &streams_.try_emplace(stream, entry{.rule = rule}).first->second;
}

void space_book::count(const std::string& stream, entry& of) {
  const auto before = of.held;
  of.held = of.backlogs.empty() ? held_bytes(of.appended.volume) : 0;
  of.oldest_ms = 0;
  of.is_stuck = false;
  for (const auto& [sink, backlog] : of.backlogs) {
    auto volume = of.appended.volume;
    // Where the catalog had forgotten the stream, all that it counts came since.
    if (backlog.appended.number == of.appended.number) volume -= backlog.appended.volume;
    volume += backlog.volume;
    of.held = std::max(of.held, held_bytes(volume));
    of.oldest_ms = std::max(of.oldest_ms, backlog.oldest_ms);
    of.is_stuck = of.is_stuck || backlog.is_stuck;
  }
  if (!of.rule.is_configured) {
    PENSTOCK_ASSERT(unconfigured_bytes_ >= before);
    unconfigured_bytes_ = unconfigured_bytes_ - before + of.held;
  }
  const bool is_full = of.rule.max_bytes > 0 && of.held >= of.rule.max_bytes;
  const bool is_old = of.rule.max_age_ms > 0 && of.oldest_ms > of.rule.max_age_ms;
  if (of.rule.refuses ? is_full || is_old : is_full && of.is_stuck)
    has_changed_ = over_.names.insert(stream).second || has_changed_;
  else
    has_changed_ = over_.names.erase(stream) > 0 || has_changed_;
}

void space_book::settle() {
  const bool is_full =
      unconfigured_max_bytes_ > 0 && unconfigured_bytes_ >= unconfigured_max_bytes_;
  has_changed_ = std::exchange(over_.unconfigured, is_full) != is_full || has_changed_;
  if (!std::exchange(has_changed_, false)) return;
  const bool is_none = over_.names.empty() && !over_.unconfigured;
  refused_ = is_none ? nullptr : std::make_shared<const refused_streams>(over_);
}

void space_book::note_appended(const std::string& stream, const appended_count& now) {
  auto* const of = find_or_add(stream);
  if (!of) return;
  of->appended = now;
  count(stream, *of);
  settle();
}

void space_book::report(const sink_backlog& told,
                        const std::function<appended_count(const std::string&)>& appended_now) {
  std::unordered_set<std::string_view> known;
  for (const auto& backlog : told.streams) {
    auto* const of = find_or_add(backlog.stream);
    if (!of) continue;
    known.insert(backlog.stream);
    of->appended = appended_now(backlog.stream);
    of->backlogs[told.sink] = backlog;
    count(backlog.stream, *of);
  }
  // Of a stream that the sink let go of, it has all; what is appended from now on counts.
  for (auto at = streams_.begin(); at != streams_.end();) {
    auto& [stream, of] = *at;
    const auto had = known.contains(stream) ? of.backlogs.end() : of.backlogs.find(told.sink);
    if (had != of.backlogs.end()) {
      of.appended = appended_now(stream);
      had->second = {stream, {}, 0, of.appended};
      count(stream, of);
      if (of.held == 0 && of.appended.number == 0) {
        at = streams_.erase(at);
        continue;
      }
    }
    ++at;
  }
  settle();
}

void space_book::change_rules(stream_rules rule_of) {
  rule_of_ = std::move(rule_of);
  for (auto at = streams_.begin(); at != streams_.end();) {
    auto& [stream, of] = *at;
    PENSTOCK_ASSERT(of.rule.is_configured || unconfigured_bytes_ >= of.held);
    if (!of.rule.is_configured) unconfigured_bytes_ -= of.held;
    of.held = 0; // counted again as a whole
    of.rule = rule_of_(stream);
    if (is_bound(of.rule)) {
      count(stream, of);
      ++at;
    } else {
      has_changed_ = over_.names.erase(stream) > 0 || has_changed_;
      at = streams_.erase(at);
    }
  }
  settle();
}

std::uint64_t space_book::held_by(const std::string& stream) const {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? 0 : found->second.held;
}

} // namespace penstock
