// What a ledger's clients used, as rows: for the disk, and for other nodes.
#pragma once

#include "actors/limits/client_table.hpp"
#include "actors/limits/limit_books.hpp"
#include "storage/stores/counter_store.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace penstock {

/// A part of limit_ledger. Not synchronised.
class ledger_rows {
 public:
  explicit ledger_rows(limit_books& books) : books_(books) {}

  /// Rows of clients that changed since they were taken last, of about `max_rows`.
  std::vector<counter_row> take_changed(std::size_t max_rows, std::int64_t now_ns,
                                        client_table::reader by);
  /// All of a shard that says anything.
  std::vector<counter_row> of_shard(std::uint32_t shard, std::int64_t now_ns);

  /// What was saved once, or comes from another node. A row of a plan or limit that is no more, or
  /// that says nothing any more, is passed over. `merges`: what is here may be later than the row;
  /// that of the two of which less is left stays.
  void restore(const counter_row& row, std::int64_t now_ns, bool merges = false) {
    (void)restore_into(row, now_ns, merges);
  }
  /// As restore(), and to be saved: the shard is ours now.
  void take_in(const counter_row& row, std::int64_t now_ns, bool merges = false);

 private:
  struct restored {
    client_table* table = nullptr;
    client_table::entry entry{}; // null states: the row was passed over
  };

  restored restore_into(const counter_row& row, std::int64_t now_ns, bool merges);

  limit_books& books_;
  std::array<std::size_t, client_table::reader_count> take_at_{}; // as take_changed() goes round
};

} // namespace penstock
