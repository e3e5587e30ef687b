// Between an event_block and the text and blob columns of its row.
#pragma once

#include "storage/base/result.hpp"
#include "storage/events/event_block.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// Encodes a block's columns into buffers that are used again for the next one, so that a row
/// costs no allocation. The views' contents are valid until the next encode(). Not synchronised.
class block_encoder {
 public:
  void encode(const event_block& block);

  std::string_view ends() const { return ends_; }
  std::string_view types() const { return types_; }
  std::string_view type_of() const { return type_of_; } ///< empty: NULL
  std::string_view clients() const { return clients_; }
  std::string_view attributes() const { return attributes_; } ///< empty: NULL
  /// About how many bytes the row takes, without SQLite's own overhead.
  std::size_t row_bytes() const { return row_bytes_; }

 private:
  std::string ends_;
  std::string types_;
  std::string type_of_;
  std::string clients_;
  std::string attributes_;
  std::size_t row_bytes_ = 0;
};

/// A row as it was read; views into SQLite's memory.
struct block_columns {
  std::uint64_t seq = 0;
  std::uint64_t n = 0;
  std::int64_t time_ms = 0;
  std::string_view stream, ends, types, type_of, clients, attributes, bodies;
};

/// Rebuilds the block. errc::corrupt, with the reason, if the columns contradict each other.
result<event_block> decode_block(const block_columns& row);

/// The same without bodies, for whoever only counts: `row.bodies` is not looked at, and what the
/// block's events say of them is all there is.
result<event_block> decode_without_bodies(const block_columns& row);

} // namespace penstock
