// The tables of usage.db and of the copies beside it: what several origins counted, in one file.
#pragma once

#include "storage/base/result.hpp"
#include "storage/sqlite/sqlite.hpp"
#include "storage/stores/usage_store.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace penstock {

/// The place of one origin's counts in a file.
struct usage_slot {
  std::int64_t number = 0; ///< in the file: see usage_schema
  usage_about about;
  std::int64_t begun_ms = 0; ///< see usage_store::begun_ms()
  std::array<std::uint64_t, usage_periods> rows_of{};

  std::uint64_t rows() const {
    std::uint64_t sum = 0;
    for (const auto one : rows_of)
      sum += one;
    return sum;
  }
};

/// Makes the tables where they are not, for open_store(). `own`: the file is a node's own, and gets
/// an origin.
result<void> make_usage_tables(sqlite_database& db, bool own);

/// Rows of whichever slot it is called with. Names are shared by all slots of a file. One
/// thread uses it at a time; it blocks on the disk.
class usage_tables {
 public:
  /// Of a database that has the tables.
  result<void> start(sqlite_database db);
  /// All that there are. Rows are counted where the file does not tell how many, or cannot be
  /// right.
  result<std::vector<usage_slot>> load();
  /// A new one, with a number that none ever had. Errors: unavailable beyond max_usage_slot.
  result<usage_slot> add(const std::string& origin);
  /// False: it stays, as there are rows of it.
  result<bool> remove(usage_slot& slot);
  /// Looks how many rows there are, whatever the file tells. It reads all of them.
  result<void> count(usage_slot& slot);

  // See usage_store.
  result<void> write(usage_slot& to, std::span<const usage_batch_ptr> batches,
                     std::vector<usage_key>& changed);
  result<void> describe(usage_slot& slot, const usage_about& about);
  result<std::vector<usage_state>> states(const usage_slot& of, std::span<const usage_key> keys);
  result<std::vector<usage_state>> states_after(const usage_slot& of, usage_key& last,
                                                std::size_t max);
  result<bool> raise(usage_slot& slot, std::span<const usage_state> rows, const usage_about& about);
  /// `and_names`: those that no slot needs any more, too. It looks at all slots for that.
  result<bool> trim(usage_slot& slot, const usage_retention& keep, std::int64_t now_ms,
                    std::size_t max_rows, bool and_names);
  /// No less than the ids in the file.
  std::uint64_t names() const { return names_; }

  /// Statements only; without start() they come to nothing.
  result<void> prepare(sqlite_database& db);

 private:
  struct sum_row {
    std::int64_t dimension = 0; // as in the tables
    std::int64_t start_s = 0;
    std::int64_t name = 0;
    usage_counts counts;
  };
  struct period_statements {
    sqlite_statement update, insert, next_dimension, oldest, boundary, remove, remove_to;
    sqlite_statement count;
    sqlite_statement one, after, raise; // of what goes to copies, and into them
  };

  template <class Work>
  auto in_transaction(usage_slot& slot, Work&& work) -> decltype(work());
  static void merge(std::vector<sum_row>& rows);
  result<void> add_all(usage_slot& to, std::span<const usage_batch_ptr> batches,
                       std::vector<usage_key>& changed);
  result<bool> raise_row(usage_slot& slot, const usage_state& row);
  result<void> save_about(const usage_slot& slot, const usage_about& about);
  result<std::int64_t> name_id(const std::string& text);
  result<void> add_row(usage_slot& to, usage_period period, const sum_row& row);
  result<void> save_sizes(const usage_slot& slot,
                          const std::array<std::uint64_t, usage_periods>& before);
  result<std::size_t> remove_before(usage_slot& from, usage_period period, std::int64_t dimension,
                                    std::int64_t before_s, std::size_t most);
  result<void> remove_expired(usage_slot& from, const usage_retention& keep, std::int64_t now_s,
                              std::size_t& left);
  result<void> remove_beyond(usage_slot& from, std::uint64_t cap, std::size_t& left);
  result<std::int64_t> first_month(std::int64_t now_s);
  result<void> remove_names(std::int64_t now_s, std::size_t& left);

  std::optional<sqlite_database> db_; // before the statements
  std::array<period_statements, usage_periods> of_;
  sqlite_statement text_of_name_, load_, add_, save_last_slot_, remove_, save_about_;
  sqlite_statement find_name_, insert_name_, touch_name_, last_name_, remove_names_;
  sqlite_statement load_sizes_, save_size_, remove_sizes_;
  boost::unordered_flat_map<std::string, std::int64_t> name_ids_;
  std::uint64_t names_ = 0;
  std::int64_t swept_names_to_ = 0; // ids up to here were looked at since months last went
};

} // namespace penstock
