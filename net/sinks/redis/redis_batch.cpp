#include "net/sinks/redis/redis_batch.hpp"

#include <algorithm>
#include <charconv>

namespace penstock {

namespace {

/// Redis Cluster hashes only what stands between the first '{' and the next '}', if anything does.
bool redis_has_hash_tag(std::string_view key) {
  const auto open = key.find('{');
  if (open == key.npos) return false;
  const auto close = key.find('}', open);
  return close != key.npos && close > open + 1;
}

} // namespace

std::string redis_cursor_key(std::string_view key, const sink_batch& batch) {
  std::string out{key};
  if (!redis_has_hash_tag(key)) out = '{' + out + '}';
  return out + ":penstock:" + batch.stream + ':' + batch.tag + ':' + batch.lane;
}

void append_redis_watch(std::string& out, const redis_target& to) {
  append_redis_command(out, {"WATCH", to.cursor});
  append_redis_command(out, {"GET", to.cursor});
  append_redis_command(out, {"TYPE", to.key});
}

result<std::uint64_t> read_redis_watch(std::span<const redis_reply> replies) {
  for (const auto& reply : replies)
    if (reply.is_error()) return error{errc::unavailable, redis_complaint(reply.text)};
  const auto& type = replies[2].text;
  if (type != "stream" && type != "none")
    return error{errc::not_found, redis_complaint("WRONGTYPE the key holds a " + type)};
  const auto& text = replies[1].text;
  std::uint64_t seq = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), seq);
  if (!text.empty() && (failed != std::errc{} || end != text.data() + text.size()))
    return error{errc::unavailable, "the sink's cursor holds something else than a number; delete "
                                    "the key that does not belong there"};
  return seq;
}

std::size_t append_redis_transaction(std::string& out, outgoing_form& form, const sink_batch& batch,
                                     std::size_t first, const redis_target& to) {
  const auto max_len = std::to_string(to.max_len);
  std::string json;
  append_redis_command(out, {"MULTI"});
  for (auto at = first; at < batch.events.size(); ++at) {
    const auto& event = batch.events[at];
    json.clear();
    form.append_structured(json, event, batch);
    const auto id = outgoing_form::id(event, batch);
    if (to.max_len == 0)
      append_redis_command(out, {"XADD", to.key, "*", "id", id, "event", json});
    else
      append_redis_command(out,
                           {"XADD", to.key, "MAXLEN", "~", max_len, "*", "id", id, "event", json});
  }
  if (to.has_cursor())
    append_redis_command(out, {"SET", to.cursor, std::to_string(batch.events.back().seq())});
  append_redis_command(out, {"EXEC"});
  return batch.events.size() - first + (to.has_cursor() ? 3 : 2);
}

redis_outcome read_redis_transaction(std::span<const redis_reply> replies, std::size_t events) {
  const auto& exec = replies.back();
  if (exec.is == redis_reply::kind::nil) return {.moved = true};
  const auto is_error = [](const redis_reply& reply) { return reply.is_error(); };
  if (exec.is != redis_reply::kind::array || exec.elements.size() < events) {
    // The first complaint says why; EXEC's own is "discarded because of previous errors".
    const auto first = std::find_if(replies.begin(), replies.end(), is_error);
    return {.why = first != replies.end() ? redis_complaint(first->text)
                                          : "EXEC was answered with something unknown"};
  }
  const auto begin = exec.elements.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(events);
  const auto failed = std::find_if(begin, end, is_error);
  return {.committed = true,
          .taken = static_cast<std::size_t>(failed - begin),
          .why = failed == end ? std::string{} : redis_complaint(failed->text)};
}

std::string redis_complaint(std::string_view error) {
  std::string out{error};
  if (const auto advice = redis_advice(error); !advice.empty()) out.append("; ").append(advice);
  return out;
}

} // namespace penstock
