// A node's storage without its node: it sends, consumes and keeps a book of what it promised.
#pragma once

#include "storage/journal/idempotency_store.hpp"
#include "storage/journal/replica_store.hpp"
#include "storage/journal/segment_keeper.hpp"
#include "storage/stores/cursor_store.hpp"
#include "storage/stores/dead_letter_store.hpp"
#include "storage/stores/replay_store.hpp"
#include "storage/stores/usage_store.hpp"
#include "tests/crash/damage/base.hpp"

#include <cstdlib>
#include <iostream>
#include <memory>
#include <random>

namespace penstock::damage {

/// Ends the process: a base that can't be made is our fault.
template <class T>
T must(result<T> outcome) {
  if (!outcome) {
    std::cerr << "can't make a base: " << outcome.error().message << '\n';
    std::exit(70);
  }
  return std::move(*outcome);
}
inline void must(const result<void>& outcome) {
  if (!outcome) must(result<int>{outcome.error()});
}

class world {
 public:
  world(const std::filesystem::path& dir, std::uint64_t seed, bool preallocate);

  /// Events of several streams, committed and so acknowledged.
  void send(int transactions);
  void rotate() { must(journal_->rotate()); }
  /// Consumers confirm the first part of what each stream owes, and a few events beyond.
  void consume(double share);
  void retire();
  /// Writes what nearly empty segments owe into a `.moved` file, and does no more.
  void begin_move(std::size_t segments);
  /// Keys, plans, counters, dead letters, jobs and usage.
  void fill_stores(int rounds);
  void hold_replicas(int transactions);
  /// As a kill would leave the directory now.
  void copy_to(const std::filesystem::path& to) const;

  const book& truth() const { return book_; }

 private:
  event_block random_block(std::uint64_t first_seq);
  void save_keys(int round);

  std::filesystem::path dir_;
  std::mt19937_64 random_;
  book book_;
  std::uint64_t next_seq_ = 1;
  std::uint64_t next_replica_seq_ = 1;
  int round_ = 0;
  std::unique_ptr<journal> journal_;
  std::shared_ptr<idempotency_store> kept_keys_;
  std::unique_ptr<segment_keeper> keeper_;
  std::unique_ptr<cursor_store> cursors_;
  std::unique_ptr<account_store> accounts_;
  std::unique_ptr<counter_store> counters_;
  std::unique_ptr<dead_letter_store> letters_;
  std::unique_ptr<replay_store> replays_;
  std::unique_ptr<usage_store> usage_;
  std::unique_ptr<replica_store> replicas_;
};

} // namespace penstock::damage
