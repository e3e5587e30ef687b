#include "actors/streams/names_keeper.hpp"

#include "actors/base/fail_fast.hpp"

#include <spdlog/spdlog.h>

#include <unordered_set>

namespace penstock {

void names_keeper_state::upkeep(std::int64_t now_s) {
  auto& names = *parts_.names;
  std::unordered_set<std::uint64_t> backlog;
  for (const auto& stream : parts_.backlog())
    backlog.insert(names.hash_of(stream));
  names.forget_unused(now_s, parts_.idle_s,
                      [&](std::uint64_t each) { return backlog.contains(each); });
  tell(now_s);
}

void names_keeper_state::tell(std::int64_t now_s) {
  const auto& names = *parts_.names;
  const auto full = names.refused_full() - told_full_;
  const auto share = names.refused_share() - told_share_;
  if (full + share == 0 || now_s < quiet_until_s_) return;
  quiet_until_s_ = now_s + names_told_interval_s;
  told_full_ += full;
  told_share_ += share;
  if (full > 0)
    spdlog::warn("streams: {} requests with a new name were answered 404: all {} names that are "
                 "not configured are taken. Configure the streams that matter, see to those that "
                 "nobody reads, or set http.unknown_streams = \"refuse\"",
                 full, names.places());
  if (share > 0)
    spdlog::warn("streams: {} requests with a new name were answered 404: their clients have "
                 "brought as many names as are left ({} of {} are taken)",
                 share, names.used(), names.places());
}

names_keeper_handle::behavior_type
names_keeper(names_keeper_handle::stateful_pointer<names_keeper_state> self,
             names_keeper_parts parts) {
  end_process_on_exception(self);
  self->state.start(std::move(parts));
  self->send(self, caf::tick_atom::value);
  return {[self](caf::tick_atom) {
    const auto since = self->clock().now().time_since_epoch();
    self->state.upkeep(std::chrono::duration_cast<std::chrono::seconds>(since).count());
    self->delayed_send(self, names_interval, caf::tick_atom::value);
  }};
}

} // namespace penstock
