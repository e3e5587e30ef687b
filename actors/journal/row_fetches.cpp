#include "actors/journal/row_fetches.hpp"

#include <utility>

namespace penstock {

row_fetches::row_fetches(std::size_t recent_bytes, std::uint64_t durable_seq,
                         std::shared_ptr<memory_budget> recent,
                         std::function<caf::response_promise()> promise,
                         std::function<void(const publisher_handle& to, stream_seen what)> send)
    : recent_(recent_bytes, durable_seq), recent_share_(std::move(recent)),
      promise_(std::move(promise)), send_(std::move(send)) {}

caf::result<fetch_reply> row_fetches::fetch(const fetch_request& request) {
  fetch_reply reply{request.stream, false, {}};
  if (!recent_.covers(request.after_seq)) {
    reply.read_segments = true;
    return reply;
  }
  reply.blocks = recent_.read(request.stream, request.after_seq);
  if (!reply.blocks.empty()) return reply;
  auto promise = promise_();
  waiters_[request.stream].push_back({promise, request.after_seq});
  return promise;
}

void row_fetches::watch(const publisher_handle& publisher) {
  for (const auto& stream : seen_)
    send_(publisher, stream_seen{stream});
  watchers_.push_back(publisher);
}

void row_fetches::forget(const std::string& stream) {
  seen_.erase(stream);
  const auto found = waiters_.extract(stream);
  if (found.empty()) return;
  for (auto& each : found.mapped())
    each.promise.deliver(fetch_reply{stream, false, {}});
}

void row_fetches::publish(const std::vector<const_block_ptr>& rows) {
  for (const auto& row : rows) {
    recent_.add(row);
    recent_share_.set(recent_.bytes());
    if (!seen_.insert(row->stream).second) continue;
    for (const auto& watcher : watchers_)
      send_(watcher, stream_seen{row->stream});
  }
  if (waiters_.empty()) return;
  for (const auto& row : rows) {
    const auto found = waiters_.find(row->stream);
    if (found == waiters_.end()) continue;
    for (auto& each : found->second) {
      fetch_reply reply{row->stream, !recent_.covers(each.after_seq), {}};
      if (!reply.read_segments) reply.blocks = recent_.read(row->stream, each.after_seq);
      each.promise.deliver(std::move(reply));
    }
    waiters_.erase(found);
  }
}

} // namespace penstock
