// Keys and plans in the cluster's directory: what it tells is read for the accounts actor, and what
// it lacks is put there.
#pragma once

#include "actors/accounts/account_book.hpp"
#include "actors/accounts/directory_debt.hpp"
#include "actors/directory/directory_messages.hpp"
#include "actors/interfaces/interfaces.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// Names of records in the directory that can't be read, or put, of which the log tells.
inline constexpr std::size_t max_record_complaints = 64;

struct accounts_directory_parts {
  std::shared_ptr<account_book> book; ///< what this node knows
  directory_writer_handle writer{};   ///< null: there is no directory, and nothing is put
  std::function<std::int64_t()> wall_us;
  /// Takes the records over, as it does a peer's; the book has those that are newer afterwards.
  std::function<void(account_records)> take;
  /// Sends the actor a records_due, upon which it calls take_heard().
  std::function<void()> take_soon;
  std::function<void(records_changed)> put; ///< sends the writer what to put
};

/// Not synchronised: the accounts actor has it.
class accounts_directory {
 public:
  explicit accounts_directory(accounts_directory_parts parts);

  // -- what the directory says --------------------------------------------------------------------

  /// Gathers records up to max_records_per_message, or until take_soon's message has come.
  void on_records(records_told update);
  void take_heard();
  /// It told all that it holds.
  void on_watching();
  void on_away();
  void on_put(const records_put& outcome);

  // -- what this node says ------------------------------------------------------------------------

  /// These are of this node…
  void made_here(const account_records& changed);
  /// …of another one, which puts them there itself, as a rule.
  void heard(const account_records& changed);
  /// Puts a portion of what the directory lacks, if it can take one.
  void put_some();
  /// Once an accounts_sync_interval.
  void tick();

 private:
  template <class Record>
  void note_told(const Record& record);
  void note_taken_out(const std::string& key);
  void complain(const std::string& key, std::string_view why);

  accounts_directory_parts parts_;
  directory_debt debt_;
  std::vector<directory_record> told_; // and not taken yet
  std::set<std::string> complaints_;
};

} // namespace penstock
