#include "net/sinks/redis/redis_protocol.hpp"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <utility>

namespace penstock {

namespace {

struct redis_reply_free {
  void operator()(void* reply) const { freeReplyObject(reply); }
};

redis_reply::kind redis_kind(int type) {
  switch (type) {
  case REDIS_REPLY_STATUS:
    return redis_reply::kind::status;
  case REDIS_REPLY_ERROR:
    return redis_reply::kind::error;
  case REDIS_REPLY_INTEGER:
    return redis_reply::kind::integer;
  case REDIS_REPLY_STRING:
    return redis_reply::kind::text;
  case REDIS_REPLY_ARRAY:
    return redis_reply::kind::array;
  default:
    return redis_reply::kind::nil;
  }
}

// As deep as hiredis reads, which is seven levels.
redis_reply copy_redis_reply(const redisReply& from) {
  redis_reply out{.is = redis_kind(from.type), .number = from.integer};
  if (from.str) out.text.assign(from.str, static_cast<std::size_t>(from.len));
  out.elements.reserve(from.elements);
  for (std::size_t i = 0; i < from.elements; ++i)
    out.elements.push_back(copy_redis_reply(*from.element[i]));
  return out;
}

constexpr std::array<std::pair<std::string_view, std::string_view>, 15> redis_advices{{
    {"NOAUTH", "set the sink's username and password"},
    {"WRONGPASS", "check the sink's username and password"},
    {"NOPERM", "allow the user +xadd +set +get +type +multi +exec +watch +unwatch on the sink's "
               "key and on keys that hold :penstock:"},
    {"OOM", "raise the server's maxmemory, or let the sink's max_len drop old entries"},
    {"READONLY", "url names a replica; it must name the primary"},
    {"MISCONF", "the server can't save its data; see its log and its disk"},
    {"LOADING", "the server reads its data and will be back"},
    {"BUSY", "a script blocks the server"},
    {"MASTERDOWN", "url names a replica; it must name the primary"},
    {"NOREPLICAS", "the server has too few replicas in reach (min-replicas-to-write)"},
    {"WRONGTYPE", "the key holds something else than a stream; rename that, or set another key"},
    {"MOVED", "url must name the node of the Redis cluster that has the key"},
    {"CLUSTERDOWN", "the Redis cluster does not serve the key now"},
    {"CROSSSLOT", "the Redis cluster has the key and its cursor in different slots; give the key a "
                  "{hash tag} without braces inside"},
    {"ERR unknown command", "the sink needs Redis 5 or later"},
}};

} // namespace

void append_redis_command(std::string& out, std::span<const std::string_view> words) {
  std::array<const char*, max_redis_words> texts;
  std::array<std::size_t, max_redis_words> sizes;
  const auto count = std::min(words.size(), max_redis_words);
  for (std::size_t i = 0; i < count; ++i) {
    texts[i] = words[i].data();
    sizes[i] = words[i].size();
  }
  char* command = nullptr;
  const int size =
      redisFormatCommandArgv(&command, static_cast<int>(count), texts.data(), sizes.data());
  if (size > 0) out.append(command, static_cast<std::size_t>(size));
  redisFreeCommand(command);
}

void redis_reader::freed::operator()(redisReader* reader) const {
  redisReaderFree(reader);
}

redis_reader::redis_reader() : reader_{redisReaderCreate()} {}

void redis_reader::feed(std::string_view bytes) {
  // Fails only without memory, which next() then says.
  redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
}

result<std::optional<redis_reply>> redis_reader::next() {
  void* found = nullptr;
  if (redisReaderGetReply(reader_.get(), &found) != REDIS_OK)
    return error{errc::invalid, std::string{"not an answer of Redis: "} + reader_->errstr};
  if (!found) return std::optional<redis_reply>{};
  std::unique_ptr<redisReply, redis_reply_free> owned{static_cast<redisReply*>(found)};
  return std::optional{copy_redis_reply(*owned)};
}

std::string_view redis_advice(std::string_view error) {
  for (const auto& [start, advice] : redis_advices)
    if (error.starts_with(start)) return advice;
  return {};
}

} // namespace penstock
