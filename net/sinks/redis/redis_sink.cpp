// Events as entries of a Redis stream, each exactly once.
//
// A batch is one transaction, so it is taken whole or not at all, and with it goes the lane's
// cursor: the sequence number of its last event. What became of a batch whose answer got lost, in a
// crash of either side too, the cursor says: events up to it are there and are not sent again.
// Every transaction is bound to the cursor that was read before it (WATCH). So a batch that still
// lies in the buffers of a server that was frozen, when its connection was given up long ago, is
// either found in the cursor or no longer taken.
//
// A server that loses its last second (appendfsync everysec), or a replica that takes over without
// it, loses events and their cursor together: nothing is ever skipped wrongly, but what had been
// confirmed is gone. A lane notices that in the cursor, says so once, and goes on.
#include "net/sinks/redis/redis_sink.hpp"

#include "net/sinks/redis/redis_batch.hpp"
#include "net/sinks/redis/redis_connection.hpp"
#include "storage/events/event_id.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace penstock {

namespace {

using redis_clock = std::chrono::steady_clock;

constexpr int max_redis_moves = 3;              ///< of a cursor while one batch is sent
constexpr std::size_t max_redis_cursors = 4096; ///< remembered by a lane, one a stream

struct redis_configuration {
  redis_address address;
  std::shared_ptr<redis_tls> tls{};
  std::string key; ///< a template
  std::uint64_t max_len = 0;
  std::string source{}; ///< of CloudEvents
  std::string where{};  ///< "sinks.NAME (HOST:PORT): ", for messages
  std::shared_ptr<std::atomic<bool>> stopped = std::make_shared<std::atomic<bool>>(false);
};

class redis_lane : public sink_connection {
 public:
  explicit redis_lane(std::shared_ptr<const redis_configuration> with)
      : with_{std::move(with)}, form_{with_->source},
        connection_{with_->address, with_->tls, with_->stopped} {}

  delivery deliver(const sink_batch& batch, std::chrono::milliseconds timeout) override {
    auto out = delivery::all(batch.events.size(), settled_as::failed);
    std::size_t taken = 0;
    const auto sent = send(batch, redis_clock::now() + timeout, taken);
    std::fill_n(out.events.begin(), taken, settled_as::delivered);
    if (sent.has_error()) out.failure = with_->where + sent.error().message;
    // Nothing of this stream can be stored, until its key is another or gone.
    if (sent.has_error() && sent.error().code == errc::not_found && taken == 0) {
      out.scope = outgoing_form::scope_of(with_->key, failure_scope::missing);
      out.failure += " (key '" + outgoing_form::fill_template(with_->key, batch.stream) + "')";
    }
    return out;
  }

 private:
  result<void> send(const sink_batch& batch, redis_clock::time_point deadline, std::size_t& taken);
  result<void> log_in(redis_clock::time_point deadline);
  result<void> watch(const sink_batch& batch, const redis_target& to,
                     redis_clock::time_point deadline);
  result<void> adopt(const sink_batch& batch, const redis_target& to, std::uint64_t seq);
  result<redis_outcome> transact(const sink_batch& batch, std::size_t first, const redis_target& to,
                                 redis_clock::time_point deadline);
  result<std::vector<redis_reply>> exchange(std::size_t replies, redis_clock::time_point deadline);

