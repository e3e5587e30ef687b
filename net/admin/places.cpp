#include "net/admin/places.hpp"

namespace penstock {

std::size_t admin_places::bound(admin_kind kind) const {
  if (kind == admin_kind::stranger) return bounds_.strangers;
  return kind == admin_kind::operators ? bounds_.operators : bounds_.consumers;
}

std::optional<admin_places::id> admin_places::longest(std::optional<admin_kind> kind,
                                                      std::optional<phase> at) const {
  std::optional<id> found;
  std::uint64_t since = 0;
  for (const auto& [who, entry] : all_) {
    if ((kind && entry.kind != *kind) || (at && entry.at != *at)) continue;
    if (found && entry.since >= since) continue;
    found = who;
    since = entry.since;
  }
  return found;
}

admin_places::arrival admin_places::arrive() {
  arrival out{.who = ++last_};
  if (count(admin_kind::stranger) >= bound(admin_kind::stranger)) {
    out.goes = longest(admin_kind::stranger, phase::idle);
    if (!out.goes) out.goes = longest(admin_kind::stranger, std::nullopt);
    if (out.goes) leave(*out.goes);
  }
  all_.emplace(out.who, one{.since = ++now_});
  ++counts_[static_cast<std::size_t>(admin_kind::stranger)];
  return out;
}

admin_places::seat admin_places::take(id who, admin_kind kind) {
  const auto mine = all_.find(who);
  if (mine == all_.end()) return {};
  seat out{.given = true};
  if (mine->second.kind != kind) {
    if (count(kind) >= bound(kind)) {
      out.goes = longest(kind, phase::idle);
      if (out.goes)
        leave(*out.goes);
      else
        out.given = false;
    }
    if (out.given) {
      --counts_[static_cast<std::size_t>(mine->second.kind)];
      ++counts_[static_cast<std::size_t>(kind)];
      mine->second.kind = kind;
    }
  }
  enter(who, phase::busy);
  return out;
}

void admin_places::leave(id who) {
  const auto mine = all_.find(who);
  if (mine == all_.end()) return;
  --counts_[static_cast<std::size_t>(mine->second.kind)];
  all_.erase(mine);
}

bool admin_places::is_stranger(id who) const {
  const auto mine = all_.find(who);
  return mine == all_.end() || mine->second.kind == admin_kind::stranger;
}

std::optional<admin_places::id> admin_places::longest_unread() const {
  return longest(std::nullopt, phase::writing);
}

void admin_places::enter(id who, phase at) {
  const auto mine = all_.find(who);
  if (mine == all_.end()) return;
  mine->second.at = at;
  mine->second.since = ++now_;
}

} // namespace penstock
