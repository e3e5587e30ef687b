// The streams that the queue keeps: those of which something is owed, or that consumers ask for.
#pragma once

#include "actors/queue/queue_context.hpp"
#include "actors/queue/queue_stream.hpp"
#include "actors/streams/forgotten_streams.hpp"
#include "storage/base/result.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace penstock {

/// A consumer may wait for a stream that is not configured and has no event yet, up to this many
/// streams in all.
inline constexpr std::size_t max_queue_streams = 8192;

/// Not synchronised. A stream stays where it is until it is forgotten.
class queue_streams {
 public:
  using newest_map = forgotten_streams::newest_map;
  using stream_map = std::map<std::string, queue_stream>;

  explicit queue_streams(const queue_context& context) : context_(context) {}

  /// Once the context has its parts: goes on where the saved cursors say.
  void start();

  result<void> check_feeds(const std::string& name) const;
  /// Null: it is not kept.
  queue_stream* find(const std::string& name);
  /// Null: there is nothing of it.
  queue_stream* find_with_events(const std::string& name);
  /// The bound is on those that only consumers know: what is configured or has events is served.
  result<queue_stream*> find_or_add(const std::string& name);
  /// Adds those that have events which are not settled.
  void find_new(const newest_map& newest);

  /// Lets go the streams of which nothing is owed at `durable`. `newest` is what there was then:
  /// what came since makes a stream known again.
  void forget_idle(std::uint64_t durable, const newest_map& newest);
  /// A move of segments takes what was acknowledged ahead out of the journal, so it is counted
  /// again.
  void note_moves();

  stream_map::iterator begin() { return streams_.begin(); }
  stream_map::iterator end() { return streams_.end(); }
  stream_map::const_iterator begin() const { return streams_.begin(); }
  stream_map::const_iterator end() const { return streams_.end(); }

 private:
  queue_stream& add(cursor saved);
  bool is_configured(const std::string& name) const;
  bool may_forget(const queue_stream& of, std::uint64_t durable) const;

  const queue_context& context_;
  queue_limits limits_;
  std::uint64_t first_lease_ = 1;
  std::uint64_t recovered_seq_ = 0;
  stream_map streams_;
  forgotten_streams forgotten_;
  std::uint64_t moves_seen_ = 0;
};

} // namespace penstock