  std::shared_ptr<const redis_configuration> with_;
  outgoing_form form_;
  redis_connection connection_;
  std::string out_; ///< keeps the memory of the largest batch
  /// The cursor that the next transaction is bound to, and what it is.
  std::optional<std::pair<std::string, std::uint64_t>> watched_;
  /// How far the server confirmed, by cursor; for noticing what it lost.
  std::map<std::string, std::uint64_t> confirmed_;
  /// Cursors that went further than the events did, and what they must be set to.
  std::map<std::string, std::uint64_t> to_correct_;
};

result<std::vector<redis_reply>> redis_lane::exchange(std::size_t replies,
                                                      redis_clock::time_point deadline) {
  auto got = connection_.exchange(out_, replies, deadline);
  if (got.has_error()) watched_.reset();
  return got;
}

result<void> redis_lane::log_in(redis_clock::time_point deadline) {
  watched_.reset();
  if (const auto opened = connection_.open(deadline); opened.has_error()) return opened;
  const auto& to = with_->address;
  out_.clear();
  std::size_t replies = 0;
  if (!to.password.empty()) {
    ++replies;
    if (to.username.empty())
      append_redis_command(out_, {"AUTH", to.password});
    else
      append_redis_command(out_, {"AUTH", to.username, to.password});
  }
  if (to.database != 0) {
    ++replies;
    append_redis_command(out_, {"SELECT", std::to_string(to.database)});
  }
  // A user who may not open a transaction would have its commands carried out one by one.
  append_redis_command(out_, {"MULTI"});
  append_redis_command(out_, {"EXEC"});
  const auto got = exchange(replies + 2, deadline);
  out_.assign(out_.size(), '\0'); // it held the password
  if (got.has_error()) return got.error();
  for (const auto& reply : *got)
    if (reply.is_error()) {
      connection_.close();
      return error{errc::unavailable, redis_complaint(reply.text)};
    }
  return {};
}

/// Takes over what the server says of the cursor. An error, once, if it had confirmed more.
result<void> redis_lane::adopt(const sink_batch& batch, const redis_target& to, std::uint64_t seq) {
  watched_.emplace(to.cursor, seq);
  if (confirmed_.size() >= max_redis_cursors) confirmed_.clear();
  const auto before = std::exchange(confirmed_[to.cursor], seq);
  if (before <= seq) return {};
  return error{errc::unavailable,
               "the server has lost what it had confirmed: events after " +
                   event_id(seq, batch.tag) + " up to " + event_id(before, batch.tag) +
                   " may be missing in " + to.key +
                   " (restored from a copy, failed over, or no appendfsync always); replay them"};
}

/// Binds the next transaction to the cursor.
result<void> redis_lane::watch(const sink_batch& batch, const redis_target& to,
                               redis_clock::time_point deadline) {
  out_.clear();
  const auto correction = to_correct_.find(to.cursor);
  const bool corrects = correction != to_correct_.end();
  if (corrects) append_redis_command(out_, {"SET", to.cursor, std::to_string(correction->second)});
  append_redis_watch(out_, to);
  const auto got = exchange(redis_watch_replies + corrects, deadline);
  if (got.has_error()) return got.error();
  if (corrects && got->front().is_error())
    return error{errc::unavailable, redis_complaint(got->front().text)};
  if (corrects) {
    confirmed_[to.cursor] = correction->second;
    to_correct_.erase(correction);
  }
  const auto seq = read_redis_watch(std::span{*got}.last(redis_watch_replies));
  return seq.has_error() ? result<void>{seq.error()} : adopt(batch, to, *seq);
}

result<redis_outcome> redis_lane::transact(const sink_batch& batch, std::size_t first,
                                           const redis_target& to,
                                           redis_clock::time_point deadline) {
  out_.clear();
  const bool releases = watched_ && !to.has_cursor();
  if (releases) append_redis_command(out_, {"UNWATCH"});
  const auto replies = append_redis_transaction(out_, form_, batch, first, to);
  // The next batch's watch travels with this one.
  if (to.has_cursor()) append_redis_watch(out_, to);
  const std::size_t watching = to.has_cursor() ? redis_watch_replies : 0;
  const auto got = exchange(releases + replies + watching, deadline);
  if (got.has_error()) return got.error();
  const auto before = watched_ ? watched_->second : 0;
  watched_.reset();
  auto outcome = read_redis_transaction(std::span{*got}.subspan(releases, replies),
                                        batch.events.size() - first);
  if (!to.has_cursor()) return outcome;
  if (outcome.committed && !outcome.why.empty()) {
    // Events failed one by one inside of the transaction; its cursor moved nevertheless.
    const auto end = first + outcome.taken;
    to_correct_[to.cursor] = outcome.taken == 0 ? before : batch.events[end - 1].seq();
    return outcome;
  }
  if (outcome.committed) confirmed_[to.cursor] = batch.events.back().seq();
  const auto seq = read_redis_watch(std::span{*got}.last(redis_watch_replies));
  if (seq.has_error()) return outcome; // it is told when the next batch comes
  const auto adopted = adopt(batch, to, *seq);
  if (adopted.has_error() && !outcome.committed) return adopted.error();
  return outcome;
}

result<void> redis_lane::send(const sink_batch& batch, redis_clock::time_point deadline,
                              std::size_t& taken) {
  if (*with_->stopped) return error{errc::unavailable, "stopped"};
  redis_target to{.key = outgoing_form::fill_template(with_->key, batch.stream),
                  .max_len = with_->max_len};
  if (!batch.lane.empty()) to.cursor = redis_cursor_key(to.key, batch);
  if (!connection_.is_open())
    if (const auto ready = log_in(deadline); ready.has_error()) return ready;
  for (int moves = 0; moves < max_redis_moves; ++moves) {
    if (to.has_cursor() && (!watched_ || watched_->first != to.cursor))
      if (const auto watching = watch(batch, to, deadline); watching.has_error()) return watching;
    while (to.has_cursor() && taken < batch.events.size() &&
           batch.events[taken].seq() <= watched_->second)
      ++taken;
    if (taken == batch.events.size()) return {};
    const auto outcome = transact(batch, taken, to, deadline);
    if (outcome.has_error()) return outcome.error();
    taken += outcome->taken;
    if (!outcome->moved)
      return outcome->why.empty() ? result<void>{} : error{errc::unavailable, outcome->why};
  }
  return error{errc::unavailable, "another process moves " + to.cursor +
                                      "; do two nodes run from copies of one data directory?"};
}

class redis_sink : public sink {
 public:
  explicit redis_sink(redis_configuration with)
      : with_{std::make_shared<redis_configuration>(std::move(with))} {}

  sink_traits traits() const override { return {.in_order = true}; }
  std::unique_ptr<sink_connection> connect() override {
    return std::make_unique<redis_lane>(with_);
  }
  void stop() override { *with_->stopped = true; }

 private:
  std::shared_ptr<redis_configuration> with_;
};

error redis_setting_error(const sink_context& context, const std::string& why) {
  return {errc::config, "sinks." + context.name + '.' + why};
}

} // namespace

result<std::shared_ptr<sink>> make_redis_sink(const redis_sink_settings& settings,
                                              const sink_context& context) {
  auto address = parse_redis_url(settings.url);
  if (address.has_error()) return redis_setting_error(context, "url: " + address.error().message);
  if (!settings.username.empty()) address->username = settings.username;
  if (!settings.password.empty()) address->password = settings.password;
  if (!address->username.empty() && address->password.empty())
    return redis_setting_error(context, "password: missing, though there is a username");
  if (settings.key.empty())
    return redis_setting_error(context, "key: missing; name the stream, as \"events:{stream}\"");
  redis_configuration with{.address = *address, .key = settings.key, .max_len = settings.max_len};
  if (address->tls) {
    auto tls = make_redis_tls(settings.certificates);
    if (tls.has_error()) return redis_setting_error(context, tls.error().message);
    with.tls = *tls;
  }
  with.source = context.event_source();
  with.where = "sinks." + context.name + " (" + address->name() + "): ";
  return std::shared_ptr<sink>{std::make_shared<redis_sink>(std::move(with))};
}

} // namespace penstock
