// What one front end adds up between two hand-overs to the usage actor. Pure.
#pragma once

#include "storage/stores/usage.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace penstock {

/// Ids of one dimension that a tally tells apart between two hand-overs; the traffic of further
/// ones is added to other_usage_id.
inline constexpr std::size_t max_usage_ids = 4096;

/// A longer id is cut: a Referer's origin may be as long as a header.
inline constexpr std::size_t max_usage_id_bytes = 256;

/// An id in one dimension. Ids are told apart by the hash alone, so it must be one that clients
/// can't aim at: keyed, 64 bits. The text is copied only when the id is new.
struct usage_id {
  std::uint64_t hash = 0;
  std::string_view text; ///< empty: the request has no id in this dimension
};

/// A request's ids, by usage_dimension.
using usage_ids = std::array<usage_id, usage_dimensions>;

class usage_tally {
 public:
  explicit usage_tally(std::size_t max_ids = max_usage_ids) : max_ids_{max_ids} {}

  /// Adds the counts to each of the ids. No more than a look-up in a table for each of them.
  void add(const usage_ids& ids, const usage_counts& counts);

  bool empty() const { return empty_; }
  /// Additions that went to other_usage_id since the tally was made.
  std::uint64_t overflowed() const { return overflowed_; }

  /// Gives everything away and begins anew. The order of ids is arbitrary; other_usage_id, if
  /// there is any, comes last. `text_of(dimension, text)` may turn what add() was given as the
  /// text into what is to be shown.
  template <class TextOf>
  usage_batch take(std::int64_t time_ms, TextOf&& text_of) {
    usage_batch batch;
    batch.time_ms = time_ms;
    for (std::size_t d = 0; d < usage_dimensions; ++d) {
      auto& from = sums_[d];
      auto& to = batch.entries[d];
      to.reserve(from.by_hash.size() + 1);
      for (auto& [hash, sum] : from.by_hash)
        to.push_back({text_of(static_cast<usage_dimension>(d), std::move(sum.id)), sum.counts});
      if (from.other != usage_counts{}) to.push_back({std::string{other_usage_id}, from.other});
      from.by_hash.clear();
      from.other = {};
    }
    empty_ = true;
    return batch;
  }
  usage_batch take(std::int64_t time_ms) {
    return take(time_ms, [](usage_dimension, std::string&& text) { return std::move(text); });
  }

 private:
  // The keys are good hashes already.
  struct as_it_is {
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t hash) const { return hash; }
  };
  struct dimension_sums {
    boost::unordered_flat_map<std::uint64_t, usage_entry, as_it_is> by_hash;
    usage_counts other;
  };

  std::size_t max_ids_;
  std::array<dimension_sums, usage_dimensions> sums_;
  std::uint64_t overflowed_ = 0;
  bool empty_ = true;
};

} // namespace penstock
