// The plans of a ledger and their tables: which there are, and how many clients they hold.
#pragma once

#include "actors/limits/limit_book.hpp"
#include "actors/limits/limit_labels.hpp"
#include "actors/limits/limit_messages.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace penstock {

/// The key of a scope's table under which an item's use is counted. Its shard is the client's, so
/// that all limits of a request lie with one limiter.
std::uint64_t counted_for(limit_scope scope, std::uint64_t client, std::uint64_t key,
                          std::uint32_t stream);

/// Not synchronised.
class limit_books {
 public:
  /// `max_clients` bounds the entries of all tables together. The labels are shared with others.
  limit_books(std::size_t max_clients, std::shared_ptr<limit_labels> labels);

  /// What was used stays with the limits that count the same. A plan that is no more stays, too, as
  /// long as its clients do.
  void change_plans(const plan_list& plans, std::int64_t now_ns);

  /// Null: there is none. It may be of a plan that is no more.
  limit_book* find(std::uint32_t plan);
  /// Null: there is no such plan.
  limit_book* find_in_force(std::uint32_t plan);

  /// The client's entry, which may be new; null states: there is no room for it. The book has a
  /// table of that scope.
  client_table::entry find_or_add(limit_book& in, std::size_t scope, std::uint64_t client);

  /// All tables, in an order that stays until the plans change.
  struct table_place {
    limit_book* in = nullptr;
    std::uint8_t scope = 0;
    client_table& table() const { return *in->tables[scope]; }
  };
  std::span<const table_place> tables() const { return tables_; }

  /// Limits of all books with the rule's scope and id; compare with counts_the_same().
  struct limit_place {
    limit_book* in = nullptr;
    std::uint8_t index = 0; // in the book's plan
    const limit& rule() const { return in->rules.limits[index]; }
  };
  std::span<const limit_place> limits_like(const limit& rule) const;

  /// Visits at most `max_visits` clients, going round, and forgets the idle. Gives how many it did.
  std::size_t sweep(std::int64_t now_ns, std::size_t max_visits);

  bool has_changed(client_table::reader by) const;
  void inform_backup(bool wanted);
  void mark_shard(std::uint32_t shard, client_table::reader by);

  std::size_t size() const { return size_; }
  /// Of the tables.
  std::size_t memory_bytes() const;

 private:
  void set_rules(limit_book& which, const plan& rules, std::int64_t now_ns);
  void index_limits();

  std::size_t max_clients_;
  std::size_t size_ = 0;
  std::shared_ptr<limit_labels> labels_;
  std::vector<std::unique_ptr<limit_book>> books_;
  boost::unordered_flat_map<std::uint32_t, limit_book*> book_of_; // by plan id
  boost::unordered_flat_map<std::uint64_t, std::vector<limit_place>> same_limits_;
  std::vector<table_place> tables_;
  std::size_t sweep_at_ = 0;
  bool backed_up_ = false;
};

} // namespace penstock
