#include "net/sinks/request_outcome.hpp"

#include <algorithm>
#include <unordered_set>

namespace penstock {

namespace {

/// One batch on its way.
class request_series {
 public:
  request_series(const sink_batch& batch, const encoded_events& encoded,
                 const request_limits& limits)
      : batch_{batch}, encoded_{encoded}, limits_{limits}, window_{limits.max_events} {
    out_.events.resize(batch.events.size(), settled_as::failed);
  }

  delivery run(const request_sender& send);

 private:
  bool waits(std::size_t event) const {
    return limits_.keeps_order && blocked_.contains(batch_.events[event].client());
  }
  void settle(std::size_t event, settled_as how);
  std::size_t pick(std::size_t at);
  bool narrow(const request_outcome& outcome);

  const sink_batch& batch_;
  const encoded_events& encoded_;
  const request_limits limits_;
  std::size_t window_; ///< the most events of the next request
  std::vector<std::uint32_t> picked_;
  std::unordered_set<std::uint64_t> blocked_; ///< clients of whom something is not there
  delivery out_;
};

void request_series::settle(std::size_t event, settled_as how) {
  if (how == settled_as::delivered && waits(event)) how = settled_as::failed;
  out_.events[event] = how;
  if (how != settled_as::delivered) blocked_.insert(batch_.events[event].client());
}

// The next request's events, from `at` on, into picked_; gives the first that is not looked at.
std::size_t request_series::pick(std::size_t at) {
  picked_.clear();
  std::size_t bytes = 0;
  for (; at < batch_.events.size() && picked_.size() < window_; ++at) {
    const auto& piece = encoded_.pieces[at];
    if (!piece.refusal.empty()) { // for ever, so nothing waits for it
      if (out_.refusal.empty()) out_.refusal = piece.refusal;
      out_.events[at] = settled_as::refused;
      continue;
    }
    if (waits(at)) continue;
    if (!picked_.empty() && bytes + piece.counted_bytes > limits_.max_bytes) break;
    bytes += piece.counted_bytes;
    picked_.push_back(static_cast<std::uint32_t>(at));
  }
  return at;
}

// Whether the events are to be tried again, fewer at once. The guilty are found by halving; behind
// them it goes on carefully, as they seldom come alone.
bool request_series::narrow(const request_outcome& outcome) {
  if (outcome.refused_as_whole) {
    window_ = std::max<std::size_t>(picked_.size() / 2, 1);
    return picked_.size() > 1;
  }
  window_ = std::min(limits_.max_events, 2 * window_);
  return false;
}

delivery request_series::run(const request_sender& send) {
  std::size_t requests = 0;
  for (std::size_t at = 0; at < batch_.events.size();) {
    const auto next = pick(at);
    if (picked_.empty()) {
      at = next;
      continue;
    }
    if (requests++ == max_requests_per_batch) {
      out_.failure = "more than " + std::to_string(max_requests_per_batch) + " requests a batch";
      break;
    }
    auto outcome = send(picked_);
    if (narrow(outcome)) continue;
    bool failed = false;
    for (std::size_t i = 0; i < picked_.size(); ++i) {
      settle(picked_[i], outcome.events[i]);
      failed = failed || outcome.events[i] == settled_as::failed;
    }
    if (out_.refusal.empty()) out_.refusal = std::move(outcome.refusal);
    if (failed) out_.failure = std::move(outcome.failure);
    if (failed) out_.scope = outcome.scope;
    out_.pause_ms = std::max(out_.pause_ms, outcome.pause_ms);
    if (failed) break; // the others have failed from the start
    at = next;
  }
  const bool failed = std::count(out_.events.begin(), out_.events.end(), settled_as::failed) > 0;
  if (failed && out_.failure.empty())
    out_.failure = "held back behind an event of the same client that was not taken";
  return std::move(out_);
}

} // namespace

request_outcome request_outcome::all(std::size_t events, settled_as how, std::string why) {
  request_outcome out{.events = std::vector<settled_as>(events, how)};
  (how == settled_as::refused ? out.refusal : out.failure) = std::move(why);
  return out;
}

request_outcome request_outcome::whole_refusal(std::size_t events, std::string why) {
  auto out = all(events, settled_as::refused, std::move(why));
  out.refused_as_whole = true;
  return out;
}

delivery deliver_in_requests(const sink_batch& batch, const encoded_events& encoded,
                             const request_limits& limits, const request_sender& send) {
  return request_series{batch, encoded, limits}.run(send);
}

std::string quoted_words(std::string_view text, std::size_t max_bytes) {
  std::string out;
  for (const char c : text.substr(0, max_bytes))
    out += c >= 0x20 && c < 0x7f ? c : ' ';
  if (text.size() > max_bytes) out += "...";
  return out;
}

} // namespace penstock
