// Which keys were used within the window, and what came of it: pure, in memory, bounded.
#pragma once

#include "storage/base/assert.hpp"
#include "storage/events/idempotency.hpp"

#include <boost/unordered/unordered_flat_set.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock {

/// The records of one shard. The oldest are forgotten when they leave the window, or when there are
/// too many. About 50 bytes a key. Not synchronised.
class idempotency_index {
 public:
  /// What a repeat is answered with.
  struct found {
    std::uint64_t content = 0;
    std::uint64_t seq = 0;
    std::uint32_t count = 0;
    /// Of the journal that has the events; empty: this node's. Good until the next insertion.
    std::string_view tag{};
  };

  /// Journals of so many other nodes' lives are told apart; records of more are not taken in.
  static constexpr std::size_t max_other_journals = 4096;

  /// `capacity` >= 1, in keys; memory for them is reserved in the address space at once, and used
  /// as they come.
  idempotency_index(std::size_t capacity, std::int64_t window_ms);
  idempotency_index(const idempotency_index&) = delete;
  idempotency_index& operator=(const idempotency_index&) = delete;

  /// Records come in about the order of their times. One of a key that is known replaces it.
  void insert(const idempotency_record& record, std::int64_t now_ms);

  /// At a start, when records are read from several places: one that is known already, with the
  /// same events, changes nothing and takes no room. Otherwise as insert().
  void restore(const idempotency_record& record, std::int64_t now_ms);

  /// A record of the journal with that tag, of another node or an earlier owner of the key. One of
  /// a key that is known changes nothing: who was told of it first was told the truth.
  void take_in(const idempotency_record& record, std::string_view tag, std::int64_t now_ms);

  /// For visit(): where the oldest record is.
  std::uint32_t begin() const { return first_; }
  /// Visits the records from there on, oldest first, at most `max_visits`, and moves `position`
  /// behind them. Those that were forgotten meanwhile are passed over. True when it was all.
  bool visit(std::uint32_t& position, std::size_t max_visits,
             const std::function<void(const idempotency_record&, std::string_view tag)>& see) const;

  /// Nothing if the key was not used within the window. A record may be remembered up to a second
  /// longer.
  std::optional<found> find(const idempotency_key& key, std::int64_t now_ms);

  /// Forgets what has left the window, at most `max_visits` records. find() and insert() do a few
  /// each, so that no call takes long.
  void expire(std::int64_t now_ms, std::size_t max_visits);

  std::size_t size() const { return by_key_.size(); }
  std::size_t memory_bytes() const;

 private:
  struct entry {
    idempotency_key key;
    std::uint64_t content;
    std::uint64_t seq;
    std::uint32_t time_s; // the end of its second
    std::uint16_t count;
    std::uint16_t journal; // index into journals_
  };
  static_assert(sizeof(entry) == 40);

  // Positions count up for ever, modulo 2^32; entries_[0] has first_.
  struct hash {
    using is_transparent = void;
    const idempotency_index* index;
    std::size_t operator()(std::uint32_t position) const {
      return (*this)(index->at(position).key);
    }
    std::size_t operator()(const idempotency_key& key) const { return key.low; }
  };
  struct equal {
    using is_transparent = void;
    const idempotency_index* index;
    bool operator()(std::uint32_t a, std::uint32_t b) const { return a == b; }
    bool operator()(const idempotency_key& a, std::uint32_t b) const {
      return a == index->at(b).key;
    }
    bool operator()(std::uint32_t a, const idempotency_key& b) const {
      return index->at(a).key == b;
    }
  };

  const entry& at(std::uint32_t position) const {
    PENSTOCK_ASSERT(static_cast<std::uint32_t>(position - first_) < entries_.size());
    return entries_[position - first_];
  }
  void forget_oldest();
  void add(const idempotency_record& record, std::uint16_t journal);
  bool is_over(const entry& e, std::int64_t now_ms) const;

  std::size_t max_keys_;
  std::int64_t window_ms_;
  std::vector<std::string> journals_{""}; // tags; the first is this node's own
  std::uint32_t first_ = 0;
  std::deque<entry> entries_; // oldest first; those that were replaced are still in it
  boost::unordered_flat_set<std::uint32_t, hash, equal> by_key_;
};

} // namespace penstock
