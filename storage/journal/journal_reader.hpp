// Reads durable events back, for a sink that lags and for replay. Never sees what is not durable.
#pragma once

#include "storage/base/result.hpp"
#include "storage/events/event_block.hpp"
#include "storage/journal/backlog_events.hpp"
#include "storage/journal/segment_catalog.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace penstock {

/// One thread uses a reader at a time; it blocks on the disk. It holds at most one segment open.
class journal_reader {
 public:
  using stream_filter = std::function<bool(const std::string& stream)>;

  /// `vfs` as in journal_options.
  static std::unique_ptr<journal_reader> make(std::shared_ptr<segment_catalog> catalog,
                                              std::string vfs = {});
  virtual ~journal_reader() = default;

  /// Blocks of `stream` that hold events after `after_seq`, in order, until their bodies exceed
  /// `max_bytes` (at least one block is given if there is one). The first block may begin at or
  /// before after_seq: the caller skips those events. Empty: nothing newer is durable.
  /// A damaged row is skipped, told through `damage`, and never stops the rest.
  virtual result<std::vector<std::shared_ptr<const event_block>>>
  read(const std::string& stream, std::uint64_t after_seq, std::size_t max_bytes,
       std::vector<std::string>* damage = nullptr) = 0;

  /// As read(), of all streams that are `wanted`, in the order of their numbers, and no more than
  /// `max_blocks`.
  virtual result<std::vector<std::shared_ptr<const event_block>>>
  read_wanted(const stream_filter& wanted, std::uint64_t after_seq, std::size_t max_bytes,
              std::size_t max_blocks, std::vector<std::string>* damage = nullptr) = 0;

  /// From now on read_wanted() gives the idempotency keys of blocks, too, those that their segment
  /// has. Keys that can't be read are told as damage, and left out.
  virtual void want_keys() {}

  /// The sequence number just before the first event of `stream` accepted at or after `time_ms`.
  virtual result<std::uint64_t> seq_before_time(const std::string& stream,
                                                std::int64_t time_ms) = 0;

  /// How much of `stream` lies after `after_seq`, not after `up_to_seq`, and is `owed`; exact,
  /// however much is appended meanwhile. A segment of which all is owed, or nothing, counts by the
  /// catalog; of others the rows are read, without their bodies. A row of which only the number of
  /// events can be read counts whole; what can't be found at all is left out, as by read().
  virtual result<event_volume> count_backlog(const std::string& stream, std::uint64_t after_seq,
                                             std::uint64_t up_to_seq,
                                             const backlog_events& backlog) = 0;
  /// The same of all that lies after `after_seq` and is durable now.
  result<event_volume> count_after(const std::string& stream, std::uint64_t after_seq);
  /// How many events of `stream` lie after `after_seq` and not after `up_to_seq`, exactly, however
  /// much is appended meanwhile.
  virtual result<std::uint64_t> count_between(const std::string& stream, std::uint64_t after_seq,
                                              std::uint64_t up_to_seq) = 0;

  /// Lets go of the open segment, so that it can be retired.
  virtual void release() = 0;
};

} // namespace penstock
