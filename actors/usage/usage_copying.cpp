#include "actors/usage/usage_copying.hpp"

#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace penstock {

// -- peers ----------------------------------------------------------------------------------------

void usage_copying::peer_came(std::uint16_t member, const std::string& address) {
  peers_[member] = {address, {}, false};
  choose();
}

void usage_copying::peer_went(std::uint16_t member, std::int64_t now_ms) {
  const auto gone = peers_.extract(member);
  if (gone.empty()) return;
  // Those are gone, whether it is known since when or not.
  std::erase_if(went_ms_,
                [now_ms](const auto& each) { return now_ms - each.second >= usage_gone_after_ms; });
  if (!gone.mapped().origin.empty()) went_ms_[gone.mapped().origin] = now_ms;
  if (holder_ != member) return;
  holder_.reset();
  choose();
}

void usage_copying::greeted(std::uint16_t member, const usage_greeting& says) {
  const auto found = peers_.find(member);
  if (found == peers_.end() || !is_usage_origin(says.origin)) return;
  found->second.origin = says.origin;
  found->second.leaves = says.leaves;
  went_ms_.erase(says.origin);
  if (!says.leaves || holder_ != member) return;
  holder_.reset();
  choose();
}

// Nodes that are new to each other choose alike whatever the order in which links come up, so that
// few of them have old copies; and what one holds is spread over the others when it goes.
void usage_copying::choose() {
  if (holder_) return;
  const auto& origin = own_.about().origin;
  const auto weight = [&](const peer& one) {
    return XXH3_64bits_withSeed(one.address.data(), one.address.size(),
                                XXH3_64bits(origin.data(), origin.size()));
  };
  for (const auto& [member, one] : peers_)
    if (!one.leaves && (!holder_ || weight(one) > weight(peers_.at(*holder_)))) holder_ = member;
  begin_anew();
}

void usage_copying::begin_anew() {
  under_way_.reset();
  scanned_ = false;
  at_ = {};
  scan_began_ms_ = -1;
  changed_.clear();
  sending_.clear();
  sending_known_ms_ = told_known_ms_ = 0;
  copied_.clear();
  copy_.clear();
}

bool usage_copying::is_linked(const std::string& origin) const {
  return std::any_of(peers_.begin(), peers_.end(),
                     [&](const auto& entry) { return entry.second.origin == origin; });
}

bool usage_copying::is_gone(const std::string& origin, std::int64_t now_ms) const {
  if (is_linked(origin)) return false;
  if (is_leaving_) return true;
  const auto went = went_ms_.find(origin);
  return now_ms - (went == went_ms_.end() ? began_ms_ : went->second) >= usage_gone_after_ms;
}

// -- what changes ---------------------------------------------------------------------------------

void usage_copying::changed(const std::vector<usage_key>& rows) {
  if (!holder_ || scan_began_ms_ < 0) return; // all rows are to come
  changed_.insert(rows.begin(), rows.end());
  if (changed_.size() + sending_.size() > max_changed_usage_rows) {
    const auto copied = std::move(copied_);
    begin_anew();
    copied_ = copied;
  }
}

void usage_copying::copy_came(const std::string& origin) {
  copied_.erase(origin);
  if (origin == copy_) copy_changed_ = true;
}

// -- what goes out --------------------------------------------------------------------------------

result<std::optional<usage_copy>> usage_copying::next(std::int64_t now_ms) {
  if (began_ms_ < 0) began_ms_ = now_ms;
  if (!holder_ || under_way_) return std::nullopt;
  if (auto own = send_own(now_ms); !own || *own) return own;
  if (!copies_.all().contains(copy_)) copy_.clear(); // its last row is past its time
  if (copied_.size() > copies_.all().size())
    std::erase_if(copied_, [&](const auto& origin) { return !copies_.all().contains(origin); });
  if (copy_.empty()) {
    copy_ = next_copy(now_ms).value_or("");
    copy_at_ = {};
    copy_changed_ = false;
  }
  if (copy_.empty()) return std::nullopt;
  return send_copy(copy_);
}

bool usage_copying::is_to_go(const std::string& origin, const usage_copies::copy& copy,
                             std::int64_t now_ms) const {
  if (copied_.contains(origin) || origin == own_.about().origin || !is_gone(origin, now_ms))
    return false;
  // Whoever gave it has it, too; unless that was its own node.
  const auto& giver = copy.about.given_by;
  return giver.empty() || is_gone(giver, now_ms);
}

