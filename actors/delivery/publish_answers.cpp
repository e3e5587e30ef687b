#include "actors/delivery/publish_answers.hpp"

#include "storage/base/assert.hpp"

#include <algorithm>
#include <map>

namespace penstock {

void publish_answers::await(publisher_stream& of, const await_published& request) {
  auto front_end = std::find(front_ends_.begin(), front_ends_.end(), request.front_end);
  if (front_end == front_ends_.end())
    front_end = front_ends_.insert(front_ends_.end(), request.front_end);
  const auto number = static_cast<std::uint32_t>(front_end - front_ends_.begin());
  const auto expires_ms = context_.now_ms() + request.timeout_ms.count();
  std::vector<publish_watches::answer> answers;
  for (const auto& item : request.items) {
    const auto lane = of.feed.lane_of(item.client);
    of.watches.add(lane, {item.token, item.first_seq, item.last_seq, number, expires_ms},
                   of.feed.confirmed(lane), answers);
  }
  tell(answers);
}

void publish_answers::advance(publisher_stream& of, std::uint32_t lane) {
  if (of.watches.size() == 0) return;
  std::vector<publish_watches::answer> answers;
  of.watches.advance(lane, of.feed.confirmed(lane), answers);
  tell(answers);
}

void publish_answers::tell(const std::vector<publish_watches::answer>& answers) const {
  std::map<std::uint32_t, published_update> messages;
  for (const auto& one : answers)
    messages[one.front_end].items.push_back({one.token, one.published});
  for (auto& [number, message] : messages) {
    PENSTOCK_ASSERT(number < front_ends_.size());
    context_.self->send(front_ends_[number], std::move(message));
  }
}

} // namespace penstock
