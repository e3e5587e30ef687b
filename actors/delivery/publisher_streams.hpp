// The streams that a publisher keeps: those of which something is owed, or was lately.
#pragma once

#include "actors/delivery/publisher_context.hpp"
#include "actors/delivery/publisher_stream.hpp"
#include "actors/streams/forgotten_streams.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace penstock {

/// Not synchronised. A stream stays where it is until it is forgotten.
class publisher_streams {
 public:
  using newest_map = forgotten_streams::newest_map;
  using stream_map = std::map<std::string, publisher_stream>;

  explicit publisher_streams(const publisher_context& context) : context_(context) {}

  /// Takes the saved positions of streams that no segment has events of for gone.
  void start(std::vector<cursor>& saved, const newest_map& newest);

  /// Null: it is not kept.
  publisher_stream* find(const std::string& name);
  /// Null: it does not feed the sink.
  publisher_stream* find_or_add(const std::string& name);
  /// Adds those that have events which are not settled.
  void find_new(const newest_map& newest);

  /// Those that may be let go: `durable` is when, and nothing of them is owed.
  std::vector<publisher_stream*> idle(std::uint64_t durable);
  /// Lets one of them go. `newest` is what there was at `durable`: what came since makes it known
  /// again.
  void forget(const publisher_stream& of, std::uint64_t durable, const newest_map& newest);
  /// Drops the saved positions of streams that are gone.
  void forget_gone(const newest_map& newest);

  /// A move of segments takes what was delivered ahead out of the journal, so it is counted again.
  void note_moves();

  stream_map::iterator begin() { return streams_.begin(); }
  stream_map::iterator end() { return streams_.end(); }
  stream_map::const_iterator begin() const { return streams_.begin(); }
  stream_map::const_iterator end() const { return streams_.end(); }

 private:
  bool may_forget(const publisher_stream& of, std::uint64_t durable) const;

  const publisher_context& context_;
  stream_map streams_;
  forgotten_streams forgotten_;
  std::uint64_t moves_seen_ = 0;
};

} // namespace penstock