std::optional<std::string> usage_copying::next_copy(std::int64_t now_ms) const {
  for (const auto& [origin, copy] : copies_.all())
    if (is_to_go(origin, copy, now_ms)) return origin;
  return std::nullopt;
}

std::size_t usage_copying::waiting_copies(std::int64_t now_ms) const {
  const auto others = std::ranges::count_if(
      copies_.all(), [&](const auto& each) { return is_to_go(each.first, each.second, now_ms); });
  return static_cast<std::size_t>(others) + (holder_ && scanned_ ? 0 : 1);
}

result<std::optional<usage_copy>> usage_copying::send_scan(usage_about about, std::int64_t known_ms,
                                                           result<std::vector<usage_state>> rows) {
  if (!rows) return rows.error();
  auto& sent = *under_way_;
  sent.is_scan = true;
  sent.ends_scan = rows->size() < usage_copy_rows;
  sent.known_ms = known_ms;
  about.known_ms = sent.ends_scan ? known_ms : 0;
  about.given_by = own_.about().origin;
  return usage_copy{std::move(about), sent.number, std::move(*rows)};
}

result<std::optional<usage_copy>> usage_copying::send_own(std::int64_t now_ms) {
  auto about = own_.about();
  const auto begin = [&] { under_way_ = under_way{++last_number_, about.origin}; };
  const auto or_none = [this](result<std::optional<usage_copy>> message) {
    if (!message) under_way_.reset();
    return message;
  };
  if (!scanned_) {
    if (scan_began_ms_ < 0) scan_began_ms_ = now_ms;
    begin();
    under_way_->before = at_;
    auto at = at_;
    auto message =
        send_scan(std::move(about), scan_began_ms_, own_.states_after(at, usage_copy_rows));
    if (message) at_ = at;
    return or_none(std::move(message));
  }
  if (sending_.empty()) {
    const bool is_due = !changed_.empty() || now_ms - told_known_ms_ >= usage_known_every_ms;
    if (!is_due) return std::nullopt;
    sending_ = std::exchange(changed_, {});
    sending_known_ms_ = now_ms;
  }
  begin();
  auto& sent = *under_way_;
  const auto end = std::next(
      sending_.begin(), static_cast<std::ptrdiff_t>(std::min(usage_copy_rows, sending_.size())));
  sent.rows.assign(sending_.begin(), end);
  auto rows = own_.states(sent.rows);
  if (!rows) {
    under_way_.reset();
    return rows.error();
  }
  sent.known_ms = sent.rows.size() == sending_.size() ? sending_known_ms_ : 0;
  about.known_ms = sent.known_ms;
  about.given_by = about.origin;
  return usage_copy{std::move(about), sent.number, std::move(*rows)};
}

result<std::optional<usage_copy>> usage_copying::send_copy(const std::string& origin) {
  const auto about = copies_.all().at(origin).about;
  under_way_ = under_way{++last_number_, origin};
  under_way_->before = copy_at_;
  auto at = copy_at_;
  auto message =
      send_scan(about, about.known_ms, copies_.states_after(origin, at, usage_copy_rows));
  if (message)
    copy_at_ = at;
  else
    under_way_.reset();
  return message;
}

bool usage_copying::copied(const usage_copied& outcome) {
  if (!under_way_ || under_way_->number != outcome.number) return false;
  const auto sent = std::move(*std::exchange(under_way_, std::nullopt));
  const bool is_own = sent.origin == own_.about().origin;
  if (sent.is_scan && is_own) {
    if (!outcome.ok) at_ = sent.before;
    scanned_ = outcome.ok && sent.ends_scan;
  } else if (sent.is_scan) {
    if (!outcome.ok) copy_at_ = sent.before;
    if (outcome.ok && sent.ends_scan) {
      if (!copy_changed_) copied_.insert(copy_);
      copy_.clear();
    }
  } else if (outcome.ok) {
    for (const auto& row : sent.rows)
      sending_.erase(row);
  }
  if (outcome.ok && is_own && (!sent.is_scan || sent.ends_scan))
    told_known_ms_ = std::max(told_known_ms_, sent.known_ms);
  return true;
}

bool usage_copying::is_settled(std::int64_t now_ms) const {
  if (!holder_) return true;
  return scanned_ && !under_way_ && changed_.empty() && sending_.empty() && copy_.empty() &&
         !next_copy(now_ms);
}

} // namespace penstock
